//! Memory for the entries of a run and for their slots.
//!
//! ```text
//! | entries, which grow at their end ---> |   unused   | <--- slots, the first one last |
//! ```
//! A small page is an allocation of its length. A larger one is an anonymous mapping: the system backs it as it is
//! written to and reclaims it when the page is dropped, by any thread. An allocator would keep freed memory for the
//! thread that allocated it.

use crate::limits::{HEAP_PAGE_BYTES_MAX, PAGE_BYTES, SLOT_BYTES};
use memmap2::MmapMut;

/// Bytes that grow from the beginning, and slots that grow from the end.
#[derive(Debug)]
pub(crate) struct Page {
    memory: Memory,
    used: usize,
    slots: usize,
}

#[derive(Debug)]
enum Memory {
    Heap(Box<[u8]>),
    Mapped(MmapMut),
}

impl Page {
    /// An empty page for at least `bytes`, slots included.
    pub(crate) fn for_bytes(bytes: usize) -> Page {
        Page { memory: Memory::of(bytes), used: 0, slots: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.bytes().get(..self.used).unwrap_or_default()
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.bytes_mut().get_mut(..self.used).unwrap_or_default()
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    pub(crate) fn slot(&self, index: usize) -> Option<u64> {
        let slot = self.slot_arrays().get(self.slots.checked_sub(index + 1)?)?;
        Some(u64::from_le_bytes(*slot))
    }

    pub(crate) fn set_slot(&mut self, index: usize, slot: u64) {
        let at = self.slots.checked_sub(index + 1);
        if let Some(place) = at.and_then(|at| self.slot_arrays_mut().get_mut(at)) {
            *place = slot.to_le_bytes();
        }
    }

    /// Inserts a slot at `index`, for the bytes that were pushed last.
    pub(crate) fn insert_slot(&mut self, index: usize, slot: u64) {
        self.slots += 1;
        let to = self.slots.saturating_sub(index);
        let later = self.slot_arrays_mut().get_mut(..to).unwrap_or_default();
        if !later.is_empty() {
            later.copy_within(1.., 0);
        }
        self.set_slot(index, slot);
    }

    pub(crate) fn remove_slot(&mut self, index: usize) {
        let to = self.slots.saturating_sub(index);
        let later = self.slot_arrays_mut().get_mut(..to).unwrap_or_default();
        if let Some(kept) = later.len().checked_sub(1) {
            later.copy_within(..kept, 1);
            self.slots -= 1;
        }
    }

    /// Appends both parts if there is space for them and one more slot. Returns whether there was.
    pub(crate) fn push(&mut self, head: &[u8], bytes: &[u8]) -> bool {
        let (middle, used) = (self.used + head.len(), self.used + head.len() + bytes.len());
        let needed = used + (self.slots + 1) * SLOT_BYTES;
        if needed > PAGE_BYTES && self.used > 0 {
            return false;
        }
        if needed > self.memory.bytes().len() {
            // An eighth more: a small project wastes little, and a growing page is rarely moved.
            self.move_to(needed + needed / 8);
        }
        for (range, part) in [(self.used..middle, head), (middle..used, bytes)] {
            let Some(place) = self.memory.bytes_mut().get_mut(range) else { return false };
            place.copy_from_slice(part);
        }
        self.used = used;
        true
    }

    pub(crate) fn truncate(&mut self, bytes: usize) {
        self.used = self.used.min(bytes);
    }

    /// Replaces what was pushed by `bytes`, which are not more, and keeps the slots.
    pub(crate) fn rewrite(&mut self, bytes: &[u8]) {
        if let Some(place) = self.memory.bytes_mut().get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
            self.used = bytes.len();
        }
    }

    /// Moves what was pushed and the slots into new memory, as small as possible.
    pub(crate) fn shrink(&mut self) {
        self.move_to(self.used + self.slots * SLOT_BYTES);
    }

    fn move_to(&mut self, bytes: usize) {
        let mut page = Page::for_bytes(bytes);
        (page.used, page.slots) = (self.used, self.slots);
        page.bytes_mut().copy_from_slice(self.bytes());
        page.slot_arrays_mut().copy_from_slice(self.slot_arrays());
        *self = page;
    }

    /// The slots, the last one first.
    fn slot_arrays(&self) -> &[[u8; SLOT_BYTES]] {
        let bytes = self.memory.bytes();
        let from = bytes.len().saturating_sub(self.slots * SLOT_BYTES);
        bytes.get(from..).unwrap_or_default().as_chunks().0
    }

    fn slot_arrays_mut(&mut self) -> &mut [[u8; SLOT_BYTES]] {
        let bytes = self.memory.bytes_mut();
        let from = bytes.len().saturating_sub(self.slots * SLOT_BYTES);
        bytes.get_mut(from..).unwrap_or_default().as_chunks_mut().0
    }
}

impl Memory {
    fn of(bytes: usize) -> Memory {
        if bytes <= HEAP_PAGE_BYTES_MAX {
            return Memory::Heap(vec![0; bytes].into());
        }
        let bytes = bytes.max(PAGE_BYTES);
        match MmapMut::map_anon(bytes) {
            Ok(mapping) => Memory::Mapped(mapping),
            // The system allows a process only so many mappings.
            Err(_) => Memory::Heap(vec![0; bytes].into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_what_was_pushed_while_it_grows() {
        for piece in [1, 100, 1_000, HEAP_PAGE_BYTES_MAX, PAGE_BYTES / 2, PAGE_BYTES, 3 * PAGE_BYTES] {
            let (mut page, mut bytes, mut slots) = (Page::for_bytes(piece.min(50)), Vec::new(), Vec::new());
            for number in 0_u8..100 {
                let needed = bytes.len() + piece + (slots.len() + 1) * SLOT_BYTES;
                let fits = bytes.is_empty() || needed <= PAGE_BYTES;
                let pushed = page.push(&[number], &vec![number; piece - 1]);
                assert_eq!(pushed, fits, "{piece} after {}", bytes.len());
                if fits {
                    bytes.extend(vec![number; piece]);
                    let index = usize::from(number) * 7 % (slots.len() + 1);
                    slots.insert(index, u64::from(number) << 56 | 1);
                    page.insert_slot(index, u64::from(number) << 56 | 1);
                }
                if number % 5 == 4 && slots.len() > 1 {
                    let index = usize::from(number) * 3 % slots.len();
                    slots.remove(index);
                    page.remove_slot(index);
                }
                assert_eq!((page.bytes(), page.slots()), (&bytes[..], slots.len()));
                assert!(
                    (0..slots.len() + 2)
                        .map(|index| page.slot(index))
                        .eq((0..slots.len() + 2).map(|index| slots.get(index).copied()))
                );
            }
            bytes.truncate(bytes.len() / 2);
            page.rewrite(&bytes);
            page.shrink();
            page.set_slot(0, 17);
            assert_eq!(
                (page.bytes(), page.slots(), page.slot(0)),
                (&bytes[..], slots.len(), slots.first().map(|_| 17))
            );
        }
    }
}
