//! Secrets that cannot be printed by accident, and the hashes of API keys.
//!
//! Both compare in constant time and show as `***` in every kind of formatting.

use crate::digits::{hex_digit, hex_value};
use ctutils::CtEq;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};

/// Replaces a secret in every text for a person or a log.
pub(crate) const MASK: &str = "***";

/// The beginning of every generated API key.
pub(crate) const KEY_PREFIX: &str = "pikv_";

const HASH_PREFIX: &str = "sha256:";

/// A text that must not reach a log, an error or a panic message.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// For code that must send, store or hash the secret.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).to_bool()
    }
}

impl Eq for Secret {}

/// The SHA-256 of an API key. A key has 256 random bits, unless its owner chose it, so a slow hash against
/// dictionaries is not needed.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    pub fn of(key: &[u8]) -> KeyHash {
        KeyHash(Sha256::digest(key).into())
    }

    /// Parses `sha256:` and 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<KeyHash> {
        let digits = text.strip_prefix(HASH_PREFIX)?.as_bytes();
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = hex_value(*high)? * 16 + hex_value(*low)?;
        }
        Some(KeyHash(bytes))
    }

    /// The text form, which [`KeyHash::parse`] reads, for files only.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(HASH_PREFIX.len() + 64);
        text.push_str(HASH_PREFIX);
        for byte in self.0 {
            text.extend([hex_digit(byte >> 4), hex_digit(byte)].map(char::from));
        }
        text
    }

    /// Compares in constant time.
    pub fn matches(&self, candidate: &KeyHash) -> bool {
        self.0.ct_eq(&candidate.0).to_bool()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &KeyHash) -> bool {
        self.matches(other)
    }
}

impl Eq for KeyHash {}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, the example "abc".
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_secret_prints_as_stars_in_every_way() {
        let secret = Secret::new("canary".to_owned());
        let hash = KeyHash::of(b"canary");
        assert_eq!(format!("{secret} {secret:?} {secret:#?} {hash:?}"), "*** *** *** ***");
        assert_eq!(secret.reveal(), "canary");
    }

    #[test]
    fn the_text_form_of_a_hash_is_sha256_in_lower_case_hexadecimal() {
        assert_eq!(KeyHash::of(b"abc").encode(), ABC);
        assert!(KeyHash::parse(ABC).unwrap().matches(&KeyHash::of(b"abc")));
    }

    #[test]
    fn other_text_forms_of_a_hash_are_refused() {
        let upper = ABC.to_uppercase().replace("SHA256", "sha256");
        for bad in ["", "sha256:", &ABC[7..], &ABC[..70], &format!("{ABC}0"), &upper, &ABC.replace('b', "g")]
        {
            assert!(KeyHash::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hashes_of_different_keys_do_not_match() {
        let hash = KeyHash::of(b"abc");
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!hash.matches(&other), "bit {bit}");
        }
        assert_ne!(Secret::new("a".to_owned()), Secret::new("ab".to_owned()));
        assert_eq!(Secret::new("ab".to_owned()), Secret::new("ab".to_owned()));
    }
}
