//! How clients work: each on a thread of its own, at a fixed rate, until they are told to stop or the
//! server is killed.

use super::keys::Ended;
use crate::harness::sim_disk::Random;
use crate::harness::{Connection, Response, encode_request};
use pikv::testing::clock;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Requests on one connection before the client takes another one.
const REQUESTS_PER_CONNECTION: u64 = 300;

/// Somebody who works with the server and knows what has to be there.
pub trait Client: Send {
    /// Who it is, for messages.
    fn name(&self) -> String;

    /// Does one thing and checks the answers. An error means that the server is gone.
    fn act(&mut self, talk: &mut Talk) -> io::Result<()>;

    /// Checks after a start that all is there that has to be, and goes on with what is. Returns the
    /// number of acknowledged writes that are not there and need not be.
    fn settle(&mut self, talk: &mut Talk, ended: Ended) -> io::Result<u64>;
}

/// What all clients of one life of the server are told.
#[derive(Default)]
pub struct Orders {
    /// Finish.
    pub stop: AtomicBool,
    /// Do not wait between requests: something is to be under way when the server is killed.
    pub rush: AtomicBool,
    /// From now on connections may break.
    pub killing: AtomicBool,
}

/// What a client counted.
#[derive(Default)]
pub struct Tally {
    pub requests: u64,
    pub connections: u64,
    pub writes_acknowledged: u64,
    /// From when they should have been sent to their answers, microseconds, of those on the schedule.
    pub reads_micros: Vec<u32>,
    pub writes_micros: Vec<u32>,
}

/// A client's way to talk to the server.
pub struct Talk {
    pub random: Random,
    pub tally: Tally,
    port: u16,
    connection: Option<Connection>,
    requests_left: u64,
    /// When the next request was to be sent; `None` where no schedule counts.
    due: Option<Instant>,
}

impl Talk {
    pub fn new(seed: u64) -> Talk {
        Talk {
            random: Random(seed),
            tally: Tally::default(),
            port: 0,
            connection: None,
            requests_left: 0,
            due: None,
        }
    }

    /// The server listens on `port` now.
    pub fn turn_to(&mut self, port: u16) {
        self.port = port;
        self.connection = None;
    }

    /// A connection beside the one that is kept.
    pub fn connect(&mut self) -> io::Result<Connection> {
        self.tally.connections += 1;
        Connection::try_open(self.port)
    }

    /// Sends one request with `credential`, a field, and reads its answer, which must be no 5xx.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        credential: (&str, &str),
        body: &str,
    ) -> io::Result<Response> {
        self.send_with(method, path, &[credential], body)
    }

    pub fn send_with(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Response> {
        let due = self.due.take();
        let mut connection = match self.connection.take() {
            Some(connection) if self.requests_left > 0 => connection,
            _ => {
                self.requests_left = REQUESTS_PER_CONNECTION;
                self.connect()?
            }
        };
        let mut fields = fields.to_vec();
        if !body.is_empty() {
            fields.push(("Content-Type", "application/json"));
        }
        connection.try_send(&encode_request(method, path, None, &fields, body.as_bytes()))?;
        let answer = connection.try_read_response(method)?;
        assert!(answer.status < 500, "{method} {path}: {answer:?}");
        self.requests_left -= 1;
        self.tally.requests += 1;
        let is_read = matches!(method, "GET" | "HEAD");
        self.tally.writes_acknowledged += u64::from(!is_read && answer.status < 300);
        if let Some(due) = due {
            let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
            let latencies =
                if is_read { &mut self.tally.reads_micros } else { &mut self.tally.writes_micros };
            latencies.push(micros);
        }
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Milliseconds of wall clock.
    pub fn now_ms(&self) -> u64 {
        clock::wall_ms()
    }
}

/// A client with what it talks through.
pub struct Worker {
    pub client: Box<dyn Client>,
    pub talk: Talk,
    /// From one thing it does to the next.
    pub period: Duration,
}

impl Worker {
    /// Works on a thread of its own until the server is killed or the orders say stop.
    pub fn start(mut self, orders: &Arc<Orders>) -> JoinHandle<Worker> {
        let orders = Arc::clone(orders);
        std::thread::spawn(move || {
            if let Err(error) = self.work(&orders) {
                let expected = orders.killing.load(Ordering::SeqCst);
                assert!(expected, "{}: the server did not answer: {error}", self.client.name());
            }
            self
        })
    }

    fn work(&mut self, orders: &Orders) -> io::Result<()> {
        let period_ms = self.period.as_millis() as u64;
        let mut due = Instant::now() + Duration::from_millis(self.talk.random.below(period_ms + 1));
        while !orders.stop.load(Ordering::SeqCst) {
            if orders.rush.load(Ordering::SeqCst) {
                self.talk.due = None;
            } else {
                // The schedule does not wait for slow answers, or they would hide those that should have come.
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                self.talk.due = Some(due);
                due += self.period;
            }
            self.client.act(&mut self.talk)?;
        }
        Ok(())
    }

    /// See [`Client::settle`].
    pub fn settle(&mut self, port: u16, ended: Ended) -> u64 {
        self.talk.turn_to(port);
        self.talk.due = None;
        let name = self.client.name();
        self.client.settle(&mut self.talk, ended).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}
