//! The keys of config.json: the start-up rule that gives every owner with authentication a key, and new keys.

use crate::auth::api_key::{Entropy, Presented, generate, present};
use crate::config::schema::{AuthenticationSettings, Config, KeyOwner, ProjectConfig, StoredKey};
use crate::entropy::EntropyUnavailable;
use crate::secret::{KEY_PREFIX, KeyHash, Secret};
use std::collections::HashMap;
use std::fmt;

/// What [`ensure_keys`] did.
#[derive(Debug, Default)]
pub struct KeyChanges {
    /// Keys that were generated, to be shown once.
    pub issued: Vec<(KeyOwner, Secret)>,
    /// Whose key was written by hand and is now kept as a hash only, because
    /// `save_api_key_to_file` is false.
    pub removed_text: Vec<KeyOwner>,
    /// Whether the configuration is another one than before and has to be saved.
    pub changed: bool,
}

/// Why a key could not be used or made.
#[derive(Debug)]
pub enum KeyError {
    /// A key written by hand begins with `pikv_` and is no generated one.
    LooksMistyped {
        /// Whose key it is.
        owner: KeyOwner,
    },
    /// Two owners have the same key.
    Shared {
        /// One of them.
        first: KeyOwner,
        /// The other.
        second: KeyOwner,
    },
    /// There is no such project.
    OwnerMissing {
        /// Whose key it should have been.
        owner: KeyOwner,
    },
    /// The operating system gave no random bytes.
    Entropy(EntropyUnavailable),
}

/// Makes a new key for `owner` and puts its hash into `config`, and its text too where that
/// owner's `save_api_key_to_file` says so. The key before it is gone from `config`.
///
/// # Errors
/// [`KeyError::OwnerMissing`] and [`KeyError::Entropy`]; `config` is then as it was.
pub(crate) fn issue(
    config: &mut Config,
    owner: &KeyOwner,
    entropy: &mut Entropy<'_>,
) -> Result<Secret, KeyError> {
    let missing = || KeyError::OwnerMissing { owner: owner.clone() };
    let rule = match owner {
        KeyOwner::Global => global_rule(config),
        KeyOwner::Project(id) => project_rule(config, config.project(id).ok_or_else(missing)?),
    };
    let key = generate(entropy).map_err(KeyError::Entropy)?;
    if config.set_key(owner, stored(&key, rule)) { Ok(key) } else { Err(missing()) }
}

/// The start-up rule for the keys of config.json.
///
/// A key written by hand becomes the hash, whatever the hash was; its text leaves the file unless
/// `save_api_key_to_file` is true. Where authentication is on and there is neither key nor hash,
/// a key is made. A hash alone stays as it is.
///
/// # Errors
/// [`KeyError`]; `config` is then as it was.
pub fn ensure_keys(config: &mut Config, entropy: &mut Entropy<'_>) -> Result<KeyChanges, KeyError> {
    check(config)?;
    let mut completed = KeyChanges::default();
    let mut replaced: Vec<(KeyOwner, StoredKey)> = Vec::new();
    for (owner, key, rule) in keys(config) {
        if let Some(followed) = follow_text(key, rule) {
            if followed.text.is_none() {
                completed.removed_text.push(owner.clone());
            }
            replaced.push((owner, followed));
        } else if rule.is_key_needed && key.text.is_none() && key.hash.is_none() {
            let secret = generate(entropy).map_err(KeyError::Entropy)?;
            replaced.push((owner.clone(), stored(&secret, rule)));
            completed.issued.push((owner, secret));
        }
    }
    completed.changed = !replaced.is_empty();
    for (owner, key) in replaced {
        config.set_key(&owner, key);
    }
    Ok(completed)
}

/// How a key is used that is not in config.json as text.
pub(crate) const HASH_ADVICE: &str = "To use a key without saving it, write `api_key_hash` in place of `api_key`: \"sha256:\" \
                               and the 64 digits that `printf %s KEY | sha256sum` prints";

/// Replaces each key that was written by hand by what is kept of it, and generates none.
pub(crate) fn follow_texts(config: &mut Config) {
    let followed: Vec<(KeyOwner, StoredKey)> =
        keys(config).filter_map(|(owner, key, rule)| Some((owner, follow_text(key, rule)?))).collect();
    for (owner, key) in followed {
        config.set_key(&owner, key);
    }
}

/// Refuses keys that would make the decisions at run time wrong: one that looks mistyped, and one
/// that two owners share.
pub(crate) fn check(config: &Config) -> Result<(), KeyError> {
    let mut owner_of: HashMap<KeyHash, KeyOwner> = HashMap::new();
    for (owner, key, _) in keys(config) {
        let hash = match key.text.as_ref().map(|text| present(text.reveal().as_bytes())) {
            Some(Presented::Hash(hash)) => Some(hash),
            Some(Presented::Mistyped) => return Err(KeyError::LooksMistyped { owner }),
            None => key.hash,
        };
        let Some(hash) = hash else { continue };
        if let Some(first) = owner_of.insert(hash, owner.clone()) {
            return Err(KeyError::Shared { first, second: owner });
        }
    }
    Ok(())
}

/// `key` with the hash of its text, and without the text where that is not kept; `None` where
/// that is what it is already.
fn follow_text(key: &StoredKey, rule: KeyRule) -> Option<StoredKey> {
    let followed = stored(key.text.as_ref()?, rule);
    (followed != *key).then_some(followed)
}

/// What is kept of the key `text`.
fn stored(text: &Secret, rule: KeyRule) -> StoredKey {
    let hash = Some(KeyHash::of(text.reveal().as_bytes()));
    StoredKey { text: rule.is_text_kept.then(|| text.clone()), hash }
}

/// What the settings say of one owner's key.
#[derive(Clone, Copy)]
struct KeyRule {
    is_key_needed: bool,
    is_text_kept: bool,
}

/// Every owner, the global one first, with its key and its rule.
fn keys(config: &Config) -> impl Iterator<Item = (KeyOwner, &StoredKey, KeyRule)> {
    let projects = config
        .projects()
        .iter()
        .map(|project| (KeyOwner::Project(project.id.clone()), &project.key, project_rule(config, project)));
    std::iter::once((KeyOwner::Global, &config.key, global_rule(config))).chain(projects)
}

fn global_rule(config: &Config) -> KeyRule {
    let AuthenticationSettings { enabled, save_api_key_to_file } = config.authentication;
    KeyRule { is_key_needed: enabled, is_text_kept: save_api_key_to_file }
}

fn project_rule(config: &Config, project: &ProjectConfig) -> KeyRule {
    KeyRule {
        is_key_needed: config.authentication_enabled(project),
        is_text_kept: config.authentication_of(project).save_api_key_to_file,
    }
}

/// Where the configuration has the key of `owner`.
fn member(owner: &KeyOwner) -> &'static str {
    match owner {
        KeyOwner::Global => "`default.authentication.api_key`",
        KeyOwner::Project(_) => "`authentication.api_key` in its element of `projects`",
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::LooksMistyped { owner } => write!(
                f,
                "{owner} ({}) begins with `{KEY_PREFIX}` but is not a key that this program generated (its length or \
                 checksum is wrong); correct it, choose one that begins otherwise, or set `api_key` and \
                 `api_key_hash` to null to have one generated",
                member(owner)
            ),
            KeyError::Shared { first, second } => write!(
                f,
                "{first} ({}) and {second} ({}) are the same; every key opens one door, so change one \
                 `api_key`, or set that `api_key` and `api_key_hash` to null to have one generated",
                member(first),
                member(second)
            ),
            KeyError::OwnerMissing { owner } => write!(f, "{owner} cannot be set: there is no such project"),
            KeyError::Entropy(error) => write!(f, "no key could be generated: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
