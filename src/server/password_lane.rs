//! The threads that hash passwords, and the order in which they do it.
//!
//! ```text
//! operator -----------------------------> first
//! clients that have signed in before ---> in turn with
//! strangers, registrations -------------> these
//! ```
//! Each line is a [`FairQueue`] of its own, so neither a flood of strangers nor somebody who signs in
//! all the time keeps the others waiting.

use super::fair_queue::FairQueue;
use super::pool::{Turn, Work};
use crate::api::reply::{Share, Standing};
use crate::limits::PASSWORD_QUEUE_MAX;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub(super) struct PasswordLane {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Where the event loops put work.
#[derive(Clone)]
pub(super) struct Sender(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    operator: FairQueue<Work>,
    known: FairQueue<Work>,
    strangers: FairQueue<Work>,
    next: Standing,
    is_stopping: bool,
}

impl PasswordLane {
    pub(super) fn start(threads: usize) -> io::Result<PasswordLane> {
        let shared = Arc::new(Shared { state: Mutex::new(State::new()), changed: Condvar::new() });
        let spawn = |number| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("password-{number}"));
            thread.spawn(move || {
                while let Some(work) = shared.next() {
                    work(Turn::Run);
                }
            })
        };
        let threads = (0..threads).map(spawn).collect::<io::Result<_>>()?;
        Ok(PasswordLane { shared, threads })
    }

    pub(super) fn sender(&self) -> Sender {
        Sender(Arc::clone(&self.shared))
    }

    /// Waits for what is being done. What is only queued is dropped: nobody is left who waits for it.
    pub(super) fn stop(self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_all();
        for thread in self.threads {
            // Work that panics is caught where it was queued.
            let _ = thread.join();
        }
    }
}

impl Sender {
    /// Queues `work`. What finds no space, this or other work, is refused.
    pub(super) fn push(&self, share: Share, work: Work) {
        let refused = self.0.lock().queue(share.standing).push(share.address, work);
        self.0.changed.notify_one();
        if let Some(work) = refused {
            work(Turn::Refused);
        }
    }
}

impl Shared {
    /// The next work; waits for it. `None` once the lane stops.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some(work) = state.pop() {
                return Some(work);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new() -> State {
        let queue = || FairQueue::new(PASSWORD_QUEUE_MAX);
        let (operator, known, strangers) = (queue(), queue(), queue());
        State { operator, known, strangers, next: Standing::Known, is_stopping: false }
    }

    fn queue(&mut self, standing: Standing) -> &mut FairQueue<Work> {
        match standing {
            Standing::Operator => &mut self.operator,
            Standing::Known => &mut self.known,
            Standing::Stranger => &mut self.strangers,
        }
    }

    fn pop(&mut self) -> Option<Work> {
        if let Some(work) = self.operator.pop() {
            return Some(work);
        }
        let first = self.next;
        let second = if first == Standing::Known { Standing::Stranger } else { Standing::Known };
        self.next = second;
        self.queue(first).pop().or_else(|| self.queue(second).pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender as Log, channel};

    fn share(standing: Standing, number: u8) -> Share {
        Share { standing, address: [10, 0, 0, number].into() }
    }

    fn work(name: &str, log: &Log<String>) -> Work {
        let (name, log) = (name.to_owned(), log.clone());
        Box::new(move |turn| {
            let said = if turn == Turn::Run { name } else { format!("{name} refused") };
            log.send(said).unwrap();
        })
    }

    #[test]
    fn the_operator_is_first_and_known_clients_and_strangers_take_turns() {
        let (log, logged) = channel();
        let mut state = State::new();
        for (standing, number, name) in [
            (Standing::Stranger, 1, "s1"),
            (Standing::Stranger, 1, "s2"),
            (Standing::Known, 2, "k1"),
            (Standing::Known, 2, "k2"),
            (Standing::Known, 2, "k3"),
            (Standing::Stranger, 3, "s3"),
            (Standing::Operator, 4, "o"),
        ] {
            let share = share(standing, number);
            assert!(state.queue(standing).push(share.address, work(name, &log)).is_none());
        }
        while let Some(work) = state.pop() {
            work(Turn::Run);
        }
        let order: Vec<String> = logged.try_iter().collect();
        assert_eq!(order, ["o", "k1", "s1", "k2", "s3", "k3", "s2"]);
    }

    #[test]
    fn what_finds_no_space_is_told_so_and_a_stop_drops_what_waits() {
        let (log, logged) = channel();
        let shared = Arc::new(Shared { state: Mutex::new(State::new()), changed: Condvar::new() });
        let sender = Sender(Arc::clone(&shared));
        for number in 0..PASSWORD_QUEUE_MAX {
            sender.push(share(Standing::Stranger, 1), work(&number.to_string(), &log));
        }
        assert!(logged.try_recv().is_err());
        sender.push(share(Standing::Stranger, 1), work("own", &log));
        sender.push(share(Standing::Stranger, 2), work("other", &log));
        let newest = format!("{} refused", PASSWORD_QUEUE_MAX - 1);
        assert_eq!(logged.try_iter().collect::<Vec<_>>(), ["own refused".to_owned(), newest]);
        shared.lock().is_stopping = true;
        assert!(shared.next().is_none());
    }
}
