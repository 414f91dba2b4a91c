//! API keys: their form, and how the key that a client sent is read.
//!
//! A generated key is `pikv_`, 32 random bytes as 43 digits of base62, and the CRC-32 of all that
//! as 6 digits. The checksum tells a mistyped key from a wrong one before anything is hashed or
//! looked up. That holds only while no key in use looks like a mistyped one, so a key written
//! into config.json by hand that begins with `pikv_` must be a generated one (`catalog/keys.rs`).

use super::access::Denied;
use crate::entropy::EntropyUnavailable;
use crate::secret::{KEY_PREFIX, KeyHash, Secret};

/// Digits of 32 bytes: 62^42 < 2^256 < 62^43.
const BODY_DIGITS: usize = 43;
/// Digits of a CRC-32: 62^5 < 2^32 < 62^6.
const CHECKSUM_DIGITS: usize = 6;
const KEY_BYTES: usize = KEY_PREFIX.len() + BODY_DIGITS + CHECKSUM_DIGITS;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The source of random bytes: `random_bytes` of `entropy.rs`, or that of a test.
pub(crate) type Entropy<'a> = dyn FnMut() -> Result<[u8; 32], EntropyUnavailable> + 'a;

/// The hash of a key as a client sent it, to be compared with the stored ones.
///
/// # Errors
/// [`Denied::Mistyped`] for a text that begins like a generated key and is none. No key is like that.
pub(crate) fn hash_sent(text: &[u8]) -> Result<KeyHash, Denied> {
    if text.starts_with(KEY_PREFIX.as_bytes()) && !is_generated(text) {
        return Err(Denied::Mistyped);
    }
    Ok(KeyHash::of(text))
}

/// A new key from 32 random bytes.
pub(crate) fn generate(entropy: &mut Entropy<'_>) -> Result<Secret, EntropyUnavailable> {
    let mut text = KEY_PREFIX.to_owned();
    push_base62(&mut text, entropy()?, BODY_DIGITS);
    let checksum = crc32fast::hash(text.as_bytes());
    push_base62(&mut text, checksum.to_be_bytes(), CHECKSUM_DIGITS);
    Ok(Secret::new(text))
}

/// Whether `text` has the form of a generated key and the right checksum.
fn is_generated(text: &[u8]) -> bool {
    let Some((signed, checksum)) = text.split_at_checked(KEY_BYTES - CHECKSUM_DIGITS) else { return false };
    let digits = signed.get(KEY_PREFIX.len()..).unwrap_or_default();
    let mut expected = String::with_capacity(CHECKSUM_DIGITS);
    push_base62(&mut expected, crc32fast::hash(signed).to_be_bytes(), CHECKSUM_DIGITS);
    digits.iter().all(|digit| DIGITS.contains(digit)) && checksum == expected.as_bytes()
}

/// Appends the big-endian number `bytes` to `text`, as `width` digits of base62.
fn push_base62<const N: usize>(text: &mut String, mut bytes: [u8; N], width: usize) {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder: u16 = 0;
        for byte in &mut bytes {
            let dividend = remainder * 256 + u16::from(*byte);
            *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
            remainder = dividend % 62;
        }
        *digit = DIGITS.get(usize::from(remainder)).copied().unwrap_or(b'0');
    }
    text.extend(digits.into_iter().map(char::from));
}

#[cfg(test)]
#[path = "api_key_tests.rs"]
mod tests;
