//! One account: as it is stored, and its parts as types that hold only what is valid.

use crate::auth::password::PasswordHash;
use crate::digits::hex_value;
use crate::entropy::{EntropyUnavailable, random_bytes};
use crate::json;
use crate::limits::{ACCOUNT_PREFIX_BYTES, KEY_BYTES_MAX, USERNAME_BYTES_MAX};
use crate::names::{Key, KeyBuf, Username};
use serde::{Deserialize, Serialize};

/// Bytes of an id as text.
const ID_BYTES: usize = 16;
const _: () = assert!(ID_BYTES + 1 == ACCOUNT_PREFIX_BYTES);
const _: () = assert!("account/".len() + USERNAME_BYTES_MAX <= KEY_BYTES_MAX);

/// 64 random bits, 16 hexadecimal digits: what an account's keys are stored under. No other account
/// ever gets it, also not one with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

#[derive(Clone, Debug)]
pub struct Account {
    /// What its keys are stored under.
    pub id: AccountId,
    /// As it was registered.
    pub username: Username,
    /// Who it is.
    pub profile: Profile,
    pub password: PasswordHash,
    /// Names the time from one change of the password, or of `is_disabled`, to the next.
    pub credential: String,
    /// Whether nobody may use it.
    pub is_disabled: bool,
    /// When it was registered, milliseconds since 1970.
    pub created_ms: u64,
}

/// What a person says of themselves. An account that an operator made may have none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Where mail for them goes; of no two accounts the same.
    pub email: Option<String>,
    /// Their name.
    pub full_name: Option<String>,
    /// In years.
    pub age: Option<u64>,
    /// As they call it.
    pub gender: Option<String>,
}

/// An account as `_accounts` holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    username: String,
    email: Option<String>,
    full_name: Option<String>,
    age: Option<u64>,
    gender: Option<String>,
    password: String,
    credential: String,
    disabled: bool,
    created_ms: u64,
}

impl AccountId {
    /// An id that was never used.
    pub fn new() -> Result<AccountId, EntropyUnavailable> {
        new_identifier().map(AccountId)
    }

    /// Takes the text of our own files as an id.
    pub fn parse(text: &str) -> Option<AccountId> {
        let is_digit = |byte: u8| hex_value(byte).is_some();
        (text.len() == ID_BYTES && text.bytes().all(is_digit)).then(|| AccountId(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name for a new credential.
pub(crate) fn new_credential() -> Result<String, EntropyUnavailable> {
    new_identifier()
}

fn new_identifier() -> Result<String, EntropyUnavailable> {
    Ok(format!("{:016x}", u64::from_le_bytes(random_bytes()?)))
}

impl Account {
    /// The text that `_accounts` holds.
    pub(super) fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            id: self.id.0.clone(),
            username: self.username.as_str().to_owned(),
            email: self.profile.email.clone(),
            full_name: self.profile.full_name.clone(),
            age: self.profile.age,
            gender: self.profile.gender.clone(),
            password: self.password.as_text().to_owned(),
            credential: self.credential.clone(),
            disabled: self.is_disabled,
            created_ms: self.created_ms,
        };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads what [`Account::encode`] wrote; `None` where it is something else.
    pub(super) fn decode(text: &[u8]) -> Option<Account> {
        let stored: Stored = serde_json::from_slice(text).ok()?;
        let is_email = |email: &str| Key::parse_stored(&email_key_text(email)).is_ok();
        let profile = Profile {
            email: stored.email,
            full_name: stored.full_name,
            age: stored.age,
            gender: stored.gender,
        };
        if !profile.email.as_deref().is_none_or(is_email) {
            return None;
        }
        Some(Account {
            id: AccountId::parse(&stored.id)?,
            username: Username::parse(&stored.username)?,
            profile,
            password: PasswordHash::parse(&stored.password)?,
            credential: stored.credential,
            is_disabled: stored.disabled,
            created_ms: stored.created_ms,
        })
    }

    /// Appends the members of the account that anybody who may see it sees: never the hash.
    pub fn push_public(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"username\":");
        json::encode_string(self.username.as_str(), out);
        let profile = &self.profile;
        push_text(b",\"email\":", profile.email.as_deref(), out);
        push_text(b",\"full_name\":", profile.full_name.as_deref(), out);
        out.extend_from_slice(b",\"age\":");
        match profile.age {
            Some(age) => json::encode_u64(age, out),
            None => out.extend_from_slice(b"null"),
        }
        push_text(b",\"gender\":", profile.gender.as_deref(), out);
    }
}

fn push_text(name: &[u8], text: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    match text {
        Some(text) => json::encode_string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

pub(super) fn account_key(folded: &str) -> KeyBuf {
    KeyBuf::own(format!("account/{folded}"))
}

pub(super) fn email_key(address: &str) -> KeyBuf {
    KeyBuf::own(email_key_text(address))
}

fn email_key_text(address: &str) -> String {
    format!("email/{}", address.to_ascii_lowercase())
}

pub(super) fn deletion_key(id: &AccountId) -> KeyBuf {
    KeyBuf::own(format!("deletion/{}", id.as_str()))
}
