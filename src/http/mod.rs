//! The server side of HTTP/1.1 (RFC 9110, RFC 9112) without input or output: bytes in,
//! requests out; responses in, bytes out. The caller owns the socket, the buffers and the clock.
//!
//! In scope: request heads, bodies by `Content-Length` and by chunks, pipelining, persistence, `100-continue`, heads
//! and framing of responses. Out of scope: JSON, routes, credentials, deadlines, compression, HTTP/2, upgrades, and
//! status codes: a [`refusal::Refusal`] states what is wrong, and higher layers choose the answer.
//!
//! One exchange on a connection ([`exchange::Exchange::step`]):
//!
//! ```text
//!    +---+  Request: head and body are complete
//!    |   v
//!  +------+  Admit: the body is incomplete (a chunked one always counts as such)     +------+
//!  | Head | ---------------------------------------------------------------------> | Body |
//!  +------+ <----------------------------- Request ------------------------------- +------+
//!      |                                                                              |
//!      +-- Refused: malformed, too long ---> Over <--- BodyRefused: malformed, too large --+
//! ```
//! A head is parsed once, even if its body arrives later. Every further step after a refusal is `Refused`.

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
