//! How fast the pieces are, without sockets and disks: `cargo bench`, or `cargo bench -- journal` for
//! those that have "journal" in their name. What the server as a whole does is measured in
//! `benches/peers`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may fail loudly")]

mod http;
mod journal;
mod json;
mod request;

fn main() {
    divan::main();
}
