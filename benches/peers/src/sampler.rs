//! Reads at a fixed rate beside another load, with the time of every answer.
//!
//! Each connection has a schedule. Where an answer comes so late that the next request is sent after
//! its time, that one is counted from its time on the schedule: a stall is not hidden by the requests
//! that it held back (coordinated omission). Where it was this program that woke up late, the time
//! counts from sending.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Outcome, failure};
use crate::http::{Connection, Request};

/// Connections that read.
const CONNECTIONS: u32 = 8;
/// Of all connections together.
const READS_PER_SECOND: u32 = 1_000;

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was due.
    pub at: Instant,
    /// How long it took.
    pub milliseconds: f64,
}

/// Reads that are going on.
#[derive(Debug)]
pub struct Sampler {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Outcome<Vec<Sample>>>>,
}

impl Sampler {
    /// Begins to send `requests`, over and over.
    pub fn start(address: SocketAddr, requests: &[Request]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let requests: Arc<[Vec<u8>]> = requests.iter().map(Request::encode).collect();
        let start = Instant::now();
        let interval = Duration::from_secs(1) * CONNECTIONS / READS_PER_SECOND;
        let threads = (0..CONNECTIONS)
            .map(|index| {
                let (is_over, requests) = (Arc::clone(&is_over), Arc::clone(&requests));
                let first = start + interval * index / CONNECTIONS;
                thread::spawn(move || sample(address, &requests, first, interval, &is_over))
            })
            .collect();
        Self { is_over, threads }
    }

    /// Ends and returns all answers.
    ///
    /// # Errors
    /// One of them was no success.
    pub fn finish(self) -> Outcome<Vec<Sample>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut samples = Vec::new();
        for thread in self.threads {
            samples.extend(thread.join().map_err(|_| failure("a reader panicked"))??);
        }
        Ok(samples)
    }
}

fn sample(
    address: SocketAddr,
    requests: &[Vec<u8>],
    first: Instant,
    interval: Duration,
    is_over: &AtomicBool,
) -> Outcome<Vec<Sample>> {
    let mut connection = Connection::open(address)?;
    let mut samples = Vec::new();
    let mut due = first;
    let mut answered_at = first;
    for request in requests.iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent_at = Instant::now();
        let at = if answered_at > due { due } else { sent_at };
        connection.ask_encoded(request)?.success("PiKV")?;
        answered_at = Instant::now();
        samples.push(Sample { at, milliseconds: (answered_at - at).as_secs_f64() * 1000.0 });
        due += interval;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wait_until;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::AtomicUsize;

    /// Answers every request, and one of them, the hundredth, only after `stall`.
    fn answer(mut stream: TcpStream, answers: &AtomicUsize, stall: Duration) {
        let mut buffer = [0; 1024];
        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
            if answers.fetch_add(1, Ordering::SeqCst) == 100 {
                thread::sleep(stall);
            }
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    }

    #[test]
    fn a_stall_counts_for_every_read_that_was_due_in_it() {
        let stall = Duration::from_millis(400);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let counted = Arc::clone(&counted);
                thread::spawn(move || answer(stream.unwrap(), &counted, stall));
            }
        });
        let get = Request { method: "GET", path: "/".to_owned(), headers: Vec::new(), body: String::new() };
        let sampler = Sampler::start(address, &[get]);
        wait_until("reads after the stall", 60, || answers.load(Ordering::SeqCst) > 1_500).unwrap();
        let samples = sampler.finish().unwrap();
        let late = samples.iter().filter(|sample| sample.milliseconds > 200.0).count();
        // Each connection reads every 8 ms: 25 reads were due in the first half of the stall.
        assert!(late >= 20, "{late}");
    }
}
