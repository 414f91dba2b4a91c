//! The core API, `/api/v1/...`: projects, keys and accounts.

pub(crate) mod accounts;
pub(crate) mod batch;
mod conditions;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod projects;
