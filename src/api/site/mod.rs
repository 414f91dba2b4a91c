//! Pages for people with a browser, and the form and data APIs at the same paths.

pub(crate) mod data;
pub(crate) mod pages;
pub(crate) mod registration;
mod request;
pub(crate) mod sign_in;
mod success;
