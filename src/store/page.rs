//! Memory for the entries of a run, which only grows at its end.
//!
//! A small page is an allocation of its length. A larger one is an anonymous mapping: the system gives memory
//! to it as it is written to, and has it back when the page is dropped, whichever thread that does. An allocator
//! would keep freed memory for the thread that allocated it first.

use crate::limits::{HEAP_PAGE_BYTES_MAX, PAGE_BYTES};
use memmap2::MmapMut;

/// Bytes, as many as fit.
#[derive(Debug)]
pub struct Page {
    memory: Memory,
    used: usize,
}

#[derive(Debug)]
enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Page {
    /// An empty page for `bytes` and, if those are few, more.
    pub fn for_bytes(bytes: usize) -> Page {
        if bytes <= HEAP_PAGE_BYTES_MAX {
            return Page { memory: Memory::Heap(Vec::with_capacity(bytes)), used: 0 };
        }
        let length = bytes.max(PAGE_BYTES);
        let memory = match MmapMut::map_anon(length) {
            Ok(mapping) => Memory::Mapped(mapping),
            // The system allows a process only so many mappings.
            Err(_) => Memory::Heap(Vec::with_capacity(length)),
        };
        Page { memory, used: 0 }
    }

    /// What was pushed.
    pub fn bytes(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping.get(..self.used).unwrap_or_default(),
        }
    }

    /// As [`Page::bytes`], to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(bytes) => bytes,
            Memory::Mapped(mapping) => mapping.get_mut(..self.used).unwrap_or_default(),
        }
    }

    /// How many bytes were pushed.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Appends both parts if there is space for them. Returns whether there was.
    pub fn push(&mut self, head: &[u8], bytes: &[u8]) -> bool {
        let (middle, used) = (self.used + head.len(), self.used + head.len() + bytes.len());
        if used > PAGE_BYTES && self.used > 0 {
            return false;
        }
        if let Memory::Heap(heap) = &mut self.memory
            && used > heap.capacity()
        {
            if used > HEAP_PAGE_BYTES_MAX {
                let mut larger = Page::for_bytes(used);
                larger.push(heap, b"");
                *self = larger;
            } else {
                // An eighth more, so that most runs of a small project lie in few bytes that nobody uses.
                heap.reserve_exact(used + used / 8 - heap.len());
            }
        }
        match &mut self.memory {
            Memory::Heap(heap) => {
                heap.extend_from_slice(head);
                heap.extend_from_slice(bytes);
            }
            Memory::Mapped(mapping) => {
                if used > mapping.len() {
                    return false;
                }
                let parts = [(self.used..middle, head), (middle..used, bytes)];
                for (range, part) in parts {
                    mapping.get_mut(range).unwrap_or_default().copy_from_slice(part);
                }
            }
        }
        self.used = used;
        true
    }

    /// Forgets what was pushed. Keeps the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        if let Memory::Heap(heap) = &mut self.memory {
            heap.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_what_was_pushed_while_it_grows() {
        for piece in [1, 100, 1_000, HEAP_PAGE_BYTES_MAX, PAGE_BYTES / 2, PAGE_BYTES, 3 * PAGE_BYTES] {
            let (mut page, mut expected) = (Page::for_bytes(piece.min(50)), Vec::new());
            for number in 0_u8..100 {
                let fits = expected.is_empty() || expected.len() + piece <= PAGE_BYTES;
                assert_eq!(
                    page.push(&[number], &vec![number; piece - 1]),
                    fits,
                    "{piece} after {}",
                    expected.len()
                );
                if fits {
                    expected.extend(vec![number; piece]);
                }
                assert_eq!(page.bytes(), expected);
            }
            page.clear();
            assert!(page.push(b"", b"again") && page.bytes_mut() == b"again");
        }
    }
}
