//! The keys of config.json: the rule at startup, by which every owner with authentication has a key, and new keys.

use crate::auth::api_key::{Entropy, generate, hash_sent};
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
    /// The owners whose key was written by hand and is now stored only as a hash, because `save_api_key_to_file` is
    /// false.
    pub removed_text: Vec<KeyOwner>,
    /// Whether the configuration has changed and must be saved.
    pub changed: bool,
}

/// Why a key cannot be used or generated.
#[derive(Debug)]
pub enum KeyError {
    /// A key written by hand begins with `pikv_` and is not a generated one.
    LooksMistyped {
        owner: KeyOwner,
    },
    /// Two owners have the same key.
    Shared {
        first: KeyOwner,
        second: KeyOwner,
    },
    /// The project does not exist.
    OwnerMissing {
        owner: KeyOwner,
    },
    Entropy(EntropyUnavailable),
}

/// Generates a new key for `owner` and stores its hash in `config`, and its text too if `save_api_key_to_file` is true
/// for the owner. If this fails, `config` is unchanged.
pub(crate) fn issue(
    config: &mut Config,
    owner: &KeyOwner,
    entropy: &mut Entropy<'_>,
) -> Result<Secret, KeyError> {
    let missing = || KeyError::OwnerMissing { owner: owner.clone() };
    let settings = match owner {
        KeyOwner::Global => config.authentication,
        KeyOwner::Project(id) => settings_of(config, config.project(id).ok_or_else(missing)?),
    };
    let key = generate(entropy).map_err(KeyError::Entropy)?;
    if config.set_key(owner, stored(&key, settings)) { Ok(key) } else { Err(missing()) }
}

/// The rule at startup for the keys of config.json.
///
/// A key written by hand replaces the hash; its text is removed from the file unless `save_api_key_to_file` is true. If
/// authentication is on and there is neither key nor hash, a key is generated. A hash alone does not change. If this
/// fails, `config` is unchanged.
pub fn ensure_keys(config: &mut Config, entropy: &mut Entropy<'_>) -> Result<KeyChanges, KeyError> {
    check(config)?;
    let mut key_changes = KeyChanges::default();
    let mut replaced: Vec<(KeyOwner, StoredKey)> = Vec::new();
    for (owner, key, settings) in keys(config) {
        if let Some(followed) = follow_text(key, settings) {
            if followed.text.is_none() {
                key_changes.removed_text.push(owner.clone());
            }
            replaced.push((owner, followed));
        } else if settings.enabled && key.text.is_none() && key.hash.is_none() {
            let secret = generate(entropy).map_err(KeyError::Entropy)?;
            replaced.push((owner.clone(), stored(&secret, settings)));
            key_changes.issued.push((owner, secret));
        }
    }
    key_changes.changed = !replaced.is_empty();
    for (owner, key) in replaced {
        config.set_key(&owner, key);
    }
    Ok(key_changes)
}

/// How to use a key without its text in config.json.
pub(crate) const HASH_ADVICE: &str = "To use a key without saving it, write `api_key_hash` in place of `api_key`: \"sha256:\" \
                               and the 64 digits that `printf %s KEY | sha256sum` prints";

/// Applies the rule for keys written by hand, and generates none.
pub(crate) fn follow_texts(config: &mut Config) {
    let followed: Vec<(KeyOwner, StoredKey)> = keys(config)
        .filter_map(|(owner, key, settings)| Some((owner, follow_text(key, settings)?)))
        .collect();
    for (owner, key) in followed {
        config.set_key(&owner, key);
    }
}

/// Refuses keys that would make authorization wrong: one that looks mistyped, and one that two owners share.
pub(crate) fn check(config: &Config) -> Result<(), KeyError> {
    let mut owner_of: HashMap<KeyHash, KeyOwner> = HashMap::new();
    for (owner, key, _) in keys(config) {
        let hash = match key.text.as_ref().map(|text| hash_sent(text.reveal().as_bytes())) {
            Some(Ok(hash)) => Some(hash),
            Some(Err(_)) => return Err(KeyError::LooksMistyped { owner }),
            None => key.hash,
        };
        let Some(hash) = hash else { continue };
        if let Some(first) = owner_of.insert(hash, owner.clone()) {
            return Err(KeyError::Shared { first, second: owner });
        }
    }
    Ok(())
}

/// `key` with the hash of its text, and without the text unless that is kept; `None` if nothing changes.
fn follow_text(key: &StoredKey, settings: AuthenticationSettings) -> Option<StoredKey> {
    let followed = stored(key.text.as_ref()?, settings);
    (followed != *key).then_some(followed)
}

/// The stored form of the key `text`.
fn stored(text: &Secret, settings: AuthenticationSettings) -> StoredKey {
    let hash = Some(KeyHash::of(text.reveal().as_bytes()));
    StoredKey { text: settings.save_api_key_to_file.then(|| text.clone()), hash }
}

/// Every owner, the global one first, with its key and its settings.
fn keys(config: &Config) -> impl Iterator<Item = (KeyOwner, &StoredKey, AuthenticationSettings)> {
    let projects = config
        .projects()
        .iter()
        .map(|project| (KeyOwner::Project(project.id.clone()), &project.key, settings_of(config, project)));
    std::iter::once((KeyOwner::Global, &config.key, config.authentication)).chain(projects)
}

/// The effective settings for the key of `project`.
fn settings_of(config: &Config, project: &ProjectConfig) -> AuthenticationSettings {
    let enabled = config.authentication_enabled(project);
    AuthenticationSettings { enabled, ..config.authentication_of(project) }
}

/// The member of config.json for the key of `owner`.
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
                 checksum is wrong); correct it, choose one with another beginning, or set `api_key` and \
                 `api_key_hash` to null to have one generated",
                member(owner)
            ),
            KeyError::Shared { first, second } => write!(
                f,
                "{first} ({}) and {second} ({}) have the same key; keys must be unique, so change one `api_key`, or \
                 set that `api_key` and `api_key_hash` to null to have one generated",
                member(first),
                member(second)
            ),
            KeyError::OwnerMissing { owner } => {
                write!(f, "{owner} cannot be set: the project does not exist")
            }
            KeyError::Entropy(error) => write!(f, "no key could be generated: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
