//! config.json: its content ([`schema`]), and how it is read and written ([`mod@file`]).
//!
//! Only [`mod@file`] reads and writes files. Not here: the rules for API keys, which are in `catalog`.

mod cors;
pub mod edit;
mod effective;
pub mod engine;
pub mod field;
pub mod file;
mod members;
pub(crate) mod mistake;
pub(crate) mod nearest;
mod older;
mod parse;
pub(crate) mod project;
mod public;
pub mod schema;
mod sections;
pub mod setting;
pub mod settings;
pub(crate) mod text;
