//! A connection of the crowd: what it sends and reads, how slowly, and how the server ended it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The behaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Sends one request, then nothing.
    Idle,
    /// Sends a head that is not complete at its deadline.
    HeadTooSlow,
    /// Sends a head slowly that is complete in time, again and again.
    HeadInTime,
    /// Sends a body below the slowest rate.
    BodyTooSlow,
    /// Sends a body slowly, but above that rate.
    BodyInTime,
    /// Asks for much and reads hardly anything.
    Reader,
}

/// What a client sends: the beginning at once, the rest in pieces.
#[derive(Clone)]
pub struct Script {
    pub wire: Arc<Vec<u8>>,
    pub at_once: usize,
    pub piece: usize,
}

/// How a connection ended, or that the server has answered everything.
#[derive(Clone, Debug)]
pub struct Ending {
    pub kind: Kind,
    /// From the first byte of its last request (of an idle one: from the answer) to the end.
    pub lasted: Duration,
    /// The statuses of the answers since then, as far as they were taken.
    pub statuses: Vec<u16>,
    pub closed: bool,
    /// The longest time between two turns: a client that was held up itself proves nothing.
    pub gap_max: Duration,
}

pub struct CrowdClient {
    pub kind: Kind,
    script: Script,
    stream: TcpStream,
    begun: Instant,
    turned_at: Instant,
    gap_max: Duration,
    sent: usize,
    input: Vec<u8>,
}

impl CrowdClient {
    /// Connects and sends the beginning.
    pub fn connect(kind: Kind, script: Script, port: u16) -> CrowdClient {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let now = Instant::now();
        let mut client = CrowdClient {
            kind,
            script,
            stream,
            begun: now,
            turned_at: now,
            gap_max: Duration::ZERO,
            sent: 0,
            input: Vec::new(),
        };
        client.begin();
        client
    }

    fn begin(&mut self) {
        self.begun = Instant::now();
        self.turned_at = self.begun;
        self.gap_max = Duration::ZERO;
        self.sent = 0;
        self.input.clear();
        self.send(self.script.at_once);
    }

    /// Whether the connection is still one, as far as sending tells.
    fn send(&mut self, count: usize) -> bool {
        let end = (self.sent + count).min(self.script.wire.len());
        match self.stream.write(&self.script.wire[self.sent..end]) {
            Ok(count) => self.sent += count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }

    /// Sends and takes a little. Returns how it ended, if it did.
    pub fn turn(&mut self) -> Option<Ending> {
        self.gap_max = self.gap_max.max(self.turned_at.elapsed());
        self.turned_at = Instant::now();
        let mut buffer = [0; 4_096];
        let part = if self.kind == Kind::Reader { 1 } else { buffer.len() };
        let closed = match self.stream.read(&mut buffer[..part]) {
            Ok(0) => true,
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                false
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => true,
        };
        if closed {
            return Some(self.ending(true));
        }
        let answered =
            self.sent == self.script.wire.len() && self.input.windows(4).any(|end| end == b"\r\n\r\n");
        match self.kind {
            Kind::HeadInTime | Kind::BodyInTime if answered => {
                let ending = self.ending(false);
                self.begin();
                return Some(ending);
            }
            Kind::Idle if answered && !self.input.is_empty() => {
                // From here on it is idle.
                assert_eq!(statuses(&self.input), [200]);
                self.input.clear();
                self.begun = Instant::now();
            }
            Kind::Idle | Kind::HeadInTime | Kind::BodyInTime => _ = self.send(self.script.piece),
            Kind::HeadTooSlow | Kind::BodyTooSlow => {
                // The last byte never comes.
                if self.sent + self.script.piece < self.script.wire.len() {
                    self.send(self.script.piece);
                }
            }
            Kind::Reader => {
                // What it has not taken lies before the end of the connection, so that only sending tells.
                if !self.send(self.script.piece) {
                    return Some(self.ending(true));
                }
            }
        }
        None
    }

    fn ending(&self, closed: bool) -> Ending {
        let (lasted, gap_max) = (self.begun.elapsed(), self.gap_max);
        Ending { kind: self.kind, lasted, statuses: statuses(&self.input), closed, gap_max }
    }
}

fn statuses(input: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(input);
    let after = text.split("HTTP/1.1 ").skip(1);
    after.filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}
