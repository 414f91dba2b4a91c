//! The sink of the `log` crate and of the request log.
//!
//! A bounded queue collects the lines, and one thread, `log`, writes them to standard error, so that no other thread
//! waits for a slow terminal or a full pipe. Lines of a busy server are collected for a few milliseconds: a write for
//! each turn of each loop costs a tenth of the processor time. Lines that do not fit are dropped and counted, and the
//! count is logged. The thread sleeps while there is nothing to write.
//!
//! `mask.rs` hides what looks like a secret in messages and request targets. Callers still must not log secrets: a key
//! that an operator chose looks like any other text.

mod mask;
mod queue;
mod render;

pub use mask::{loggable_target, mask};
pub use render::{Format, RequestLine, render_request};

use crate::clock;
use crate::limits::{LOG_BYTES_MAX, LOG_INTERVAL_MS};
use ::log::{Level, LevelFilter, Log, Metadata, Record};
use queue::Queue;
use render::render_diagnostic;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;
use std::time::Duration;

/// There is one queue, because there is one standard error. Empty until [`start`].
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Starts the thread `log`, which also receives the messages of the `log` crate. A second call only sets the level.
///
/// # Errors
/// The thread cannot be started.
pub fn start(level: LevelFilter, format: Format) -> io::Result<()> {
    ::log::set_max_level(level);
    if QUEUE.set(Queue::new(LOG_BYTES_MAX)).is_err() {
        return Ok(());
    }
    let builder = std::thread::Builder::new().name("log".to_owned());
    builder.spawn(move || {
        if let Some(queue) = QUEUE.get() {
            write_forever(queue, format, &mut io::stderr());
        }
    })?;
    // Fails only if the program has a logger already, which then keeps the messages of the `log` crate.
    let _ = ::log::set_boxed_logger(Box::new(Logger { format }));
    Ok(())
}

/// Sets the level of the `log` crate, which also applies to request lines.
pub fn set_level(level: LevelFilter) {
    ::log::set_max_level(level);
}

/// Queues `lines`, which are whole and end with line feeds. Never waits for standard error. Before [`start`] it drops
/// the lines.
pub fn append(lines: &[u8]) {
    if let Some(queue) = QUEUE.get() {
        queue.append(lines);
    }
}

/// Waits until all queued lines are written, at most for `timeout`.
pub fn flush(timeout: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(timeout);
    }
}

struct Logger {
    format: Format,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= ::log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut line = Vec::with_capacity(128);
            render_diagnostic(clock::wall_ms(), record.level(), *record.args(), self.format, &mut line);
            append(&line);
        }
    }

    fn flush(&self) {
        flush(Duration::from_secs(1));
    }
}

/// The body of the thread `log`.
fn write_forever(queue: &Queue, format: Format, out: &mut impl Write) {
    let mut batch = Vec::new();
    let mut earliest = clock::monotonic();
    loop {
        let lines_dropped = queue.take(&mut batch, earliest);
        earliest = clock::monotonic() + Duration::from_millis(LOG_INTERVAL_MS);
        if lines_dropped > 0 {
            let text = format_args!("{lines_dropped} log lines dropped: standard error is too slow");
            render_diagnostic(clock::wall_ms(), Level::Warn, text, format, &mut batch);
        }
        write_batch(&batch, out);
    }
}

/// Writes `batch`. After an error it drops the rest: the error cannot be reported anywhere.
fn write_batch(batch: &[u8], out: &mut impl Write) {
    // Standard error may be non-blocking because another process has set this for the shared pipe.
    const WOULD_BLOCK_PAUSE: Duration = Duration::from_millis(10);
    let mut rest = batch;
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(WOULD_BLOCK_PAUSE),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
