//! A file of the simulated disk: what the process sees, what is on the medium, and what is between them.

use pikv::testing::limits::PAGE_BYTES_MAX;

const SECTOR_BYTES: usize = 512;

/// Numbers that look random, the same for the same seed (SplitMix64, Steele, Lea and Flood, 2014).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Clone)]
pub enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Default)]
pub struct Node {
    /// As the process sees it.
    pub bytes: Vec<u8>,
    /// As of the last sync.
    pub durable: Vec<u8>,
    /// What was done since.
    pub unsynced: Vec<Write>,
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Write::Length(length) => bytes.resize(*length, 0),
            Write::Bytes { offset, bytes: written } => {
                let end = offset + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(written);
            }
        }
    }

    /// The write in pieces that reach the medium whole.
    fn sectors(&self) -> Vec<Write> {
        let Write::Bytes { offset, bytes } = self else { return vec![self.clone()] };
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let until_sector = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
            let length = until_sector.min(bytes.len() - at);
            pieces.push(Write::Bytes { offset: offset + at, bytes: bytes[at..at + length].to_vec() });
            at += length;
        }
        pieces
    }
}

impl Node {
    pub fn change(&mut self, write: Write) {
        write.apply(&mut self.bytes);
        self.unsynced.push(write);
    }

    /// Everything that was written since the last sync reaches the medium. What an earlier sync failed to
    /// write does not: the system takes it for written.
    pub fn write_back(&mut self) {
        for write in self.unsynced.drain(..) {
            write.apply(&mut self.durable);
        }
    }

    /// A sync fails. The process still sees what it wrote, but no later sync writes it.
    pub fn fail_to_write_back(&mut self, mut loss: Option<&mut Random>) {
        for write in self.unsynced.iter().flat_map(Write::sectors) {
            let is_lost = loss.as_mut().is_none_or(|random| random.below(2) == 0);
            match &write {
                // The length is known to the file system, which then has no content for it.
                Write::Bytes { offset, bytes } if is_lost => {
                    let end = offset + bytes.len();
                    self.durable.resize(self.durable.len().max(end), 0);
                }
                Write::Bytes { .. } | Write::Length(_) => write.apply(&mut self.durable),
            }
        }
        self.unsynced.clear();
    }

    /// As [`Node::fail_to_write_back`], and the medium has zeros in all of each page that was to be written, also
    /// in what earlier syncs wrote of it: as after an update in place that stopped halfway.
    pub fn fail_with_pages(&mut self) {
        let page = usize::try_from(PAGE_BYTES_MAX).unwrap();
        for write in self.unsynced.drain(..) {
            write.apply(&mut self.durable);
            if let Write::Bytes { offset, bytes } = &write {
                let end = (offset + bytes.len()).next_multiple_of(page).min(self.durable.len());
                self.durable[offset - offset % page..end].fill(0);
            }
        }
    }

    pub fn evict(&mut self) {
        self.bytes = self.durable.clone();
        self.unsynced.iter().for_each(|write| write.apply(&mut self.bytes));
    }

    pub fn after_crash(&self, seed: u64, random: &mut Random) -> Node {
        let mut bytes = self.durable.clone();
        for write in self.unsynced.iter().flat_map(Write::sectors) {
            if is_kept(seed, random) {
                write.apply(&mut bytes);
            }
        }
        Node { durable: bytes.clone(), bytes, unsynced: Vec::new() }
    }
}

pub fn is_kept(seed: u64, random: &mut Random) -> bool {
    match seed {
        0 => false,
        1 => true,
        _ => random.below(2) == 0,
    }
}
