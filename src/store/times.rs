//! The timers of a project, and the watermark up to which they have expired.
//!
//! A new expiry watermark covers every key that was written before it and expires at its instant or earlier. The timer
//! moves from `running` to `ended`, and is removed when the key is reclaimed. If the clock is set back before that, the
//! timers that an earlier watermark covers stay with that watermark, because the later one does not cover them.
//!
//! If many keys are deleted together, their timers stay for a while. Such timers are *stale*: their entries are gone.
//! They end and are counted like the others; the totals subtract them.

use super::change::Revision;
use super::entry::Entry;
use super::expiry::{ExpiryIndex, Timer};

#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Timers that no watermark covers.
    running: ExpiryIndex,
    watermark: ExpiryWatermark,
    /// Timers that `watermark` covers.
    ended: ExpiryIndex,
    /// Timers that earlier watermarks cover and `watermark` may not cover, the oldest first.
    earlier: Vec<Earlier>,
    /// The number of stale timers, and the bytes of their keys and values.
    stale: (u64, u64),
}

/// Keys written up to `revision` that expire by `at_ms` stay absent, even if the clock is set back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpiryWatermark {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub revision: Revision,
}

#[derive(Debug)]
struct Earlier {
    watermark: ExpiryWatermark,
    ended: ExpiryIndex,
}

/// Reverts a new watermark.
#[derive(Debug)]
pub struct UndoExpiry {
    before: ExpiryWatermark,
    ended: Ended,
}

#[derive(Debug)]
enum Ended {
    Nothing,
    /// This timer and all after it.
    From(u64, Revision, Box<str>),
    /// All of `ended`. The earlier ones are in `earlier`.
    All,
}

impl ExpiryWatermark {
    fn covers(self, entry: Entry<'_>) -> bool {
        entry.expires_ms().is_some_and(|expires_ms| expires_ms <= self.at_ms)
            && entry.revision() <= self.revision
    }
}

impl Times {
    /// No timers, and a watermark at `expired_until_ms`.
    pub(crate) fn starting_at(expired_until_ms: u64) -> Times {
        Times {
            watermark: ExpiryWatermark { at_ms: expired_until_ms, revision: Revision::default() },
            ..Times::default()
        }
    }

    pub(crate) fn expired_until_ms(&self) -> u64 {
        self.watermark.at_ms
    }

    /// Whether a watermark covers `entry`.
    pub(crate) fn have_expired(&self, entry: Entry<'_>) -> bool {
        self.watermark.covers(entry) || self.earlier.iter().any(|earlier| earlier.watermark.covers(entry))
    }

    pub(crate) fn next(&self) -> Option<Timer<'_>> {
        self.running.first()
    }

    /// Whether the keys of `watermarks_max` watermarks wait to be reclaimed, so that the next watermark has to wait.
    pub(crate) fn are_watermarks_full(&self, watermarks_max: usize) -> bool {
        self.earlier.len() >= watermarks_max
    }

    /// Adds the timer of `entry`, if it has one.
    pub(crate) fn add(&mut self, entry: Entry<'_>) {
        if let Some(timer) = entry.timer() {
            self.index_of(entry).add(timer, entry.counted_bytes());
        }
    }

    pub(crate) fn remove(&mut self, entry: Entry<'_>) {
        if let Some(timer) = entry.timer() {
            self.index_of(entry).remove(timer);
        }
    }

    /// Sets the watermark, which is newer than all others.
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

    /// Reverts the latest watermark.
    pub(crate) fn forget(&mut self, undo: UndoExpiry) {
        let newly = match undo.ended {
            Ended::Nothing => ExpiryIndex::default(),
            Ended::From(expires_ms, revision, key) => {
                self.ended.split_off(Timer { expires_ms, revision, key: &key })
            }
            Ended::All => {
                // It is gone if its last key was reclaimed in the meantime.
                let before = self.earlier.pop_if(|earlier| earlier.watermark == undo.before);
                std::mem::replace(&mut self.ended, before.map(|before| before.ended).unwrap_or_default())
            }
        };
        let later = std::mem::replace(&mut self.running, newly);
        self.running.append(later);
        self.watermark = undo.before;
    }

    /// The first timer that a watermark up to revision `until` covers.
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

    /// The number of timers that have ended at `now_ms`, including stale ones, and the bytes of their keys and values.
    pub(crate) fn ended(&self, now_ms: u64) -> (u64, u64) {
        let earlier = self.earlier.iter().map(|earlier| earlier.ended.sums());
        let now = [self.ended.sums(), self.running.expired(now_ms)];
        earlier
            .chain(now)
            .fold((0, 0), |(keys, bytes), (more_keys, more_bytes)| (keys + more_keys, bytes + more_bytes))
    }

    /// The timers that have ended at `now_ms`, including stale ones, with the bytes of keys and values.
    pub(crate) fn ended_timers(&self, now_ms: u64) -> impl Iterator<Item = (Timer<'_>, u64)> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.ended).chain([&self.ended]);
        let earlier = earlier.flat_map(|ended| ended.expired_timers(u64::MAX));
        earlier.chain(self.running.expired_timers(now_ms))
    }

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

    /// The timers up to `at_ms` that no watermark covers.
    pub(crate) fn running_until(&self, at_ms: u64) -> impl Iterator<Item = Timer<'_>> {
        self.running.expired_timers(at_ms).map(|(timer, _)| timer)
    }

    /// Removes all timers. The watermark stays as it is.
    pub(crate) fn take_all(&mut self) -> Times {
        std::mem::replace(self, Times { watermark: self.watermark, ..Times::default() })
    }

    /// The index that the timer of `entry` belongs in: that of the first watermark that covers it.
    fn index_of(&mut self, entry: Entry<'_>) -> &mut ExpiryIndex {
        if let Some(earlier) = self.earlier.iter_mut().find(|earlier| earlier.watermark.covers(entry)) {
            return &mut earlier.ended;
        }
        if self.watermark.covers(entry) { &mut self.ended } else { &mut self.running }
    }
}
