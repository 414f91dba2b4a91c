//! What one writer was told about its keys, and whether a recovered server agrees.
//!
//! A writer has one write under way at most. So after a crash each of its keys is as the last
//! acknowledged write left it, or as the one that was under way would: nothing else.

use super::Tally;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the clock of the server and the monotonic one here may differ by.
const CLOCK_SLACK: Duration = Duration::from_millis(100);

/// What a write leaves under a key.
#[derive(Clone, Debug)]
pub struct Written {
    /// Counts the writes of one writer.
    pub number: u64,
    /// Whether there is a value then.
    pub is_there: bool,
    /// When it expires, counted from the write.
    pub ttl: Option<Duration>,
    sent_at: Instant,
    /// The latest moment at which the server may have taken it.
    taken_by: Instant,
}

impl Written {
    fn nothing() -> Written {
        let now = Instant::now();
        Written { number: 0, is_there: false, ttl: None, sent_at: now, taken_by: now }
    }

    /// Whether a key that this write was the last one to may be found as `found` between two moments.
    fn explains(&self, found: Option<u64>, from: Instant, to: Instant) -> bool {
        let may_be_gone = self.ttl.is_some_and(|ttl| to + CLOCK_SLACK >= self.sent_at + ttl);
        let must_be_gone = self.ttl.is_some_and(|ttl| from > self.taken_by + ttl + CLOCK_SLACK);
        match found {
            Some(number) => self.is_there && number == self.number && !must_be_gone,
            None => !self.is_there || may_be_gone,
        }
    }
}

/// A key of a writer.
#[derive(Clone, Debug)]
pub struct Slot {
    acknowledged: Written,
    in_flight: Option<Written>,
}

/// What readers were answered about one key.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The highest number of a value.
    pub number_max: u64,
    /// When a reader asked last that was told there is nothing.
    pub absent_asked: Option<Instant>,
}

/// All that one writer was told.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub project: String,
    slots: BTreeMap<String, Slot>,
    number: u64,
    /// Part of the names of keys. Where nobody could say yet what became of the last write, the writer
    /// goes on with other keys.
    pub life: u64,
    /// Acknowledged since the last check.
    pub acknowledged: u64,
    pub refused_507: u64,
    pub refused_503: u64,
}

/// How much more each of seven sizes of values has than the one before, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Padding(pub usize);

impl Padding {
    /// The value that write `number` stores.
    pub fn value(self, number: u64) -> Value {
        let letter = char::from(b'a' + (number % 26) as u8).to_string();
        json!({"number": number, "padding": letter.repeat(100 + (number % 7) as usize * self.0)})
    }

    /// The numbers of a listing's values, each of which must be whole.
    pub fn numbers(self, listing: &Value, tally: &mut Tally) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for (key, stored) in listing["keys"].as_object().unwrap() {
            let number = stored["number"].as_u64().unwrap_or(0);
            if *stored != self.value(number) {
                tally.lost.push(format!("{key}: not a value that was written: {stored}"));
            }
            found.insert(key.clone(), number);
        }
        found
    }
}

impl Ledger {
    pub fn new(project: &str) -> Ledger {
        Ledger {
            project: project.to_owned(),
            slots: BTreeMap::new(),
            number: 0,
            life: 0,
            acknowledged: 0,
            refused_507: 0,
            refused_503: 0,
        }
    }

    /// Notes a write of `keys` before it is sent; its number.
    pub fn begin(&mut self, keys: &[String], is_there: bool, ttl: Option<Duration>) -> u64 {
        self.number += 1;
        let now = Instant::now();
        let written = Written { number: self.number, is_there, ttl, sent_at: now, taken_by: now };
        for key in keys {
            let fresh = || Slot { acknowledged: Written::nothing(), in_flight: None };
            self.slots.entry(key.clone()).or_insert_with(fresh).in_flight = Some(written.clone());
        }
        self.number
    }

    /// The write under way was acknowledged.
    pub fn acknowledge(&mut self) {
        let now = Instant::now();
        self.acknowledged += 1;
        for slot in self.under_way() {
            if let Some(mut written) = slot.in_flight.take() {
                written.taken_by = now;
                slot.acknowledged = written;
            }
        }
    }

    /// The keys of the latest write, unless it is decided.
    fn under_way(&mut self) -> impl Iterator<Item = &mut Slot> {
        let number = self.number;
        let is_it = move |slot: &&mut Slot| slot.in_flight.as_ref().is_some_and(|it| it.number == number);
        self.slots.values_mut().filter(is_it)
    }

    /// The write under way was refused in a way that says that nothing was changed.
    pub fn refuse(&mut self) {
        self.under_way().for_each(|slot| slot.in_flight = None);
    }

    /// Goes on where a server is started that was not looked at with [`Ledger::check`].
    pub fn continue_working(&mut self) {
        self.life += u64::from(self.slots.values().any(|slot| slot.in_flight.is_some()));
    }

    /// The keys that a writer has written so far.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.slots.keys()
    }

    /// Holds `found`, the keys of the project that were listed between `from` and `to`, against the
    /// ledger and against what readers saw before. Then goes on from what was found.
    pub fn check(
        &mut self,
        found: &BTreeMap<String, u64>,
        (from, to): (Instant, Instant),
        seen: &BTreeMap<String, Seen>,
        tally: &mut Tally,
    ) {
        let mut ways: BTreeMap<u64, (bool, bool)> = BTreeMap::new();
        for (key, slot) in &mut self.slots {
            let here = found.get(key).copied();
            if let Some(written) = &mut slot.in_flight {
                written.taken_by = from;
            }
            let by_acknowledged = slot.acknowledged.explains(here, from, to);
            let by_in_flight = slot.in_flight.as_ref().is_some_and(|it| it.explains(here, from, to));
            let context = || format!("{}/{key}: found {here:?}, {slot:?}", self.project);
            if !by_acknowledged && !by_in_flight {
                tally.lost.push(context());
            }
            if let Some(written) = &slot.in_flight {
                let way = ways.entry(written.number).or_insert((true, true));
                *way = (way.0 && by_acknowledged, way.1 && by_in_flight);
            }
            if let Some(seen) = seen.get(key)
                && !slot.bears_out_reads(seen, here, by_in_flight)
            {
                tally.unsynced.push(format!("{}; seen before {seen:?}", context()));
            }
            if by_in_flight && !by_acknowledged {
                slot.acknowledged = slot.in_flight.take().unwrap();
            }
            slot.in_flight = None;
        }
        for (number, _) in ways.iter().filter(|(_, (undone, done))| !undone && !done) {
            tally.lost.push(format!("{}: half of write {number} was found", self.project));
        }
        tally.acknowledged += std::mem::take(&mut self.acknowledged);
    }
}

impl Slot {
    /// Whether what readers saw before the crash is still so.
    fn bears_out_reads(&self, seen: &Seen, here: Option<u64>, by_in_flight: bool) -> bool {
        // A reader that saw the write under way rested on it, so it must have been done.
        let saw_in_flight = seen.number_max > self.acknowledged.number;
        let saw_deletion = self.acknowledged.is_there
            && self.acknowledged.ttl.is_none()
            && here.is_some()
            && seen.absent_asked.is_some_and(|asked| asked > self.acknowledged.taken_by);
        (!saw_in_flight || by_in_flight) && !saw_deletion
    }
}
