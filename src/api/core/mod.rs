//! The core API, `/api/v1/...`: projects, keys and accounts.

pub mod accounts;
pub mod batch;
mod conditions;
pub mod keys;
pub mod listing;
pub mod projects;
