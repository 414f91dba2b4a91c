use super::*;
use crate::config::file::{default_config, encode, parse};
use crate::config::schema::{AuthenticationChoice, FIRST_PROJECT, StorageChoice};
use crate::names::ProjectId;

/// Computed apart from this code, with Python's `zlib.crc32` and integers.
const KEY_OF_COUNTING_BYTES: &str = "pikv_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf05vj4U";
const BY_HAND: &str = "a key by hand, of 16 bytes or more";

fn counting() -> Result<[u8; 32], EntropyUnavailable> {
    Ok(std::array::from_fn(|index| u8::try_from(index).unwrap()))
}

/// Another key each time.
fn growing() -> impl FnMut() -> Result<[u8; 32], EntropyUnavailable> {
    let mut count = 0;
    move || {
        count += 1;
        Ok([count; 32])
    }
}

fn no_entropy() -> Result<[u8; 32], EntropyUnavailable> {
    panic!("no key is needed")
}

fn first_project() -> KeyOwner {
    KeyOwner::Project(ProjectId::parse(FIRST_PROJECT).unwrap())
}

fn with_key(text: Option<&str>, hash: Option<&str>) -> StoredKey {
    StoredKey {
        text: text.map(|text| Secret::new(text.to_owned())),
        hash: hash.map(|of| KeyHash::of(of.as_bytes())),
    }
}

/// The default configuration with a hash for each owner: nothing is to be done.
fn settled() -> Config {
    let mut config = default_config();
    config.set_key(&KeyOwner::Global, with_key(None, Some("global")));
    config.set_key(&first_project(), with_key(None, Some("first")));
    config
}

#[test]
fn first_start_generates_a_key_for_each_owner_and_keeps_only_hashes() {
    let mut config = default_config();
    let key_changes = ensure_keys(&mut config, &mut growing()).unwrap();
    let owners: Vec<&KeyOwner> = key_changes.issued.iter().map(|(owner, _)| owner).collect();
    assert_eq!(owners, [&KeyOwner::Global, &first_project()]);
    for (owner, secret) in &key_changes.issued {
        assert_eq!(*config.key(owner).unwrap(), with_key(None, Some(secret.reveal())));
    }
    assert!(key_changes.changed && key_changes.removed_text.is_empty());
    let again = ensure_keys(&mut config, &mut no_entropy).unwrap();
    assert!(!again.changed && again.issued.is_empty(), "a second start changes nothing");
}

#[test]
fn a_key_text_is_kept_if_the_owner_or_the_default_has_it_saved() {
    let mut config = default_config();
    config.authentication.save_api_key_to_file = true;
    let id = ProjectId::parse("silent").unwrap();
    let silent = AuthenticationChoice::default();
    config.add_project(ProjectConfig::new(id.clone(), StorageChoice::default(), silent)).unwrap();
    let key_changes = ensure_keys(&mut config, &mut growing()).unwrap();
    assert_eq!(key_changes.issued.len(), 3);
    let is_kept = |owner: &KeyOwner| config.key(owner).unwrap().text.is_some();
    assert!(is_kept(&KeyOwner::Global));
    assert!(is_kept(&KeyOwner::Project(id)), "inherited");
    assert!(!is_kept(&first_project()), "its own setting is false");
    let mut read_back = parse(&encode(&config)).unwrap();
    assert!(!ensure_keys(&mut read_back, &mut no_entropy).unwrap().changed, "generated keys load again");
}

#[test]
fn the_hash_follows_a_key_written_by_hand() {
    let mut config = settled();
    config.set_key(&first_project(), with_key(Some(BY_HAND), Some("an old one")));
    let key_changes = ensure_keys(&mut config, &mut no_entropy).unwrap();
    assert!(key_changes.changed && key_changes.issued.is_empty());
    assert_eq!(key_changes.removed_text, [first_project()]);
    assert_eq!(*config.key(&first_project()).unwrap(), with_key(None, Some(BY_HAND)));

    let mut config = settled();
    config.authentication.save_api_key_to_file = true;
    config.set_key(&KeyOwner::Global, with_key(Some(BY_HAND), None));
    let key_changes = ensure_keys(&mut config, &mut no_entropy).unwrap();
    assert!(key_changes.changed && key_changes.removed_text.is_empty());
    assert_eq!(*config.key(&KeyOwner::Global).unwrap(), with_key(Some(BY_HAND), Some(BY_HAND)));
    assert!(!ensure_keys(&mut config, &mut no_entropy).unwrap().changed);
}

#[test]
fn no_key_is_generated_without_authentication() {
    let mut config = default_config();
    config.authentication.enabled = false;
    assert!(!ensure_keys(&mut config, &mut no_entropy).unwrap().changed, "switched off for all");

    let mut config = default_config();
    let off = AuthenticationChoice { enabled: Some(false), save_api_key_to_file: None };
    config.replace_settings(&ProjectId::parse(FIRST_PROJECT).unwrap(), StorageChoice::default(), off);
    let key_changes = ensure_keys(&mut config, &mut growing()).unwrap();
    assert_eq!(key_changes.issued.len(), 1);
    assert_eq!(key_changes.issued[0].0, KeyOwner::Global);
}

#[test]
fn a_key_text_is_removed_from_the_file_also_without_authentication() {
    let mut config = settled();
    config.authentication.enabled = false;
    config.set_key(&first_project(), with_key(Some(BY_HAND), None));
    assert_eq!(ensure_keys(&mut config, &mut no_entropy).unwrap().removed_text, [first_project()]);
    assert_eq!(*config.key(&first_project()).unwrap(), with_key(None, Some(BY_HAND)));
}

#[test]
fn a_key_by_hand_that_looks_mistyped_is_refused_without_being_told() {
    let mut config = default_config();
    config.set_key(&first_project(), with_key(Some("pikv_canary_canary"), None));
    let before = config.clone();
    let error = ensure_keys(&mut config, &mut growing()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("the key of project `first_project` (`authentication.api_key` in its element"),
        "{message}"
    );
    assert!(!format!("{message}{error:?}").contains("canary"), "{message}");
    assert_eq!(config, before);
}

#[test]
fn a_key_of_two_owners_is_refused() {
    let mut config = settled();
    config.set_key(&first_project(), with_key(None, Some("global")));
    assert!(matches!(check(&config), Err(KeyError::Shared { first: KeyOwner::Global, .. })));
    config.set_key(&first_project(), with_key(Some(BY_HAND), Some("global")));
    assert!(check(&config).is_ok(), "the hash will follow the text");
    config.set_key(&KeyOwner::Global, with_key(None, Some(BY_HAND)));
    assert!(check(&config).is_err(), "the hash will follow the text");
}

#[test]
fn an_issued_key_replaces_the_one_before() {
    let mut config = settled();
    let key = issue(&mut config, &first_project(), &mut counting).unwrap();
    assert_eq!(key.reveal(), KEY_OF_COUNTING_BYTES);
    assert_eq!(*config.key(&first_project()).unwrap(), with_key(None, Some(KEY_OF_COUNTING_BYTES)));
    assert_eq!(config.key, settled().key);
    let missing = KeyOwner::Project(ProjectId::parse("missing").unwrap());
    assert!(matches!(issue(&mut config, &missing, &mut counting), Err(KeyError::OwnerMissing { .. })));
}
