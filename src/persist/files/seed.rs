//! The number that the checksums of a journal's lines start from.
//!
//! After a power cut the end of a file may have blocks of deleted files. Lines of another journal in such a block are
//! whole, and may have later revisions. Because each file has a seed of its own, their checksums are wrong, and they
//! are a torn tail like any other.

use crate::clock;
use crate::digits::hex_digit;
use crate::entropy;
use std::fmt;

/// What the checksums of a journal's lines start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u32);

impl Seed {
    /// The checksums of format 1 and of every header: a plain CRC-32.
    pub const NONE: Seed = Seed(0);

    /// A seed for a new journal, of the pair of files with this generation.
    pub fn draw(generation: u64) -> Seed {
        let drawn = entropy::random_bytes().map(u32::from_be_bytes).unwrap_or_else(|_| {
            // A seed is no secret: it only has to differ from those of other files. Without random numbers the
            // instant and the generation differ as well.
            let instant = clock::wall_ms().to_be_bytes();
            let parts = [instant, generation.to_be_bytes(), u64::from(std::process::id()).to_be_bytes()];
            crc32fast::hash(&parts.concat())
        });
        Seed(drawn.max(1))
    }

    /// The seed that a header names; `None` for 0, which no journal with a seed has.
    pub fn new(number: u32) -> Option<Seed> {
        (number != 0).then_some(Seed(number))
    }

    /// The checksum of a line's payload: its CRC-32 (IEEE), continued from the seed.
    pub fn checksum(self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(self.0);
        hasher.update(payload);
        hasher.finalize()
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The number that a CRC-32 has to be continued from to give `checksum` for `payload`.
pub(crate) fn which_gives(checksum: u32, payload: &[u8]) -> u32 {
    /// The polynomial of CRC-32 (IEEE), its bits reversed.
    const POLYNOMIAL: u32 = 0xedb8_8320;
    // What the seed adds to a checksum does not depend on the payload but on its length: it is what is left of
    // the seed after that many bytes of zeros. Each bit of them is undone here.
    let mut number = checksum ^ crc32fast::hash(payload);
    for _ in 0..8 * payload.len() {
        number = if number >> 31 == 1 { (number ^ POLYNOMIAL) << 1 | 1 } else { number << 1 };
    }
    number
}

/// Eight lower-case hexadecimal digits.
pub(crate) fn hex_of(number: u32) -> [u8; 8] {
    let [a, b, c, d] = number.to_be_bytes();
    [a >> 4, a, b >> 4, b, c >> 4, c, d >> 4, d].map(hex_digit)
}

/// The number that [`hex_of`] wrote; `None` for any other text.
pub(crate) fn from_hex(text: &[u8]) -> Option<u32> {
    let number = u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
    (hex_of(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_without_a_seed_is_the_plain_one_and_every_seed_gives_another() {
        assert_eq!(Seed::NONE.checksum(b"123456789"), 0xcbf4_3926);
        // As `zlib.crc32(b"123456789", 1)` of Python has it.
        assert_eq!(Seed::new(1).unwrap().checksum(b"123456789"), 0xdc8f_2d65);
        assert_eq!(Seed::new(0), None);
        assert_ne!(Seed::draw(1), Seed::draw(1));
    }

    #[test]
    fn seed_is_found_from_a_checksum() {
        for number in [0, 1, 0x8000_0000, 0xdead_beef, u32::MAX] {
            for payload in [&b""[..], b"1", b"{\"synced\":17}", &[b'x'; 5_000]] {
                let seed = Seed(number);
                assert_eq!(which_gives(seed.checksum(payload), payload), number, "{payload:?}");
            }
        }
    }

    #[test]
    fn only_eight_lower_case_digits_are_a_number() {
        assert_eq!(from_hex(b"00abcdef"), Some(0x00ab_cdef));
        for text in [&b"0abcdef"[..], b"00ABCDEF", b"+0abcdef", b"000abcdef", b"", b"0000000g"] {
            assert_eq!(from_hex(text), None, "{text:?}");
        }
    }
}
