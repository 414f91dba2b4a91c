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
//!            head complete,          head complete, body not all here yet
//!            body all here           (a chunked one never counts as here)
//!  +------+ ------------> Request  +------+ ------------------> Admit   +------+
//!  | Head | <--------------------- | Head |                             | Body |
//!  +------+      next exchange     +------+ <---- Pending <- Request - +------+
//!      |                                      next step frees buffers      |
//!      |  head malformed, too long,                   body malformed,      |
//!      |  framing not understood                      too large            |
//!      +------------------------------> Over <-----------------------------+
//!             Refused; where the head was good BodyRefused, then Refused
//! ```

pub(crate) mod body;
mod chunk_extension;
pub(crate) mod exchange;
pub(crate) mod field_name;
mod fields;
pub(crate) mod head;
pub(crate) mod refusal;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod target;
