//! JSON as text: a stored value is returned as it was sent, without its insignificant white space, because nothing here
//! converts it to numbers and maps and back.
//!
//! Not here: building a document in memory (serde_json does that for configuration and requests).
//! Source: RFC 8259.

mod content;
mod error;
mod hint;
mod kind;
mod member;
mod minify;
mod text;

pub use content::{BYTE_ORDER_MARK, foreign_content, without_byte_order_mark};
pub use error::JsonError;
pub use kind::{JsonErrorKind, Place, Token};
pub use member::present;
pub use minify::minify;
pub use text::{decode_string, encode_string, type_name};

pub use crate::digits::encode_u64;

#[cfg(test)]
mod tests;
