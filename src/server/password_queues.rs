//! The order in which passwords are hashed.
//!
//! ```text
//! operator -----------------------------> first
//! clients that have signed in before ---> in turn with
//! other clients, registrations ---------> these
//! ```
//! Each of these is a [`FairQueue`] of its own, so neither a flood of unknown clients nor one client that signs in all
//! the time keeps the others waiting.

use super::fair_queue::FairQueue;
use super::pool::{Queue, Work};
use crate::api::reply::{Share, Standing};
use crate::limits::PASSWORD_QUEUE_MAX;

pub(super) struct PasswordQueues {
    operator: FairQueue<Work>,
    known: FairQueue<Work>,
    unknown: FairQueue<Work>,
    next: Standing,
}

impl PasswordQueues {
    pub(super) fn new() -> PasswordQueues {
        let queue = || FairQueue::new(PASSWORD_QUEUE_MAX);
        let (operator, known, unknown) = (queue(), queue(), queue());
        PasswordQueues { operator, known, unknown, next: Standing::Known }
    }

    /// Adds `work`. Returns what did not fit: `work`, or other work that was evicted for it.
    pub(super) fn push(&mut self, share: Share, work: Work) -> Option<Work> {
        self.queue(share.standing).push(share.address, work)
    }

    fn queue(&mut self, standing: Standing) -> &mut FairQueue<Work> {
        match standing {
            Standing::Operator => &mut self.operator,
            Standing::Known => &mut self.known,
            Standing::Unknown => &mut self.unknown,
        }
    }
}

impl Queue for PasswordQueues {
    fn pop(&mut self) -> Option<Work> {
        if let Some(work) = self.operator.pop() {
            return Some(work);
        }
        let first = self.next;
        let second = if first == Standing::Known { Standing::Unknown } else { Standing::Known };
        self.next = second;
        self.queue(first).pop().or_else(|| self.queue(second).pop())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::{Pool, Turn};
    use super::*;
    use std::sync::mpsc::{Sender as Log, channel};

    fn share(standing: Standing, number: u8) -> Share {
        Share { standing, address: [10, 0, 0, number].into() }
    }

    fn work(name: &str, log: &Log<String>) -> Work {
        let (name, log) = (name.to_owned(), log.clone());
        Box::new(move |turn| {
            let line = if turn == Turn::Run { name } else { format!("{name} refused") };
            log.send(line).unwrap();
        })
    }

    #[test]
    fn the_operator_is_first_and_known_and_unknown_clients_take_turns() {
        let (log, logged) = channel();
        let mut queues = PasswordQueues::new();
        for (standing, number, name) in [
            (Standing::Unknown, 1, "s1"),
            (Standing::Unknown, 1, "s2"),
            (Standing::Known, 2, "k1"),
            (Standing::Known, 2, "k2"),
            (Standing::Known, 2, "k3"),
            (Standing::Unknown, 3, "s3"),
            (Standing::Operator, 4, "o"),
        ] {
            assert!(queues.push(share(standing, number), work(name, &log)).is_none());
        }
        while let Some(work) = queues.pop() {
            work(Turn::Run);
        }
        let order: Vec<String> = logged.try_iter().collect();
        assert_eq!(order, ["o", "k1", "s1", "k2", "s3", "k3", "s2"]);
    }

    #[test]
    fn work_that_does_not_fit_is_refused_and_a_stop_drops_queued_work() {
        let (log, logged) = channel();
        let pool = Pool::new(PasswordQueues::new());
        let push = |number, name: &str| {
            pool.push(|queues| queues.push(share(Standing::Unknown, number), work(name, &log)));
        };
        (0..PASSWORD_QUEUE_MAX).for_each(|number| push(1, &number.to_string()));
        assert!(logged.try_recv().is_err());
        push(1, "own");
        push(2, "other");
        let newest = format!("{} refused", PASSWORD_QUEUE_MAX - 1);
        assert_eq!(logged.try_iter().collect::<Vec<_>>(), ["own refused".to_owned(), newest]);
        pool.stop();
        assert!(pool.next().is_none());
    }
}
