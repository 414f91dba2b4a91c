//! Clients that behave, at a fixed rate, and what they had to wait.

use crate::harness::{Connection, DEMO_KEY, DEMO_KEYS, encode_request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Clients, each on a thread and a connection of its own.
const CLIENTS: u64 = 4;
/// From one request of a client to the next.
const PERIOD: Duration = Duration::from_millis(10);

/// Milliseconds from when a request was due to its answer.
pub struct Latencies {
    pub reads_ms: Vec<f64>,
    pub writes_ms: Vec<f64>,
}

/// Good clients at work.
pub struct GoodClients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Latencies>>,
}

impl GoodClients {
    /// Begins to read and write, in turns.
    pub fn start(port: u16) -> GoodClients {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || work(port, number, &stop))
        };
        let threads = (0..CLIENTS).map(start).collect();
        GoodClients { stop, threads }
    }

    /// Has them finish.
    pub fn stop(self) -> Latencies {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Latencies { reads_ms: Vec::new(), writes_ms: Vec::new() };
        for thread in self.threads {
            let mut one = thread.join().unwrap();
            all.reads_ms.append(&mut one.reads_ms);
            all.writes_ms.append(&mut one.writes_ms);
        }
        all.reads_ms.sort_by(f64::total_cmp);
        all.writes_ms.sort_by(f64::total_cmp);
        all
    }
}

/// The schedule goes on while an answer is late, and what should have been sent meanwhile counts from
/// when it should have been: else a stall would be a single slow request.
fn work(port: u16, number: u64, stop: &AtomicBool) -> Latencies {
    let mut latencies = Latencies { reads_ms: Vec::new(), writes_ms: Vec::new() };
    let mut connection = Connection::open(port);
    let mut due = Instant::now() + PERIOD * number as u32 / CLIENTS as u32;
    let path = format!("{DEMO_KEYS}/good-{number}");
    let value = format!("\"{}\"", "x".repeat(98));
    let put = encode_request("PUT", &path, Some(DEMO_KEY), &[], value.as_bytes());
    let get = encode_request("GET", &path, Some(DEMO_KEY), &[], b"");
    let mut is_write = true;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.send(if is_write { &put } else { &get });
        let status = connection.read_response().status;
        let is_right = if is_write { matches!(status, 200 | 201) } else { status == 200 };
        assert!(is_right, "{status}");
        let ms = due.elapsed().as_secs_f64() * 1_000.0;
        if is_write {
            latencies.writes_ms.push(ms)
        } else {
            latencies.reads_ms.push(ms)
        }
        is_write = !is_write;
        due += PERIOD;
    }
    latencies
}

/// The value that so many of a thousand of sorted values do not exceed.
pub fn quantile(sorted: &[f64], per_mille: usize) -> f64 {
    let at = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
