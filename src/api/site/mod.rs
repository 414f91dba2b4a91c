//! Pages for browsers, and the form API and the data API at the same paths.

pub(crate) mod data;
pub(crate) mod pages;
pub(crate) mod registration;
mod request;
pub(crate) mod sign_in;
mod success;
