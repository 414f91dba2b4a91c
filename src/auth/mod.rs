//! Who may do what: decisions only, nothing here reads a socket or a file.

pub mod api_key;
