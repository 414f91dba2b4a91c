//! What people with a browser use, and the form and data APIs behind the same paths.

pub mod data;
mod forms;
pub mod pages;
pub mod registration;
pub mod sign_in;
mod success;
mod visitor;
