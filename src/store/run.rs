//! Some entries that follow each other in key order, in one page.
//!
//! An entry is appended to the page, with its length before it. What is replaced or removed stays there, dead,
//! until a sixteenth of the page is; then the page is written again. So memory grows with what lives, whatever
//! was written before, and no entry has an allocation of its own.

use super::entry::{Entry, OwnedEntry, groups, groups_count, groups_of, push_groups};
use super::page::Page;
use crate::limits::{DEAD_PART_MAX, PAGE_BYTES, RUN_ENTRIES_MAX};

/// A full page is written again rather than split if more than one part in so many is dead.
const WORTH_PART: usize = 32;

/// Entries in key order.
#[derive(Debug)]
pub struct Run {
    page: Page,
    /// Where each entry begins in the page, and a part of its key.
    slots: Vec<Slot>,
    /// The first key, or its beginning.
    first: ShortKey,
    /// All keys begin with so many bytes of the first one.
    shared: usize,
    /// Bytes of the page that belong to no entry.
    dead: usize,
    /// How far the page was ever used.
    touched: usize,
    sums: Sums,
}

/// The six bytes of a key after what all keys of its run begin with, and where its entry begins: a search looks at
/// entries only if these bytes are the same.
#[derive(Clone, Copy, Debug)]
struct Slot(u64);

/// Up to 23 bytes of a key, here to be compared without a look at the page.
#[derive(Clone, Copy, Debug, Default)]
struct ShortKey {
    bytes: [u8; SHORT_KEY_BYTES],
    length: u8,
    is_whole: bool,
}

const SHORT_KEY_BYTES: usize = 22;

/// What some entries hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there are.
    pub keys: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// How many have a time to live.
    pub timed: u64,
    /// Bytes of the keys and values of those.
    pub timed_bytes: u64,
}

impl Run {
    /// A run of one entry.
    pub fn of(entry: Entry<'_>) -> Run {
        let mut run = Run::for_bytes(slot_bytes(entry));
        run.insert(0, entry);
        run
    }

    fn for_bytes(bytes: usize) -> Run {
        Run {
            page: Page::for_bytes(bytes),
            slots: Vec::new(),
            first: ShortKey::default(),
            shared: 0,
            dead: 0,
            touched: 0,
            sums: Sums::default(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What they hold together.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// Bytes that the entries take.
    pub fn live_bytes(&self) -> usize {
        self.page.used() - self.dead
    }

    /// Bytes of memory that its page takes.
    #[cfg(test)]
    pub fn touched_bytes(&self) -> usize {
        self.touched
    }

    /// The entries in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.slots.iter().map(|slot| self.at(*slot))
    }

    /// Entry `index`.
    pub fn entry(&self, index: usize) -> Option<Entry<'_>> {
        self.slots.get(index).map(|slot| self.at(*slot))
    }

    /// The first key.
    pub fn first(&self) -> Option<&[u8]> {
        self.entry(0).map(Entry::key_bytes)
    }

    /// The last key.
    pub fn last(&self) -> Option<&[u8]> {
        self.slots.last().map(|slot| self.at(*slot).key_bytes())
    }

    /// Whether the first key is `key` or before it.
    pub fn begins_by(&self, key: &[u8]) -> bool {
        let first = self.first.bytes.get(..usize::from(self.first.length)).unwrap_or_default();
        if self.first.is_whole || key.get(..first.len()) != Some(first) {
            return first <= key;
        }
        self.first().is_some_and(|first| first <= key)
    }

    /// The index of `key`, or the one that it would have.
    pub fn position(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(first) = self.begin() else { return Err(0) };
        match key.get(..self.shared) {
            Some(begin) if begin == first => {}
            Some(begin) if begin < first => return Err(0),
            Some(_) => return Err(self.len()),
            None => return Err(if key < first { 0 } else { self.len() }),
        }
        let part = part_of(key, self.shared);
        let from = self.slots.partition_point(|slot| slot.part() < part);
        let behind = self.slots.get(from..).unwrap_or_default();
        let same = behind.iter().take_while(|slot| slot.part() == part).count();
        let same = behind.get(..same).unwrap_or_default();
        let found = same.binary_search_by(|slot| self.at(*slot).key_bytes().cmp(key));
        found.map(|index| from + index).map_err(|index| from + index)
    }

    /// The index of the first entry whose key is not before.
    pub fn partition(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        self.slots.partition_point(|slot| is_before(self.at(*slot).key_bytes()))
    }

    /// Inserts `entry` at `index`. Returns false, and does nothing, if there is no space for it.
    pub fn insert(&mut self, index: usize, entry: Entry<'_>) -> bool {
        if self.len() >= RUN_ENTRIES_MAX {
            return false;
        }
        let bytes = slot_bytes(entry);
        if self.page.used() + bytes > PAGE_BYTES && self.dead > bytes + self.page.used() / WORTH_PART {
            self.compact();
        }
        let Some(start) = self.push(entry) else { return false };
        if self.slots.len() == self.slots.capacity() {
            // Few more: most runs of a large project are about as long for ever.
            self.slots.reserve_exact(1 + self.slots.len() / 8);
        }
        self.slots.insert(index, Slot::new(start, part_of(entry.key_bytes(), self.shared)));
        self.sums.add(Sums::of(entry));
        if self.len() == 1 {
            self.shared = entry.key_bytes().len();
        }
        if index == 0 {
            self.first = ShortKey::of(entry.key_bytes());
        }
        // What is between two keys shares what they share.
        if index == 0 || index + 1 == self.len() {
            self.share(self.shared);
        }
        true
    }

    /// What all keys begin with.
    fn begin(&self) -> Option<&[u8]> {
        if self.slots.is_empty() {
            return None;
        }
        match self.first.bytes.get(..self.shared) {
            Some(begin) if self.shared <= usize::from(self.first.length) => Some(begin),
            Some(_) | None => self.first()?.get(..self.shared),
        }
    }

    /// Finds how much of the first key all keys begin with, up to `shared_max`.
    fn share(&mut self, shared_max: usize) {
        let (first, last) = (self.first().unwrap_or_default(), self.last().unwrap_or_default());
        let same = first.iter().zip(last).take(shared_max).take_while(|(first, last)| first == last).count();
        if same == self.shared && self.len() > 1 {
            return;
        }
        self.shared = same;
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index).copied() else { return };
            let part = part_of(self.at(slot).key_bytes(), same);
            if let Some(slot) = self.slots.get_mut(index) {
                *slot = Slot::new(slot.start(), part);
            }
        }
    }

    /// Puts `entry` in the place of entry `index`, which has the same key, if it takes as many bytes. Returns
    /// the one before.
    pub fn overwrite(&mut self, index: usize, entry: Entry<'_>) -> Option<OwnedEntry> {
        let start = usize::from(self.slots.get(index)?.start());
        let before = self.entry(index)?;
        if before.bytes().len() != entry.bytes().len() {
            return None;
        }
        let before = before.to_owned();
        self.sums.remove(Sums::of(before.view()));
        self.sums.add(Sums::of(entry));
        let at = start + groups_count(entry.bytes().len() as u64);
        if let Some(slot) = self.page.bytes_mut().get_mut(at..at + entry.bytes().len()) {
            slot.copy_from_slice(entry.bytes());
        }
        Some(before)
    }

    /// Removes entry `index`.
    pub fn remove(&mut self, index: usize) -> Option<Sums> {
        let entry = self.entry(index)?;
        let (removed, bytes) = (Sums::of(entry), slot_bytes(entry));
        self.slots.remove(index);
        self.sums.remove(removed);
        self.dead += bytes;
        if index == 0 {
            self.first = self.first().map(ShortKey::of).unwrap_or_default();
        }
        if self.slots.len() < self.slots.capacity() / 4 {
            self.slots.shrink_to(2 * self.slots.len());
        }
        if self.dead > self.page.used() / DEAD_PART_MAX {
            self.compact();
        }
        Some(removed)
    }

    /// Splits the run: entry `index` and those after it are a run of their own.
    pub fn split_off(&mut self, index: usize) -> Run {
        let part = |from: usize, to: usize| {
            let slots = self.slots.get(from..to).unwrap_or_default();
            let bytes = slots.iter().map(|slot| slot_bytes(self.at(*slot))).sum();
            let mut run = Run::for_bytes(bytes);
            run.slots.reserve_exact(slots.len());
            // The last one first, so that what all share is known at once.
            if let Some(last) = slots.last() {
                run.insert(0, self.at(*last));
            }
            for (index, slot) in slots.iter().take(slots.len().saturating_sub(1)).enumerate() {
                run.insert(index, self.at(*slot));
            }
            run
        };
        let (before, behind) = (part(0, index), part(index, self.len()));
        *self = before;
        behind
    }

    /// Appends the entries of `behind`, which come after these.
    pub fn append(&mut self, behind: &Run) {
        self.extend(behind.entries());
    }

    fn extend<'e>(&mut self, entries: impl Iterator<Item = Entry<'e>>) {
        for entry in entries {
            self.insert(self.len(), entry);
        }
    }

    /// Writes the page again without what is dead: into a new one if that leaves memory unused.
    fn compact(&mut self) {
        let mut live = Vec::with_capacity(self.live_bytes());
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            let entry = self.at(*slot);
            *slot = Slot::new(u16::try_from(live.len()).unwrap_or(u16::MAX), slot.part());
            push_groups(&mut live, entry.bytes().len() as u64);
            live.extend_from_slice(entry.bytes());
        }
        self.slots = slots;
        if live.len() + live.len() / DEAD_PART_MAX < self.touched {
            self.page = Page::for_bytes(live.len());
            self.touched = 0;
        }
        self.page.clear();
        self.page.push(b"", &live);
        self.touched = self.touched.max(live.len());
        self.dead = 0;
    }

    /// Appends an entry to the page and returns where it begins.
    fn push(&mut self, entry: Entry<'_>) -> Option<u16> {
        let start = u16::try_from(self.page.used()).ok()?;
        let (head, length) = groups(entry.bytes().len() as u64);
        if !self.page.push(head.get(..length).unwrap_or_default(), entry.bytes()) {
            return None;
        }
        self.touched = self.touched.max(self.page.used());
        Some(start)
    }

    fn at(&self, slot: Slot) -> Entry<'_> {
        let (length, rest) =
            groups_of(self.page.bytes().get(usize::from(slot.start())..).unwrap_or_default());
        let length = usize::try_from(length).unwrap_or_default();
        Entry::of(rest.get(..length).unwrap_or_default())
    }
}

impl Slot {
    fn new(start: u16, part: u64) -> Slot {
        Slot(part << 16 | u64::from(start))
    }

    fn start(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn part(self) -> u64 {
        self.0 >> 16
    }
}

impl ShortKey {
    fn of(key: &[u8]) -> ShortKey {
        let (mut bytes, length) = ([0; SHORT_KEY_BYTES], key.len().min(SHORT_KEY_BYTES));
        for (short, byte) in bytes.iter_mut().zip(key) {
            *short = *byte;
        }
        ShortKey {
            bytes,
            length: u8::try_from(length).unwrap_or_default(),
            is_whole: key.len() <= SHORT_KEY_BYTES,
        }
    }
}

/// Six bytes of `key` from `shared` on as a number, in the same order as the keys; zeros after its end.
fn part_of(key: &[u8], shared: usize) -> u64 {
    let rest = key.get(shared..).unwrap_or_default();
    let byte = |index: usize| rest.get(index).copied().unwrap_or_default();
    u64::from_be_bytes([0, 0, byte(0), byte(1), byte(2), byte(3), byte(4), byte(5)])
}

/// Bytes that an entry takes in a page.
pub fn slot_bytes(entry: Entry<'_>) -> usize {
    groups_count(entry.bytes().len() as u64) + entry.bytes().len()
}

impl Sums {
    /// What one entry holds.
    pub fn of(entry: Entry<'_>) -> Sums {
        let bytes = entry.counted_bytes();
        let timed = entry.expires_ms().is_some();
        Sums { keys: 1, bytes, timed: u64::from(timed), timed_bytes: if timed { bytes } else { 0 } }
    }

    /// These and `other`.
    pub fn with(mut self, other: Sums) -> Sums {
        self.add(other);
        self
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Sums) {
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.timed += other.timed;
        self.timed_bytes += other.timed_bytes;
    }

    /// Subtracts `other`, which is part of this.
    pub fn remove(&mut self, other: Sums) {
        self.keys -= other.keys;
        self.bytes -= other.bytes;
        self.timed -= other.timed;
        self.timed_bytes -= other.timed_bytes;
    }
}
