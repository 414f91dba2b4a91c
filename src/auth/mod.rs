//! Who may do what: decisions only, nothing here reads a socket or a file.

pub(crate) mod access;
pub(crate) mod api_key;
pub(crate) mod client;
pub(crate) mod credential;
pub(crate) mod csrf;
pub mod jwt;
pub mod password;
pub(crate) mod rate_limit;
mod table;
pub mod throttle;
