//! config.json: what it may say ([`schema`]) and how it is read and written ([`file`]).
//!
//! Pure but for [`file::load`] and [`file::save`]. Which API keys are good is decided in `auth`.

mod cors;
pub mod edit;
mod effective;
pub mod field;
pub mod file;
mod members;
pub(crate) mod mistake;
pub(crate) mod nearest;
mod older;
mod parse;
mod public;
pub mod schema;
mod sections;
pub mod setting;
pub mod settings;
pub(crate) mod text;
