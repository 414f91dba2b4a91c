//! The timers of a namespace, and which of them a change of the clock has ended.
//!
//! A change of the clock ends every key that was written before it and expires at its instant or earlier. The
//! timer moves from `running` to `ended`, and is removed when the key is reclaimed. If the clock is set back before
//! that, the keys that an earlier change has ended stay with that change, because the later one does not end them.
//!
//! If many keys are deleted together, their timers stay for a while. Such timers are *stale*: their entries are
//! gone. They end and are counted like the others, and the totals subtract them.

use super::change::Revision;
use super::entry::Entry;
use super::expiry::{ExpiryIndex, Timer};

/// The timers of a namespace.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Those that no change of the clock has ended.
    running: ExpiryIndex,
    /// The latest change of the clock.
    watermark: ExpiryWatermark,
    /// Those that `seen` has ended.
    ended: ExpiryIndex,
    /// Those that earlier changes have ended and that `seen` may not end. The oldest come first.
    earlier: Vec<Earlier>,
    /// The number of stale timers, and the bytes of the keys and values that they had.
    stale: (u64, u64),
}

/// A change of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpiryWatermark {
    /// Its instant, milliseconds since 1970.
    pub at_ms: u64,
    pub revision: Revision,
}

#[derive(Debug)]
struct Earlier {
    watermark: ExpiryWatermark,
    ended: ExpiryIndex,
}

/// What undoes a change of the clock.
#[derive(Debug)]
pub struct UndoExpiry {
    before: ExpiryWatermark,
    ended: Ended,
}

#[derive(Debug)]
enum Ended {
    Nothing,
    /// This timer and those after it.
    From(u64, Revision, Box<str>),
    /// All of `ended`. Those that were in it before are in `earlier`.
    All,
}

impl ExpiryWatermark {
    /// Whether the change ended `entry`.
    fn covers(self, entry: Entry<'_>) -> bool {
        entry.expires_ms().is_some_and(|expires_ms| expires_ms <= self.at_ms)
            && entry.revision() <= self.revision
    }
}

impl Times {
    /// No timers, and a clock that was last changed to `expired_until_ms`.
    pub(crate) fn starting_at(expired_until_ms: u64) -> Times {
        Times {
            watermark: ExpiryWatermark { at_ms: expired_until_ms, revision: Revision::default() },
            ..Times::default()
        }
    }

    /// The instant of the latest change of the clock.
    pub(crate) fn expired_until_ms(&self) -> u64 {
        self.watermark.at_ms
    }

    /// Whether a change of the clock has ended `entry`.
    pub(crate) fn have_expired(&self, entry: Entry<'_>) -> bool {
        self.watermark.covers(entry) || self.earlier.iter().any(|earlier| earlier.watermark.covers(entry))
    }

    /// The timer that ends next.
    pub(crate) fn next(&self) -> Option<Timer<'_>> {
        self.running.first()
    }

    /// Whether the keys of `changes_max` changes of the clock are not reclaimed yet, so that the next change has to wait.
    pub(crate) fn are_crowded(&self, changes_max: usize) -> bool {
        self.earlier.len() >= changes_max
    }

    /// Adds the timer of `entry`, if it has one.
    pub(crate) fn add(&mut self, entry: Entry<'_>) {
        if let Some(timer) = entry.timer() {
            self.index_of(entry).add(timer, entry.counted_bytes());
        }
    }

    /// Removes the timer of `entry`.
    pub(crate) fn remove(&mut self, entry: Entry<'_>) {
        if let Some(timer) = entry.timer() {
            self.index_of(entry).remove(timer);
        }
    }

    /// Applies the change of the clock `seen`, which is newer than all others.
    pub(crate) fn advance(&mut self, watermark: ExpiryWatermark) -> UndoExpiry {
        let newly = self.running.take_expired(watermark.at_ms);
        let ends_all = watermark.at_ms >= self.watermark.at_ms && self.ended.precedes(&newly);
        let ended = if ends_all || self.ended.sums().0 == 0 {
            let first = newly
                .first()
                .map(|Timer { expires_ms, revision, key }| Ended::From(expires_ms, revision, key.into()));
            self.ended.append(newly);
            first.unwrap_or(Ended::Nothing)
        } else {
            let before = std::mem::replace(&mut self.ended, newly);
            self.earlier.push(Earlier { watermark: self.watermark, ended: before });
            Ended::All
        };
        UndoExpiry { before: std::mem::replace(&mut self.watermark, watermark), ended }
    }

    /// Undoes a change of the clock. The changes after it have been undone before.
    pub(crate) fn forget(&mut self, undo: UndoExpiry) {
        let newly = match undo.ended {
            Ended::Nothing => ExpiryIndex::default(),
            Ended::From(expires_ms, revision, key) => {
                self.ended.split_off(Timer { expires_ms, revision, key: &key })
            }
            Ended::All => {
                // It no longer exists if its last key was reclaimed in the meantime.
                let before = self.earlier.pop_if(|earlier| earlier.watermark == undo.before);
                std::mem::replace(&mut self.ended, before.map(|before| before.ended).unwrap_or_default())
            }
        };
        let later = std::mem::replace(&mut self.running, newly);
        self.running.append(later);
        self.watermark = undo.before;
    }

    /// The first timer that a change of the clock up to `until` has ended.
    pub(crate) fn first_ended(&self, until: Revision) -> Option<Timer<'_>> {
        let groups = self.earlier.iter().map(|earlier| (earlier.watermark, &earlier.ended));
        let mut groups = groups.chain([(self.watermark, &self.ended)]);
        groups.find_map(|(watermark, ended)| if watermark.revision <= until { ended.first() } else { None })
    }

    /// Removes what [`Times::first_ended`] returned: its key, and the bytes of key and value.
    pub(crate) fn pop_ended(&mut self, until: Revision) -> Option<(Box<str>, u64)> {
        let groups = self.earlier.iter_mut().map(|earlier| (earlier.watermark, &mut earlier.ended));
        let mut groups = groups.chain([(self.watermark, &mut self.ended)]);
        let popped = groups
            .find_map(|(watermark, ended)| if watermark.revision <= until { ended.pop() } else { None });
        drop(groups);
        self.earlier.retain(|earlier| earlier.ended.sums().0 > 0);
        popped
    }

    /// How many timers have ended at `now_ms`, stale ones too, and the bytes of their keys and values.
    pub(crate) fn ended(&self, now_ms: u64) -> (u64, u64) {
        let earlier = self.earlier.iter().map(|earlier| earlier.ended.sums());
        let now = [self.ended.sums(), self.running.expired(now_ms)];
        earlier
            .chain(now)
            .fold((0, 0), |(keys, bytes), (more_keys, more_bytes)| (keys + more_keys, bytes + more_bytes))
    }

    /// The timers that have ended at `now_ms`, stale ones too, with the bytes of keys and values.
    pub(crate) fn ended_timers(&self, now_ms: u64) -> impl Iterator<Item = (Timer<'_>, u64)> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.ended).chain([&self.ended]);
        let earlier = earlier.flat_map(|ended| ended.expired_timers(u64::MAX));
        earlier.chain(self.running.expired_timers(now_ms))
    }

    /// How many timers are stale, and the bytes of the keys and values that they had.
    pub(crate) fn stale(&self) -> (u64, u64) {
        self.stale
    }

    /// Counts this many more timers as stale.
    pub(crate) fn add_stale(&mut self, keys: u64, bytes: u64) {
        self.stale = (self.stale.0 + keys, self.stale.1 + bytes);
    }

    /// Counts this many fewer timers as stale: their entries are back, or they were removed.
    pub(crate) fn discount_stale(&mut self, keys: u64, bytes: u64) {
        self.stale = (self.stale.0.saturating_sub(keys), self.stale.1.saturating_sub(bytes));
    }

    /// Removes the stale timer of `entry`, if it still exists.
    pub(crate) fn remove_stale(&mut self, entry: Entry<'_>) {
        let Some(timer) = entry.timer() else { return };
        if self.index_of(entry).remove(timer) {
            self.discount_stale(1, entry.counted_bytes());
        }
    }

    /// Whether there are exactly `timed` timers, none of them stale.
    pub(crate) fn are_all(&self, timed: u64) -> bool {
        self.stale.0 == 0 && self.ended(u64::MAX).0 == timed
    }

    /// The timers up to `at_ms` that no change of the clock has ended.
    pub(crate) fn running_until(&self, at_ms: u64) -> impl Iterator<Item = Timer<'_>> {
        self.running.expired_timers(at_ms).map(|(timer, _)| timer)
    }

    /// Removes all timers. The clock stays as it is.
    pub(crate) fn take_all(&mut self) -> Times {
        std::mem::replace(self, Times { watermark: self.watermark, ..Times::default() })
    }

    /// The index that has the timer of `entry`, or that it belongs in: that of the first change that ended it.
    fn index_of(&mut self, entry: Entry<'_>) -> &mut ExpiryIndex {
        if let Some(earlier) = self.earlier.iter_mut().find(|earlier| earlier.watermark.covers(entry)) {
            return &mut earlier.ended;
        }
        if self.watermark.covers(entry) { &mut self.ended } else { &mut self.running }
    }
}
