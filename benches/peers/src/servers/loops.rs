//! Event loops, one per core, and the sockets that are handed to them in turn.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use mio::{Interest, Poll, Token, Waker};

use super::announce;
use crate::failure::Outcome;

/// The token of a loop's waker. Connections have the others.
pub const WAKER: Token = Token(usize::MAX);

/// Fields that a request may have.
pub const HEADERS_MAX: usize = 32;
/// Events that one turn of a loop takes.
pub const EVENTS_MAX: usize = 256;

/// A connection, and the start of a request that is not complete yet.
#[derive(Debug)]
pub struct Visitor {
    pub stream: mio::net::TcpStream,
    pub input: Vec<u8>,
}

/// What a loop begins with.
#[derive(Debug)]
pub struct Start {
    /// Has the waker, and later the connections.
    pub poll: Poll,
    /// Wakes `poll`, also from other threads.
    pub waker: Arc<Waker>,
    /// New connections. The waker is woken for each.
    pub arrivals: Receiver<TcpStream>,
}

/// Runs a loop for each core and hands each new connection to the next of them. `begin` makes their
/// threads.
///
/// # Errors
/// There is no address to listen on, or a loop cannot be made.
pub fn serve(begin: impl FnOnce(Vec<Start>)) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut loops = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (sender, arrivals) = channel();
        starts.push(Start { poll, waker: Arc::clone(&waker), arrivals });
        loops.push((sender, waker));
    }
    begin(starts);
    announce(listener.local_addr()?)?;
    for (sender, waker) in loops.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        // A loop that ended takes nothing, and its connection is closed.
        if sender.send(stream).is_ok() {
            waker.wake()?;
        }
    }
    Ok(())
}

/// Takes in the connections that have arrived. The place of each is its token.
///
/// # Errors
/// One cannot be watched.
pub fn take_in(
    poll: &Poll,
    arrivals: &Receiver<TcpStream>,
    visitors: &mut Vec<Option<Visitor>>,
) -> Outcome<()> {
    for stream in arrivals.try_iter() {
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(visitors.len()), Interest::READABLE)?;
        visitors.push(Some(Visitor { stream, input: Vec::new() }));
    }
    Ok(())
}
