//! Consecutive entries in key order, in one page.
//!
//! An entry is packed bytes with a key: a key with its value, or a timer. It is appended to the page, preceded by its
//! length. A replaced or removed entry leaves dead bytes, unless it was at the end. Once a sixteenth of the page is
//! dead, or was used and is free again, the page is compacted. Memory is thus proportional to the live entries,
//! whatever was written before, and no entry has an allocation of its own.

use super::page::Page;
use super::varint::{groups, groups_count, groups_of, push_groups};
use crate::limits::{DEAD_PART_MAX, PAGE_BYTES, RUN_ENTRIES_MAX, SLOT_BYTES};
use std::marker::PhantomData;

/// A full page is compacted and not split if more than one part in this many is dead.
const WORTH_PART: usize = 32;

pub trait Kind {
    type Entry<'a>: Packed<'a>;
}

pub trait Packed<'a>: Copy {
    fn of(bytes: &'a [u8]) -> Self;

    fn bytes(self) -> &'a [u8];

    /// The key, a part of [`Packed::bytes`].
    fn key_bytes(self) -> &'a [u8];

    fn sums(self) -> Sums;
}

#[derive(Debug)]
pub struct Run<K> {
    /// The entries, and a [`Slot`] for each.
    page: Page,
    /// The first key, or its beginning.
    first: ShortKey,
    /// All keys begin with so many bytes of the first one.
    shared: usize,
    /// Bytes of the page that belong to no entry.
    dead: usize,
    /// The largest number of bytes that the page has ever held.
    touched: usize,
    sums: Sums,
    kind: PhantomData<K>,
}

/// The six bytes of a key after the prefix that all keys of its run share, and the offset of its entry: a search
/// reads entries only if these bytes are equal.
#[derive(Clone, Copy, Debug)]
struct Slot(u64);

/// The beginning of a key, which is compared without reading the page.
#[derive(Clone, Copy, Debug, Default)]
struct ShortKey {
    bytes: [u8; SHORT_KEY_BYTES],
    length: u8,
    is_whole: bool,
}

const SHORT_KEY_BYTES: usize = 22;

/// Sums over some entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub keys: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// The number of entries with a time to live.
    pub timed: u64,
    /// Bytes of the keys and values of those entries.
    pub timed_bytes: u64,
}

impl<K: Kind> Run<K> {
    pub fn of(entry: K::Entry<'_>) -> Run<K> {
        let mut run = Run::for_bytes(slot_bytes(entry) + SLOT_BYTES);
        run.insert_fitting(0, entry);
        run
    }

    fn for_bytes(bytes: usize) -> Run<K> {
        Run {
            page: Page::for_bytes(bytes),
            first: ShortKey::default(),
            shared: 0,
            dead: 0,
            touched: 0,
            sums: Sums::default(),
            kind: PhantomData,
        }
    }

    pub fn len(&self) -> usize {
        self.page.slots()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

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

    pub fn entries(&self) -> impl DoubleEndedIterator<Item = K::Entry<'_>> {
        (0..self.len()).filter_map(|index| self.entry(index))
    }

    pub fn entry(&self, index: usize) -> Option<K::Entry<'_>> {
        self.slot(index).map(|slot| self.at(slot))
    }

    pub fn first(&self) -> Option<&[u8]> {
        self.entry(0).map(Packed::key_bytes)
    }

    pub fn last(&self) -> Option<&[u8]> {
        self.entry(self.len().checked_sub(1)?).map(Packed::key_bytes)
    }

    /// Whether the first key is at most `key`.
    pub fn begins_by(&self, key: &[u8]) -> bool {
        let first = self.first.bytes.get(..usize::from(self.first.length)).unwrap_or_default();
        if self.first.is_whole || key.get(..first.len()) != Some(first) {
            return first <= key;
        }
        self.first().is_some_and(|first| first <= key)
    }

    /// The index of `key`, or as an error the index at which it belongs.
    pub fn position(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(first) = self.begin() else { return Err(0) };
        match key.get(..self.shared) {
            Some(begin) if begin == first => {}
            Some(begin) if begin < first => return Err(0),
            Some(_) => return Err(self.len()),
            None => return Err(if key < first { 0 } else { self.len() }),
        }
        let part = part_of(key, self.shared);
        let is_same = |slot: Slot| slot.part() == part;
        let index =
            self.first_not(|slot| slot.part() < part || is_same(slot) && self.at(slot).key_bytes() < key);
        let is_it = |slot: Slot| is_same(slot) && self.at(slot).key_bytes() == key;
        if self.slot(index).is_some_and(is_it) { Ok(index) } else { Err(index) }
    }

    /// The index of the first entry for which `is_before` is false.
    pub fn partition(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        self.first_not(|slot| is_before(self.at(slot).key_bytes()))
    }

    fn first_not(&self, is_before: impl Fn(Slot) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.slot(middle).is_some_and(&is_before) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    fn slot(&self, index: usize) -> Option<Slot> {
        self.page.slot(index).map(Slot)
    }

    /// Inserts `entry` at `index`. Returns false, and does nothing, if there is no space for it.
    pub fn insert(&mut self, index: usize, entry: K::Entry<'_>) -> bool {
        if self.len() >= RUN_ENTRIES_MAX {
            return false;
        }
        let bytes = slot_bytes(entry);
        let needed = self.page.used() + bytes + (self.len() + 1) * SLOT_BYTES;
        if needed > PAGE_BYTES && self.dead > bytes + self.page.used() / WORTH_PART {
            self.compact();
        }
        let Some(start) = self.push(entry) else { return false };
        self.page.insert_slot(index, Slot::new(start, part_of(entry.key_bytes(), self.shared)).0);
        self.sums.add(entry.sums());
        if self.len() == 1 {
            self.shared = entry.key_bytes().len();
        }
        if index == 0 {
            self.first = ShortKey::of(entry.key_bytes());
        }
        // The first and the last key share a prefix with all keys between them.
        if index == 0 || index + 1 == self.len() {
            self.share(self.shared);
        }
        true
    }

    /// Inserts `entry`, for which there is space.
    ///
    /// # Panics
    /// If there is none, because the entry would be lost.
    fn insert_fitting(&mut self, index: usize, entry: K::Entry<'_>) {
        assert!(
            self.insert(index, entry),
            "one entry, a part of a run and two merged runs fit a run (limits.rs)"
        );
    }

    /// The prefix that all keys share.
    fn begin(&self) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        match self.first.bytes.get(..self.shared) {
            Some(begin) if self.shared <= usize::from(self.first.length) => Some(begin),
            Some(_) | None => self.first()?.get(..self.shared),
        }
    }

    /// Finds the length of the prefix that all keys share, up to `shared_max`.
    fn share(&mut self, shared_max: usize) {
        let (first, last) = (self.first().unwrap_or_default(), self.last().unwrap_or_default());
        let same = first.iter().zip(last).take(shared_max).take_while(|(first, last)| first == last).count();
        if same == self.shared && self.len() > 1 {
            return;
        }
        self.shared = same;
        for index in 0..self.len() {
            let Some(slot) = self.slot(index) else { return };
            let part = part_of(self.at(slot).key_bytes(), same);
            self.page.set_slot(index, Slot::new(slot.start(), part).0);
        }
    }

    /// Writes `entry` over entry `index`, which has the same key, if it takes no more bytes. Returns whether it did.
    pub fn overwrite(&mut self, index: usize, entry: K::Entry<'_>) -> bool {
        let (Some(slot), Some(before)) = (self.slot(index), self.entry(index)) else { return false };
        let (start, removed) = (usize::from(slot.start()), before.sums());
        let (bytes_before, bytes) = (slot_bytes(before), slot_bytes(entry));
        if bytes_before < bytes {
            return false;
        }
        self.sums.remove(removed);
        self.sums.add(entry.sums());
        let (head, head_bytes) = groups(entry.bytes().len() as u64);
        let parts =
            [(start, head.get(..head_bytes).unwrap_or_default()), (start + head_bytes, entry.bytes())];
        for (at, part) in parts {
            if let Some(place) = self.page.bytes_mut().get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
        }
        self.free(start + bytes, start + bytes_before);
        true
    }

    pub fn remove(&mut self, index: usize) -> Option<Sums> {
        let (slot, entry) = (self.slot(index)?, self.entry(index)?);
        let (start, removed, bytes) = (usize::from(slot.start()), entry.sums(), slot_bytes(entry));
        self.page.remove_slot(index);
        self.sums.remove(removed);
        if index == 0 {
            self.first = self.first().map(ShortKey::of).unwrap_or_default();
        }
        self.free(start, start + bytes);
        Some(removed)
    }

    /// The bytes of the page in `from..to` belong to no entry any more.
    fn free(&mut self, from: usize, to: usize) {
        if to == self.page.used() {
            self.page.truncate(from); // the entry that was inserted last
        } else {
            self.dead += to - from;
        }
        if self.touched - self.live_bytes() > self.page.used() / DEAD_PART_MAX {
            self.compact();
        }
    }

    /// Splits the run: entry `index` and those after it are a run of their own.
    pub fn split_off(&mut self, index: usize) -> Run<K> {
        let part = |from: usize, to: usize| {
            let entries = || (from..to).filter_map(|index| self.entry(index));
            let mut run = Run::for_bytes(entries().map(|entry| slot_bytes(entry) + SLOT_BYTES).sum());
            // The last one first: with the next one, the shared prefix is known.
            if let Some(last) = to.checked_sub(1).and_then(|last| self.entry(last)) {
                run.insert_fitting(0, last);
            }
            for (index, entry) in entries().take(to.saturating_sub(from + 1)).enumerate() {
                run.insert_fitting(index, entry);
            }
            run
        };
        let (before, after) = (part(0, index), part(index, self.len()));
        *self = before;
        after
    }

    /// Appends the entries of `later`, whose keys come after these. Both runs together have at most
    /// [`MERGED_ENTRIES_MAX`](crate::limits::MERGED_ENTRIES_MAX) entries, of at most
    /// [`MERGED_BYTES_MAX`](crate::limits::MERGED_BYTES_MAX) bytes.
    ///
    /// # Panics
    /// If they do not fit, which is possible only above those bounds.
    pub fn append(&mut self, later: &Run<K>) {
        for entry in later.entries() {
            self.insert_fitting(self.len(), entry);
        }
    }

    /// Writes the page again without its dead bytes: to a new one if the old one would waste memory.
    fn compact(&mut self) {
        let mut live = Vec::with_capacity(self.live_bytes());
        for index in 0..self.len() {
            let Some(slot) = self.slot(index) else { return };
            let (start, entry) = (u16::try_from(live.len()).unwrap_or(u16::MAX), self.at(slot));
            push_groups(&mut live, entry.bytes().len() as u64);
            live.extend_from_slice(entry.bytes());
            self.page.set_slot(index, Slot::new(start, slot.part()).0);
        }
        self.page.rewrite(&live);
        if live.len() + live.len() / DEAD_PART_MAX < self.touched {
            self.page.shrink();
            self.touched = 0;
        }
        self.touched = self.touched.max(live.len());
        self.dead = 0;
    }

    /// Appends an entry to the page and returns its offset.
    fn push(&mut self, entry: K::Entry<'_>) -> Option<u16> {
        let start = u16::try_from(self.page.used()).ok()?;
        let (head, length) = groups(entry.bytes().len() as u64);
        if !self.page.push(head.get(..length).unwrap_or_default(), entry.bytes()) {
            return None;
        }
        self.touched = self.touched.max(self.page.used());
        Some(start)
    }

    fn at(&self, slot: Slot) -> K::Entry<'_> {
        let (length, rest) =
            groups_of(self.page.bytes().get(usize::from(slot.start())..).unwrap_or_default());
        let length = usize::try_from(length).unwrap_or_default();
        K::Entry::of(rest.get(..length).unwrap_or_default())
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
pub(crate) fn slot_bytes<'a>(entry: impl Packed<'a>) -> usize {
    groups_count(entry.bytes().len() as u64) + entry.bytes().len()
}

impl Sums {
    pub fn with(mut self, other: Sums) -> Sums {
        self.add(other);
        self
    }

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
