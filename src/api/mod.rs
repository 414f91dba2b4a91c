//! From a request to a reply: routes, credentials, handlers, and the forms of errors.
//!
//! A handler runs on an event loop and takes microseconds. Work that may block is returned as a job for
//! one of the lanes ([`reply::Reply`]). `dispatch.rs` calls the handlers of `routes.rs`, the route
//! table; handlers use `context.rs` and `state.rs`, and never their callers.

mod accept;
pub(crate) mod authority;
mod body;
mod context;
mod cookies;
mod core;
pub(crate) mod cors;
mod credentials;
mod cross_site;
mod cursor;
pub(crate) mod dispatch;
pub mod error;
mod fields;
mod item;
mod json_body;
mod long_answer;
mod negotiation;
mod object;
mod on_cell;
mod ops;
mod parameters;
mod passwords;
pub mod reply;
pub mod routes;
mod site;
pub mod state;
mod tokens;
