//! From a request to a reply: routes, credentials, handlers, and what every error looks like.
//!
//! A handler runs on an event loop and takes microseconds; what may block it returns as
//! [`reply::Reply::Slow`]. `routes.rs` is the whole route table, `error.rs` the only place that
//! knows which error has which status.

pub mod app;
mod batch;
pub mod catalog;
mod conditions;
mod context;
pub mod error;
mod keys;
mod listing;
mod ops;
pub mod pages;
mod projects;
pub mod reply;
mod representation;
pub mod routes;
