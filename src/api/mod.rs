//! From a request to a reply: routes, credentials, handlers, and what every error looks like.
//!
//! A handler runs on an event loop and takes microseconds; what may block it returns as
//! [`reply::Reply::Slow`]. `routes.rs` is the whole route table, `error.rs` the only place that
//! knows which error has which status.

mod accept;
mod accounts;
pub mod authority;
mod batch;
mod body;
mod conditions;
mod context;
mod cookies;
pub mod cors;
mod credentials;
mod cross_site;
mod cursor;
mod data;
pub mod dispatch;
pub mod error;
mod fields;
mod forms;
mod items;
mod keys;
mod keyspace;
mod listing;
mod long_answer;
mod negotiation;
mod object_batch;
mod objects;
mod ops;
mod pages;
mod parameters;
mod passwords;
mod projects;
mod registration;
pub mod reply;
mod representation;
pub mod routes;
mod sign_in;
pub mod state;
mod success;
mod tokens;
mod visitor;
