//! config.json: what it may say ([`schema`]) and how it is read and written ([`file`]).
//!
//! Pure but for [`file::load`] and [`file::save`]. Which API keys are good is decided in `auth`.

mod accounts;
mod bounds;
mod cors;
mod effective;
pub mod file;
mod item_api;
mod members;
pub mod mistake;
pub mod nearest;
mod older;
mod parse;
mod public;
pub mod schema;
pub mod text;
