//! The server side of HTTP/1.1 (RFC 9110, RFC 9112) without input or output: bytes in,
//! requests out; responses in, bytes out. The caller owns the socket, the buffers and the clock.
//!
//! In scope: request heads, bodies by `Content-Length` and by chunks, pipelining, persistence,
//! `100-continue`, heads and framing of responses.
//! Out of scope: JSON, routes, credentials, deadlines, compression, HTTP/2, upgrades. No status
//! code is chosen here: a [`refusal::Refusal`] says what is wrong, layers above say what that means.
//!
//! One exchange on a connection ([`exchange::Exchange::step`]):
//!
//! ```text
//!    +---+  Request: head and body are here
//!    |   v
//!  +------+  Admit: the body is not all here (a chunked one never counts as here)  +------+
//!  | Head | ---------------------------------------------------------------------> | Body |
//!  +------+ <----------------------------- Request ------------------------------- +------+
//!      |                                                                              |
//!      +-- Refused: malformed, too long ---> Over <--- BodyRefused: malformed, too large --+
//! ```
//! A head is parsed once, also if its body comes later. Every further step after a refusal is `Refused`.

pub mod body;
mod chunk_extension;
pub mod exchange;
pub(crate) mod field_name;
mod fields;
pub mod head;
pub mod refusal;
pub mod request;
pub mod response;
pub mod target;
