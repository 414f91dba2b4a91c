//! What protects accounts: who reaches what, and what guessing, forging and racing lead to.

mod footprint;
mod forgeries;
mod isolation;
mod members;
mod races;
mod restarts;
mod routes;
mod secrets;
mod throttling;
mod timing;

pub use routes::ROUTES;
