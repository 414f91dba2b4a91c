//! Passwords and their bcrypt hashes.
//!
//! Not here: the random salt (the caller's, from `entropy.rs`), and the thread. [`hash`], [`verify`] and
//! [`verify_dummy`] take 2^cost rounds of one core, so they belong in the password lane.
//!
//! A password is compared as typed: no Unicode normalization, no trimming.

use crate::digits::grouped;
use crate::limits::{BCRYPT_COST_MAX, BCRYPT_COST_MIN, PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
use crate::secret::{MASK, Secret};
use bcrypt::HashParts;
use std::fmt;

/// A password as typed: 1..=[`PASSWORD_BYTES_MAX`] bytes without control characters. Shows as `***`.
pub struct Password(Secret);

/// The 60 characters `$2b$12$…` of bcrypt: version, cost, salt, hash. Shows as `***`.
#[derive(Clone)]
pub struct PasswordHash(String);

/// Why a text is refused as a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordError {
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    TooLong {
        bytes: usize,
    },
    /// It has a control character.
    Control,
    /// Not good enough for a new password.
    Weak {
        /// Everything that is missing, for a message.
        missing: String,
    },
}

/// Which new passwords are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Strong,
    /// Every [`Password`], at the request of the operator.
    Weak,
}

impl Password {
    /// Parses a password to log in with.
    ///
    /// # Errors
    /// [`PasswordError`], but never [`PasswordError::Weak`]: the rule for new passwords may have
    /// changed since the password was new.
    pub fn parse(text: &str) -> Result<Password, PasswordError> {
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong { bytes: text.len() });
        }
        // NUL above all: bcrypt appends a NUL and repeats, so to it `a` and `a\0a` are the same.
        if text.contains(char::is_control) {
            return Err(PasswordError::Control);
        }
        Ok(Password(Secret::new(text.to_owned())))
    }

    /// Parses a new password under `rule`.
    pub fn parse_new(text: &str, rule: Rule) -> Result<Password, PasswordError> {
        let password = Password::parse(text)?;
        let missing = if rule == Rule::Strong { missing_in(text) } else { String::new() };
        if missing.is_empty() { Ok(password) } else { Err(PasswordError::Weak { missing }) }
    }
}

/// The requirements for new passwords that `text` does not meet. Letters and digits may be of any script.
fn missing_in(text: &str) -> String {
    let characters = text.chars().count();
    let length = format!("at least {PASSWORD_CHARACTERS_MIN} characters (this one has {characters})");
    let requirements = [
        (characters >= PASSWORD_CHARACTERS_MIN, length.as_str()),
        (text.contains(char::is_uppercase), "an upper-case letter"),
        (text.contains(char::is_lowercase), "a lower-case letter"),
        (text.contains(char::is_numeric), "a digit"),
        (text.contains(|c: char| !c.is_alphanumeric()), "a special character such as `!` or a space"),
    ];
    let missing = requirements.iter().filter(|(is_met, _)| !is_met).map(|(_, name)| *name);
    missing.collect::<Vec<_>>().join(", ")
}

impl PasswordHash {
    /// Parses the text of [`PasswordHash::as_text`], and nothing else: version 2b, a cost within
    /// [`BCRYPT_COST_MIN`]..=[`BCRYPT_COST_MAX`], and the only spelling of this salt and hash.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        let parts: HashParts = text.parse().ok()?;
        let is_ours = is_cost(parts.get_cost()) && parts.to_string() == text;
        is_ours.then(|| PasswordHash(text.to_owned()))
    }

    /// For the file of accounts only.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The cost of the hash `text`, without a check of the rest. For many at once.
    pub fn cost_in(text: &str) -> Option<u32> {
        text.split('$').nth(2)?.parse().ok().filter(|&cost| is_cost(cost))
    }

    /// Computing the hash takes two to the power of this rounds.
    pub fn cost(&self) -> u32 {
        let parts: Result<HashParts, _> = self.0.parse();
        let Ok(parts) = parts else { unreachable!("it was parsed or computed here") };
        parts.get_cost()
    }
}

/// The hash of `password` with a `salt` that is random and used once.
///
/// # Panics
/// If `cost` is outside [`BCRYPT_COST_MIN`]..=[`BCRYPT_COST_MAX`], which the configuration checks.
pub fn hash(password: &Password, cost: u32, salt: [u8; 16]) -> PasswordHash {
    assert_cost(cost);
    // bcrypt reads 72 bytes, and a NUL ends a shorter password. The crate's functions called non_truncating
    // count that NUL, so they refuse 72 bytes. This one then drops only the NUL: a password is never longer.
    let parts = bcrypt::hash_with_salt(password.0.reveal(), cost, salt);
    let Ok(parts) = parts else { unreachable!("the crate refuses nothing but the cost") };
    PasswordHash(parts.to_string())
}

/// Whether `hash` is that of `password`. Takes as long for a wrong password as for the right one.
pub fn verify(password: &Password, hash: &PasswordHash) -> bool {
    // As in `hash`, nothing is cut off. An error means that the text is not a hash.
    bcrypt::verify(password.0.reveal(), hash.as_text()).unwrap_or(false)
}

/// Takes as long as [`verify`] with a hash of `cost`, for user names that do not exist and for texts
/// that cannot be passwords. Panics as [`hash`] does.
pub fn verify_dummy(cost: u32) {
    // The time does not depend on the password: bcrypt repeats it to 72 bytes.
    std::hint::black_box(bcrypt::verify("", dummy_hash(cost).as_text()).unwrap_or(false));
}

/// Takes the time by which [`verify`] with a hash of `cost_max` is slower than with one of `cost`, so that
/// both together take equally long for every `cost`. Panics as [`hash`] does.
pub fn verify_dummy_up_to(cost: u32, cost_max: u32) {
    // Each step doubles the time: 2^cost + (2^cost + 2^(cost+1) + … + 2^(cost_max-1)) = 2^cost_max.
    (cost..cost_max).for_each(verify_dummy);
}

/// A well-formed hash, or else `verify` would return at once, that is not of any known password.
fn dummy_hash(cost: u32) -> PasswordHash {
    assert_cost(cost);
    PasswordHash(format!("$2b${cost:02}${:.<53}", ""))
}

fn is_cost(cost: u32) -> bool {
    (BCRYPT_COST_MIN..=BCRYPT_COST_MAX).contains(&cost)
}

fn assert_cost(cost: u32) {
    assert!(is_cost(cost), "a cost of bcrypt is {BCRYPT_COST_MIN} to {BCRYPT_COST_MAX}, not {cost}");
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Empty => f.write_str("The password is empty. Send one."),
            PasswordError::TooLong { bytes } => write!(
                f,
                "The password is {} bytes long; the maximum is {PASSWORD_BYTES_MAX}. Use a shorter one.",
                grouped(bytes)
            ),
            PasswordError::Control => {
                f.write_str("The password has a control character, such as a line end or NUL. Remove it.")
            }
            PasswordError::Weak { missing } => {
                write!(f, "The password needs {missing}. Add what is missing.")
            }
        }
    }
}

impl std::error::Error for PasswordError {}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
