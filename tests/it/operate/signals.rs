//! How the program starts, refuses to start, reloads, stops, and what it says meanwhile.

mod logs;
mod refusals;
mod reload;
mod stop;
