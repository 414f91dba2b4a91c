//! config.json: what it may say ([`schema`]) and how it is read and written ([`file`]).
//!
//! Pure but for [`file::load`] and [`file::save`]. Which API keys are good is decided in `auth`.

mod cors;
mod effective;
pub(crate) mod field;
pub(crate) mod file;
mod members;
pub(crate) mod mistake;
pub(crate) mod nearest;
mod older;
mod parse;
mod public;
pub(crate) mod schema;
mod sections;
pub(crate) mod setting;
pub(crate) mod settings;
pub(crate) mod text;
