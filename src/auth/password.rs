//! Passwords and the bcrypt hashes that are kept of them.
//!
//! Not here: the random salt (the caller's, from `entropy.rs`), and where the work runs. [`hash`],
//! [`verify`] and [`verify_dummy`] take 2^cost rounds of one core, so they belong into the password lane.
//!
//! A password is compared as typed: no Unicode normalization, no trimming.

use crate::limits::{BCRYPT_COST_MAX, BCRYPT_COST_MIN, PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
use crate::secret::{MASK, Secret};
use bcrypt::HashParts;
use std::fmt;

/// A password as typed: 1..=[`PASSWORD_BYTES_MAX`] bytes without control characters. Shows as `***`.
pub struct Password(Secret);

/// What is kept of a password, the 60 characters `$2b$12$…` of bcrypt: version, cost, salt, hash.
/// Shows as `***`.
#[derive(Clone)]
pub struct PasswordHash(String);

/// Why a text is not taken as a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// There is nothing.
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    TooLong {
        /// Bytes of the text.
        bytes: usize,
    },
    /// It has a control character.
    Control,
    /// Not good enough for a new password.
    Weak {
        /// All that it lacks, at least one thing.
        lacks: Vec<MissingRequirement>,
    },
}

/// One thing that a new password has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRequirement {
    /// [`PASSWORD_CHARACTERS_MIN`] characters.
    Characters {
        /// How many it has.
        characters: usize,
    },
    /// An upper-case letter, of any alphabet.
    UpperCase,
    /// A lower-case letter, of any alphabet.
    LowerCase,
    /// A digit, of any script.
    Digit,
    /// A character that is neither a letter nor a digit; a space is one.
    Special,
}

/// Which new passwords are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those without a [`MissingRequirement`].
    Strong,
    /// Every [`Password`]: the operator asked for it.
    Weak,
}

impl Password {
    /// Takes `text` as a password to log in with.
    ///
    /// # Errors
    /// [`PasswordError`], but never [`PasswordError::Weak`]: the rule for new passwords may have
    /// been another one when this one was new.
    pub fn parse(text: &str) -> Result<Password, PasswordError> {
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong { bytes: text.len() });
        }
        // NUL above all: bcrypt repeats the password with a NUL behind it, so `a` and `a\0a` are one.
        if text.contains(char::is_control) {
            return Err(PasswordError::Control);
        }
        Ok(Password(Secret::new(text.to_owned())))
    }

    /// Takes `text` as a new password under `rule`.
    ///
    /// # Errors
    /// [`PasswordError`]; a weak one with all that it lacks.
    pub fn parse_new(text: &str, rule: Rule) -> Result<Password, PasswordError> {
        let password = Password::parse(text)?;
        let lacks = if rule == Rule::Strong { lacks(text) } else { Vec::new() };
        if lacks.is_empty() { Ok(password) } else { Err(PasswordError::Weak { lacks }) }
    }
}

fn lacks(text: &str) -> Vec<MissingRequirement> {
    let characters = text.chars().count();
    let checks = [
        (characters >= PASSWORD_CHARACTERS_MIN, MissingRequirement::Characters { characters }),
        (text.contains(char::is_uppercase), MissingRequirement::UpperCase),
        (text.contains(char::is_lowercase), MissingRequirement::LowerCase),
        (text.contains(char::is_numeric), MissingRequirement::Digit),
        (text.contains(|c: char| !c.is_alphanumeric()), MissingRequirement::Special),
    ];
    checks.into_iter().filter(|(has, _)| !has).map(|(_, lack)| lack).collect()
}

impl PasswordHash {
    /// Reads what [`PasswordHash::as_text`] gives, and nothing else: version 2b, a cost within
    /// [`BCRYPT_COST_MIN`]..=[`BCRYPT_COST_MAX`], and the one spelling that this salt and hash have.
    pub fn parse(text: &str) -> Option<PasswordHash> {
        let parts: HashParts = text.parse().ok()?;
        let is_ours = is_cost(parts.get_cost()) && parts.to_string() == text;
        is_ours.then(|| PasswordHash(text.to_owned()))
    }

    /// The text form, for the file of accounts only.
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The cost of the hash that `text` is, without a check of the rest. For many at once.
    pub fn cost_in(text: &str) -> Option<u32> {
        text.split('$').nth(2)?.parse().ok().filter(|&cost| is_cost(cost))
    }

    /// The cost that it was made with: the rounds are two to the power of it.
    pub fn cost(&self) -> u32 {
        let parts: Result<HashParts, _> = self.0.parse();
        let Ok(parts) = parts else { unreachable!("it was parsed or made here") };
        parts.get_cost()
    }
}

/// The hash of `password` with a `salt` that is random and used once.
///
/// # Panics
/// Where `cost` is outside [`BCRYPT_COST_MIN`]..=[`BCRYPT_COST_MAX`]: the configuration has it checked.
pub fn hash(password: &Password, cost: u32, salt: [u8; 16]) -> PasswordHash {
    assert_cost(cost);
    // bcrypt knows 72 bytes, and a NUL ends the password where it is shorter. The crate's functions
    // called non_truncating count that NUL, so they refuse 72 bytes. This one drops only the NUL
    // then; the password itself is never longer, so none of its bytes are lost.
    let parts = bcrypt::hash_with_salt(password.0.reveal(), cost, salt);
    let Ok(parts) = parts else { unreachable!("the crate refuses nothing but the cost") };
    PasswordHash(parts.to_string())
}

/// Whether `hash` was made of `password`. Takes as long for a wrong password as for the right one.
pub fn verify(password: &Password, hash: &PasswordHash) -> bool {
    // As in `hash`: nothing is cut off. An error would be a text that is no hash.
    bcrypt::verify(password.0.reveal(), hash.as_text()).unwrap_or(false)
}

/// Takes as long as [`verify`] with a hash of `cost`, for user names that do not exist and for texts
/// that are no password.
///
/// # Panics
/// As [`hash`] does.
pub fn verify_dummy(cost: u32) {
    // The time does not depend on the password: bcrypt repeats it to 72 bytes.
    std::hint::black_box(bcrypt::verify("", dummy_hash(cost).as_text()).unwrap_or(false));
}

/// Takes the time that [`verify`] with a hash of `cost_max` would have taken longer than with one of
/// `cost`, so that both together take as long whatever `cost` is.
///
/// # Panics
/// As [`hash`] does.
pub fn verify_dummy_up_to(cost: u32, cost_max: u32) {
    // Each step doubles the time: 2^cost + (2^cost + 2^(cost+1) + … + 2^(cost_max-1)) = 2^cost_max.
    (cost..cost_max).for_each(verify_dummy);
}

/// A hash that is well formed, or `verify` would be done at once, and that no known password has.
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
            PasswordError::Empty => f.write_str("the password is empty; send one"),
            PasswordError::TooLong { bytes } => write!(
                f,
                "a password has at most {PASSWORD_BYTES_MAX} bytes of UTF-8, this one has {bytes}; use a shorter one"
            ),
            PasswordError::Control => {
                f.write_str("a password has no control characters such as line ends or NUL; leave them out")
            }
            PasswordError::Weak { lacks } => {
                f.write_str("a new password needs ")?;
                for (index, lack) in lacks.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    lack.fmt(f)?;
                }
                f.write_str("; add what is missing")
            }
        }
    }
}

impl fmt::Display for MissingRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissingRequirement::Characters { characters } => {
                write!(f, "at least {PASSWORD_CHARACTERS_MIN} characters (this one has {characters})")
            }
            MissingRequirement::UpperCase => f.write_str("an upper-case letter"),
            MissingRequirement::LowerCase => f.write_str("a lower-case letter"),
            MissingRequirement::Digit => f.write_str("a digit"),
            MissingRequirement::Special => f.write_str("a special character such as `!` or a space"),
        }
    }
}

impl std::error::Error for PasswordError {}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
