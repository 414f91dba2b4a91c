//! A pool of threads for jobs that would stall an event loop, with a bounded queue.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Does something, or hears that it was refused, and tells its result to whoever waits for it.
pub(super) type Work = Box<dyn FnOnce(Turn) + Send>;

/// What a pool says to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is its turn.
    Run,
    /// Too much is waiting.
    Refused,
}

/// Where the event loops put work.
#[derive(Clone)]
pub(super) struct Sender(SyncSender<Work>);

impl Sender {
    /// Queues `work`, or refuses it if too much is waiting.
    pub(super) fn push(&self, work: Work) {
        if let Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) = self.0.try_send(work) {
            work(Turn::Refused);
        }
    }
}

pub(super) struct Pool {
    sender: SyncSender<Work>,
    is_stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(name: &str, threads: usize, queue_max: usize) -> io::Result<Pool> {
        let (sender, receiver) = sync_channel(queue_max);
        let receiver = Arc::new(Mutex::new(receiver));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let spawn = |number| {
            let (receiver, is_stopping) = (Arc::clone(&receiver), Arc::clone(&is_stopping));
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            thread.spawn(move || {
                while let Some(work) = next(&receiver) {
                    if !is_stopping.load(Ordering::Relaxed) {
                        work(Turn::Run);
                    }
                }
            })
        };
        let threads = (0..threads).map(spawn).collect::<io::Result<_>>()?;
        Ok(Pool { sender, is_stopping, threads })
    }

    pub(super) fn sender(&self) -> Sender {
        Sender(self.sender.clone())
    }

    /// Waits for what is being done. What is only queued is dropped: nobody is left who waits for it.
    /// All other senders must be gone.
    pub(super) fn stop(self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        drop(self.sender);
        for thread in self.threads {
            // Work that panics is caught where it was made.
            let _ = thread.join();
        }
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
