//! Pages for people with a browser, and the form and data APIs at the same paths.

pub mod data;
mod forms;
pub mod pages;
pub mod registration;
pub mod sign_in;
mod success;
mod visitor;
