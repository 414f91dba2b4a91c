//! The clock of a cell, which its servers keep together, so that an entry that has expired for one of them has expired
//! for all.
//!
//! A server whose clock is ahead of the others must not set it: it would expire the keys of all. So a server that finds
//! its own clock far ahead of the cell's first looks whether another one keeps that.

use crate::limits::{CELL_CARE_INTERVAL_MS, CELL_CLOCK_CHECKS_MIN, CELL_CLOCK_DIFFERENCE_MS_MAX};

/// Milliseconds since 1970, as digits.
pub(super) const CLOCK_KEY: &[u8] = b"s/clock";

/// What one server knows of the clock of a cell.
#[derive(Debug, Default)]
pub(super) struct SharedClock {
    /// `mod_revision` at the last look.
    seen: Option<i64>,
    /// Looks since another server was seen to write it.
    looks: u32,
    /// The own clock at the last look.
    looked_ms: u64,
    /// By how much the own clock is ahead of the other servers.
    ahead_ms: u64,
}

/// The clock as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub mod_revision: i64,
    pub shown_ms: u64,
}

/// What a look tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// What to write, if it is this server's turn.
    pub write: Option<u64>,
    /// By how much the own clock is ahead of the other servers.
    pub ahead_ms: u64,
    pub difference: Difference,
    /// Whether no other server seems to sweep.
    pub is_alone: bool,
}

/// How the clock of this machine differs from the cell's by more than it may, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    Fine,
    Slow(u64),
    Ahead(u64),
}

impl SharedClock {
    pub(super) fn judge(&mut self, own_ms: u64, reading: Option<Reading>) -> Judgement {
        let elapsed_ms = own_ms.saturating_sub(std::mem::replace(&mut self.looked_ms, own_ms));
        let Some(Reading { mod_revision, shown_ms }) = reading else {
            return self.judgement(Some(own_ms), Difference::Fine);
        };
        let before = self.seen.replace(mod_revision);
        let is_of_other = before.is_some_and(|before| before != mod_revision);
        self.looks = if is_of_other { 0 } else { self.looks.saturating_add(1) };
        let ahead_ms = own_ms.saturating_sub(shown_ms);
        if shown_ms.saturating_sub(own_ms) > CELL_CLOCK_DIFFERENCE_MS_MAX {
            self.ahead_ms = 0;
            return self.judgement(None, Difference::Slow(shown_ms - own_ms));
        }
        if ahead_ms <= CELL_CLOCK_DIFFERENCE_MS_MAX {
            self.ahead_ms = 0;
            return self.judgement(due(own_ms, shown_ms), Difference::Fine);
        }
        // The other server wrote it after the last look.
        let ahead_for_sure_ms = ahead_ms.saturating_sub(elapsed_ms);
        if is_of_other && ahead_for_sure_ms > CELL_CLOCK_DIFFERENCE_MS_MAX {
            self.ahead_ms = ahead_for_sure_ms;
            return self.judgement(None, Difference::Ahead(ahead_for_sure_ms));
        }
        if self.ahead_ms > 0 {
            let write = due(own_ms.saturating_sub(self.ahead_ms), shown_ms);
            return self.judgement(write, Difference::Ahead(self.ahead_ms));
        }
        let is_kept_by_other = self.looks < CELL_CLOCK_CHECKS_MIN;
        self.judgement((!is_kept_by_other).then_some(own_ms), Difference::Fine)
    }

    /// Records that this server wrote the clock.
    pub(super) fn wrote(&mut self, mod_revision: i64) {
        self.seen = Some(mod_revision);
    }

    fn judgement(&self, write: Option<u64>, difference: Difference) -> Judgement {
        let is_alone = self.looks >= CELL_CLOCK_CHECKS_MIN;
        Judgement { write, ahead_ms: self.ahead_ms, difference, is_alone }
    }
}

/// `now_ms`, unless another server has written the clock a moment ago.
fn due(now_ms: u64, shown_ms: u64) -> Option<u64> {
    (now_ms >= shown_ms.saturating_add(CELL_CARE_INTERVAL_MS / 2)).then_some(now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN_MS: u64 = 1_800_000_000_000;
    const HOUR_MS: u64 = 3_600_000;
    const SECONDS_5: u64 = 5_000;

    /// A server whose clock is off by `offset_ms`.
    struct Server {
        clock: SharedClock,
        offset_ms: i64,
        last: Option<Judgement>,
    }

    /// Servers that look at one clock, one after the other.
    struct World {
        now_ms: u64,
        stored: Option<Reading>,
        servers: Vec<Server>,
    }

    impl World {
        fn new(stored_ms: Option<u64>, offsets_ms: &[i64]) -> World {
            let server = |&offset_ms: &i64| Server { clock: SharedClock::default(), offset_ms, last: None };
            let stored = stored_ms.map(|shown_ms| Reading { mod_revision: 1, shown_ms });
            World { now_ms: BEGIN_MS, stored, servers: offsets_ms.iter().map(server).collect() }
        }

        /// One look of each server, within an interval.
        fn turn(&mut self) {
            for server in &mut self.servers {
                self.now_ms += 500;
                let own_ms = self.now_ms.saturating_add_signed(server.offset_ms);
                let judged = server.clock.judge(own_ms, self.stored);
                if let Some(shown_ms) = judged.write {
                    let mod_revision = self.stored.map_or(0, |stored| stored.mod_revision) + 1;
                    assert!(
                        self.stored.is_none_or(|stored| stored.shown_ms < shown_ms),
                        "it never goes back"
                    );
                    self.stored = Some(Reading { mod_revision, shown_ms });
                    server.clock.wrote(mod_revision);
                }
                server.last = Some(judged);
            }
            self.now_ms += CELL_CARE_INTERVAL_MS - 500 * self.servers.len() as u64;
        }

        fn turns(&mut self, count: usize) {
            (0..count).for_each(|_| self.turn());
        }

        fn shown_ms(&self) -> u64 {
            self.stored.unwrap().shown_ms
        }

        fn judgement(&self, server: usize) -> Judgement {
            self.servers[server].last.unwrap()
        }
    }

    #[test]
    fn servers_with_right_clocks_keep_it_together() {
        for stored_ms in [None, Some(BEGIN_MS), Some(BEGIN_MS - HOUR_MS)] {
            let mut world = World::new(stored_ms, &[0, 400, -300]);
            world.turns(5);
            for _ in 0..20 {
                world.turn();
                assert!(world.shown_ms().abs_diff(world.now_ms) < SECONDS_5);
                assert!((0..3).all(|server| world.judgement(server).difference == Difference::Fine));
            }
        }
    }

    #[test]
    fn a_server_that_is_ahead_of_a_running_one_does_not_set_it() {
        for others in [&[0][..], &[0, 100]] {
            let offsets: Vec<i64> = [others, &[HOUR_MS as i64]].concat();
            let mut world = World::new(Some(BEGIN_MS), &offsets);
            for turn in 0..20 {
                world.turn();
                assert!(world.shown_ms() < world.now_ms + SECONDS_5, "{turn}");
            }
            let ahead = world.judgement(others.len());
            assert!(
                matches!(ahead.difference, Difference::Ahead(by_ms) if by_ms.abs_diff(HOUR_MS) < SECONDS_5)
            );
            assert!(ahead.ahead_ms.abs_diff(HOUR_MS) < SECONDS_5);
            // The others stop, and it keeps the right time.
            world.servers.drain(..others.len());
            for _ in 0..20 {
                world.turn();
                assert!(world.shown_ms().abs_diff(world.now_ms) < SECONDS_5, "{}", world.shown_ms());
            }
            assert!(world.judgement(0).is_alone);
            // Its clock is set.
            world.servers[0].offset_ms = 0;
            world.turns(3);
            assert_eq!((world.judgement(0).difference, world.judgement(0).ahead_ms), (Difference::Fine, 0));
        }
    }

    #[test]
    fn a_clock_that_no_server_kept_is_set_after_some_looks() {
        let mut world = World::new(Some(BEGIN_MS - HOUR_MS), &[0]);
        world.turns(CELL_CLOCK_CHECKS_MIN as usize - 1);
        assert_eq!(world.shown_ms(), BEGIN_MS - HOUR_MS);
        world.turns(2);
        assert!(world.shown_ms().abs_diff(world.now_ms) < SECONDS_5);
    }

    #[test]
    fn a_slow_server_does_not_set_it_back() {
        let mut world = World::new(Some(BEGIN_MS + HOUR_MS), &[0]);
        world.turns(4);
        assert_eq!(world.shown_ms(), BEGIN_MS + HOUR_MS);
        let slow = world.judgement(0);
        assert!(matches!(slow.difference, Difference::Slow(by_ms) if by_ms.abs_diff(HOUR_MS) < 20_000));
        assert!(slow.is_alone && slow.ahead_ms == 0);
    }
}
