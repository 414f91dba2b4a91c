//! One account and its parts, in memory and as stored.

use crate::auth::password::PasswordHash;
use crate::digits::hex_value;
use crate::entropy::{EntropyUnavailable, random_bytes};
use crate::json;
use crate::limits::{ACCOUNT_PREFIX_BYTES, KEY_BYTES_MAX, USERNAME_BYTES_MAX};
use crate::names::{Key, KeyBuf, Username};
use crate::store::change::Revision;
use serde::{Deserialize, Serialize};

const ID_BYTES: usize = 16;
const _: () = assert!(ID_BYTES + 1 == ACCOUNT_PREFIX_BYTES);
const _: () = assert!("account/".len() + USERNAME_BYTES_MAX <= KEY_BYTES_MAX);

/// 64 random bits as 16 hexadecimal digits, under which the keys of an account are stored. No other account
/// ever gets it, not even one with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId(String);

#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub username: Username,
    pub profile: Profile,
    pub password: PasswordHash,
    /// An id that changes with the password and with `is_disabled`.
    pub credential: String,
    pub is_disabled: bool,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// That of its entry when it was read or changed; [`Revision::ZERO`] before it is stored.
    pub revision: Revision,
}

/// The data of a registration. An account that an operator created may have none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Unique among accounts.
    pub email: Option<String>,
    pub full_name: Option<String>,
    /// In years.
    pub age: Option<u64>,
    pub gender: Option<String>,
}

/// An account in `_accounts`.
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
    /// A random id.
    pub fn new() -> Result<AccountId, EntropyUnavailable> {
        new_identifier().map(AccountId)
    }

    pub fn parse(text: &str) -> Option<AccountId> {
        let is_digit = |byte: u8| hex_value(byte).is_some();
        (text.len() == ID_BYTES && text.bytes().all(is_digit)).then(|| AccountId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A random id of an account or a credential.
pub(crate) fn new_identifier() -> Result<String, EntropyUnavailable> {
    Ok(format!("{:016x}", u64::from_le_bytes(random_bytes()?)))
}

impl Account {
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

    /// The account in an entry; `None` if `text` is not from [`Account::encode`].
    pub(super) fn decode(text: &[u8], revision: Revision) -> Option<Account> {
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
            revision,
        })
    }

    /// Appends the public members of the account, never the hash.
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
