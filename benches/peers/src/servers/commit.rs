//! A bare group commit: loops of mio + httparse that append the body of each request to what is
//! pending, one thread that writes and syncs it, and a constant for an answer, the bytes of a whole
//! answer of PiKV, once that is done. What this stack can do at most with durable writes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::loops::{self, EVENTS_MAX, HEADERS_MAX, Start, Visitor, WAKER};
use crate::failure::{Outcome, failure};

const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// The journal is filled before and written round and round, so that no sync has a new length or new
/// blocks to record.
const JOURNAL_BYTES: usize = 64 * 1024 * 1024;

/// As in PiKV.
const GATHER_ROUNDS_MAX: u32 = 4;

/// What the loops and the writer share.
#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    signal: Condvar,
    /// The last batch that is on disk.
    synced: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many batches the writer has taken.
    taken: u64,
}

/// What the writer wakes.
#[derive(Debug)]
struct Sleeper {
    waker: Arc<Waker>,
    sleeps: AtomicBool,
}

/// Serves. `file` has the answer to give; the journal lies beside it.
///
/// # Errors
/// The file cannot be read, the journal not be made, or there is no address to listen on.
pub fn serve(file: &Path) -> Outcome<()> {
    let answer: Arc<[u8]> = fs::read(file)?.into();
    let journal = File::create(file.with_extension("journal"))?;
    journal.write_all_at(&vec![b' '; JOURNAL_BYTES], 0)?;
    journal.sync_all()?;
    let shared = Arc::new(Shared::default());
    loops::serve(|starts| {
        let mut sleepers = Vec::new();
        for start in starts {
            let sleeper =
                Arc::new(Sleeper { waker: Arc::clone(&start.waker), sleeps: AtomicBool::new(false) });
            sleepers.push(Arc::clone(&sleeper));
            let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
            thread::spawn(move || run(start, &shared, &sleeper, &answer));
        }
        thread::spawn(move || write(&journal, &shared, &sleepers));
    })
}

fn locked(shared: &Shared) -> MutexGuard<'_, Pending> {
    shared.pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes and syncs batch after batch.
fn write(journal: &File, shared: &Shared, sleepers: &[Arc<Sleeper>]) -> Outcome<()> {
    let mut bytes = Vec::new();
    let mut end = 0;
    loop {
        bytes.clear();
        let batch = take_pending(shared, &mut bytes);
        if end + bytes.len() > JOURNAL_BYTES {
            end = 0;
        }
        journal.write_all_at(&bytes, end as u64)?;
        end += bytes.len();
        journal.sync_data()?;
        shared.synced.store(batch, Ordering::SeqCst);
        for sleeper in sleepers.iter().filter(|sleeper| sleeper.sleeps.load(Ordering::SeqCst)) {
            sleeper.waker.wake()?;
        }
    }
}

/// Waits for changes, lets the loops go first while there come more, and takes them. Returns the number
/// of the batch.
fn take_pending(shared: &Shared, bytes: &mut Vec<u8>) -> u64 {
    let mut pending = locked(shared);
    while pending.bytes.is_empty() {
        pending = shared.signal.wait(pending).unwrap_or_else(PoisonError::into_inner);
    }
    let mut gathered_bytes = 0;
    for _ in 0..GATHER_ROUNDS_MAX {
        if pending.bytes.len() == gathered_bytes {
            break;
        }
        gathered_bytes = pending.bytes.len();
        drop(pending);
        thread::yield_now();
        pending = locked(shared);
    }
    std::mem::swap(bytes, &mut pending.bytes);
    pending.taken += 1;
    pending.taken
}

fn run(start: Start, shared: &Shared, sleeper: &Sleeper, answer: &[u8]) -> Outcome<()> {
    let Start { mut poll, arrivals, .. } = start;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut visitors: Vec<Option<Visitor>> = Vec::new();
    let mut buffer = vec![0; REQUEST_BYTES_MAX];
    let mut changes = Vec::new();
    // The batch that each request waits for, oldest first, and the token of its connection.
    let mut waiting: VecDeque<(u64, usize)> = VecDeque::new();
    loop {
        let next = waiting.front().map(|(batch, _)| *batch);
        wait_for_events(&mut poll, &mut events, shared, sleeper, next)?;
        let mut came = Vec::new();
        for event in &events {
            let Token(token) = event.token();
            if event.token() == WAKER {
                loops::take_in(&poll, &arrivals, &mut visitors)?;
            } else if let Some(place) = visitors.get_mut(token)
                && let Some(visitor) = place
            {
                match read(visitor, &mut buffer, &mut changes) {
                    Some(requests) => came.extend(std::iter::repeat_n(token, requests)),
                    None => *place = None,
                }
            }
        }
        if !came.is_empty() {
            let batch = hand_over(shared, &mut changes);
            waiting.extend(came.into_iter().map(|token| (batch, token)));
        }
        let synced = shared.synced.load(Ordering::SeqCst);
        while let Some((_, token)) = waiting.pop_front_if(|(batch, _)| *batch <= synced) {
            if let Some(Some(visitor)) = visitors.get_mut(token) {
                // An answer is far smaller than the socket's buffer.
                visitor.stream.write_all(answer)?;
            }
        }
    }
}

/// Gives way and looks; sleeps where there is nothing, neither on a socket nor a batch synced.
fn wait_for_events(
    poll: &mut Poll,
    events: &mut Events,
    shared: &Shared,
    sleeper: &Sleeper,
    next: Option<u64>,
) -> Outcome<()> {
    thread::yield_now();
    poll.poll(events, Some(Duration::ZERO))?;
    if !events.is_empty() {
        return Ok(());
    }
    sleeper.sleeps.store(true, Ordering::SeqCst);
    // A batch that was synced before the line above woke nobody.
    if next.is_none_or(|batch| batch > shared.synced.load(Ordering::SeqCst)) {
        poll.poll(events, None)?;
    }
    sleeper.sleeps.store(false, Ordering::SeqCst);
    Ok(())
}

/// Appends `changes` to what is pending and empties them. Returns the number of their batch.
fn hand_over(shared: &Shared, changes: &mut Vec<u8>) -> u64 {
    let mut pending = locked(shared);
    if pending.bytes.is_empty() {
        shared.signal.notify_one();
    }
    pending.bytes.append(changes);
    pending.taken + 1
}

/// Reads what is there and appends complete requests to `changes`. Returns how many there were, `None`
/// where the connection is over.
fn read(visitor: &mut Visitor, buffer: &mut [u8], changes: &mut Vec<u8>) -> Option<usize> {
    let mut requests = 0;
    loop {
        let length = match visitor.stream.read(buffer) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(requests),
            Err(_) => return None,
        };
        let kept = std::mem::take(&mut visitor.input);
        let joined = [kept.as_slice(), &buffer[..length]].concat();
        let mut rest = joined.as_slice();
        while let Some(taken) = take_request(rest, changes).ok()? {
            rest = &rest[taken..];
            requests += 1;
        }
        visitor.input.extend_from_slice(rest);
        // The socket is empty: whatever comes next is another event.
        if length < buffer.len() {
            return Some(requests);
        }
    }
}

/// Appends target and body of the first request, where it is complete, and returns its length.
fn take_request(input: &[u8], changes: &mut Vec<u8>) -> Outcome<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if input.len() < REQUEST_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(failure("no request")),
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.map_or(Some(0), |header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let end = head + length.ok_or_else(|| failure("no length"))?;
    let Some(body) = input.get(head..end) else { return Ok(None) };
    changes.extend_from_slice(request.path.unwrap_or("/").as_bytes());
    changes.push(b' ');
    changes.extend_from_slice(body);
    changes.push(b'\n');
    Ok(Some(end))
}
