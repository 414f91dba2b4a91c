//! Pages for people with a browser, and the form and data APIs at the same paths.

pub(crate) mod data;
mod forms;
pub(crate) mod pages;
pub(crate) mod registration;
pub(crate) mod sign_in;
mod success;
mod visitor;
