//! Who may do what: decisions only, nothing here reads a socket or a file.

pub mod access;
pub mod api_key;
pub mod client;
pub mod credential;
pub mod csrf;
pub mod jwt;
pub mod password;
pub mod rate_limit;
mod table;
pub mod throttle;
