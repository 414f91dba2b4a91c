//! Accounts on a disk that loses power or fails at every operation: what was acknowledged is there,
//! what was not sent is not, and an account, its address and its data come and go together.

use crate::harness::sim_disk::{Failure, Lasting, SimDisk};
use crate::harness::workload::{START_MS, read_all};
use pikv::testing::accounts::account::{Account, AccountId, Profile};
use pikv::testing::accounts::directory::Update;
use pikv::testing::accounts::{Accounts, AccountsError};
use pikv::testing::auth::password::{self, Password, PasswordHash};
use pikv::testing::clock;
use pikv::testing::config::schema::SyncMode;
use pikv::testing::disk::Disk;
use pikv::testing::names::{InternalProject, Key, ProjectId, Username};
use pikv::testing::persist::files::generation::Paths;
use pikv::testing::persist::live::project::{OpenOptions, Project};
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use pikv::testing::persist::start::recovery::ValueCache;
use pikv::testing::storage::Bucket;
use pikv::testing::store::batch::Op;
use pikv::testing::store::change::Revision;
use pikv::testing::store::error::StorageError;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const DIRECTORY: &str = "/data";
const SEEDS: u64 = 6;

/// Two hashes; bcrypt runs once for all tests.
static HASHES: LazyLock<[PasswordHash; 2]> = LazyLock::new(|| {
    [[1; 16], [2; 16]].map(|salt| password::hash(&Password::parse("Secret1!").unwrap(), 4, salt))
});

#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    email: String,
    is_disabled: bool,
    /// Which of [`HASHES`].
    hash: usize,
    data: BTreeMap<String, String>,
}

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    people: BTreeMap<String, Person>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(&'static str, &'static str),
    Put(&'static str, &'static str, &'static str),
    Disable(&'static str),
    Password(&'static str),
    Delete(&'static str),
    Checkpoint,
}

const STEPS: &[Step] = &[
    Step::Create("ada", "ada@example.com"),
    Step::Put("ada", "a", "1"),
    Step::Create("Bob", "bob@example.com"),
    Step::Put("bob", "b/1", "[1,2]"),
    Step::Put("ada", "..a", "\"x\""),
    Step::Password("ada"),
    Step::Checkpoint,
    Step::Put("ada", "a", "2"),
    Step::Delete("ada"),
    Step::Create("Ada", "ADA@example.com"),
    Step::Put("ada", "new", "3"),
    Step::Disable("bob"),
    Step::Delete("bob"),
];

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    /// Nothing has changed, for a reason that is no fault of the disk.
    Refused,
    /// It may have happened or not.
    Unknown,
}

/// Accounts that are being worked on, and the states that may be found if they end now.
struct Work {
    accounts: Accounts,
    cache: ValueCache,
    possible: Vec<State>,
}

fn open(disk: &SimDisk, cache: ValueCache) -> Result<Accounts, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Accounts::open(&disk, &ProjectQueues::new(Box::new(|| ())), Path::new(DIRECTORY), cache)
}

impl State {
    /// This state after `step`; `None` where the step cannot have been acknowledged in it.
    fn after(&self, step: Step) -> Option<State> {
        let mut next = self.clone();
        match step {
            Step::Create(name, email) => {
                let taken = |person: &Person| person.email.eq_ignore_ascii_case(email);
                if next.people.contains_key(&name.to_lowercase()) || next.people.values().any(taken) {
                    return None;
                }
                let person =
                    Person { email: email.to_owned(), is_disabled: false, hash: 0, data: BTreeMap::new() };
                next.people.insert(name.to_lowercase(), person);
            }
            Step::Put(name, key, value) => {
                next.people.get_mut(name)?.data.insert(key.to_owned(), value.to_owned());
            }
            Step::Disable(name) => next.people.get_mut(name)?.is_disabled = true,
            Step::Password(name) => next.people.get_mut(name)?.hash = 1,
            Step::Delete(name) => drop(next.people.remove(name)?),
            Step::Checkpoint => {}
        }
        Some(next)
    }
}

impl Work {
    fn begin(disk: &SimDisk, cache: ValueCache) -> Result<Work, String> {
        let accounts = open(disk, cache)?;
        Ok(Work { accounts, cache, possible: vec![State::default()] })
    }

    fn run(&mut self) {
        for step in STEPS {
            let outcome = self.take(*step).unwrap_or(Outcome::Unknown);
            let after = self.possible.iter().filter_map(|state| state.after(*step));
            let after: Vec<State> = after.collect();
            match outcome {
                Outcome::Acknowledged => self.possible = after,
                Outcome::Refused => {}
                Outcome::Unknown => self.possible.extend(after),
            }
            assert!(!self.possible.is_empty(), "{step:?} cannot be acknowledged");
        }
    }

    fn take(&self, step: Step) -> Result<Outcome, AccountsError> {
        let directory = &self.accounts.directory;
        let written = |commit| match directory.wait(commit) {
            Ok(()) => Outcome::Acknowledged,
            Err(_) => Outcome::Unknown,
        };
        Ok(match step {
            Step::Create(name, email) => {
                let made = self.accounts.add(&account(name, email), START_MS)?;
                if made.answer.is_ok() { written(made.commit.as_ref()) } else { Outcome::Refused }
            }
            Step::Put(name, key, value) => return self.put(name, key, value),
            Step::Disable(name) => {
                let update = Update { password: None, is_disabled: Some(true) };
                let changed = directory.update(name, &update, START_MS)?;
                if changed.answer.is_some() { written(changed.commit.as_ref()) } else { Outcome::Refused }
            }
            Step::Password(name) => {
                let update = Update { password: Some(HASHES[1].clone()), is_disabled: None };
                let changed = directory.update(name, &update, START_MS)?;
                if changed.answer.is_some() { written(changed.commit.as_ref()) } else { Outcome::Refused }
            }
            Step::Delete(name) => match self.accounts.delete(name, START_MS)? {
                true => Outcome::Acknowledged,
                false => Outcome::Refused,
            },
            Step::Checkpoint => {
                let Bucket::Embedded(project) = self.accounts.data() else {
                    panic!("accounts of this process")
                };
                let _ = project.checkpoint(START_MS, clock::monotonic());
                Outcome::Acknowledged
            }
        })
    }

    fn put(&self, name: &str, key: &str, value: &str) -> Result<Outcome, AccountsError> {
        let found = self.accounts.directory.find(name, START_MS)?.answer;
        let Some(account) = found else { return Ok(Outcome::Refused) };
        let keys = self.accounts.keys_of(&account);
        let written = keys.write_one(START_MS, Op::put(Key::parse(key).unwrap(), value.as_bytes(), None))?;
        Ok(match (written.answer, self.accounts.data().wait(written.commit.as_ref())) {
            (Ok(_), Ok(())) => Outcome::Acknowledged,
            (Ok(_), Err(_)) => Outcome::Unknown,
            (Err(_), _) => Outcome::Refused,
        })
    }

    /// Opens what is left on `disk` and checks that it is a possible state.
    fn recover_and_check(&self, disk: &SimDisk, context: &str) {
        let accounts = open(disk, self.cache).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(
            accounts.signing_key.encode().reveal(),
            self.accounts.signing_key.encode().reveal(),
            "{context}: tokens go on"
        );
        let found = found(disk, context);
        assert!(
            self.possible.contains(&found),
            "{context}: found\n{found:#?}\nwhich is none of\n{:#?}",
            self.possible
        );
        let again = account("carol", "carol@example.com");
        let made = accounts.add(&again, START_MS).unwrap();
        assert!(made.answer.is_ok() && accounts.directory.wait(made.commit.as_ref()).is_ok(), "{context}");
    }
}

/// What is kept on `disk`. Fails where an address or a key is nobody's.
fn found(disk: &SimDisk, context: &str) -> State {
    let mut entries = stored(disk, InternalProject::Accounts);
    let mut data = stored(disk, InternalProject::AccountData);
    let mut people = BTreeMap::new();
    let names: Vec<String> = entries.keys().cloned().collect();
    for name in names.iter().filter_map(|name| name.strip_prefix("account/")) {
        let stored: Value = serde_json::from_str(&entries[&format!("account/{name}")]).unwrap();
        let email = stored["email"].as_str().unwrap().to_owned();
        let owner = entries.remove(&format!("email/{}", email.to_lowercase()));
        assert_eq!(owner, Some(format!("\"{name}\"")), "{context}: the address of {name}");
        let prefix = format!("{}/", stored["id"].as_str().unwrap());
        let own = data.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        let mut own: BTreeMap<String, String> =
            own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        assert_eq!(own.remove("").as_deref(), Some("true"), "{context}: the marker of {name}");
        data.retain(|key, _| !key.starts_with(&prefix));
        let hash = HASHES.iter().position(|hash| stored["password"] == hash.as_text()).unwrap();
        let is_disabled = stored["disabled"].as_bool().unwrap();
        people.insert(name.to_owned(), Person { email, is_disabled, hash, data: own });
    }
    let rest: Vec<_> = entries.keys().filter(|name| !name.starts_with("account/")).collect();
    assert!(rest.is_empty(), "{context}: {rest:?} belong to nobody");
    // The marker of an account that was not created after all harms nobody.
    data.retain(|key, _| !key.ends_with('/'));
    assert!(data.is_empty(), "{context}: data of nobody: {data:?}");
    State { people }
}

fn account(name: &str, email: &str) -> Account {
    Account {
        id: AccountId::new().unwrap(),
        username: Username::parse(name).unwrap(),
        profile: Profile { email: Some(email.to_owned()), ..Profile::default() },
        password: HASHES[0].clone(),
        credential: "0123456789abcdef".to_owned(),
        is_disabled: false,
        created_ms: START_MS,
        revision: Revision::ZERO,
    }
}

/// The values of a project as a copy of `disk` has them.
fn stored(disk: &SimDisk, project: InternalProject) -> BTreeMap<String, String> {
    let id = ProjectId::from(project);
    let paths = Paths::new(Path::new(DIRECTORY), &id);
    let opening =
        OpenOptions { id, cache: ValueCache::Memory, sync: SyncMode::Always, sync_interval: Duration::ZERO };
    let (disk, engine) = (Arc::new(disk.after_kill()), ProjectQueues::new(Box::new(|| ())));
    let project = Arc::new(Project::open(disk, paths, opening, engine, START_MS).unwrap().project);
    read_all(&project, START_MS).into_iter().map(|(key, (value, _))| (key, value)).collect()
}

fn crash_everywhere(cache: ValueCache) {
    let whole = SimDisk::default();
    let mut work = Work::begin(&whole, cache).unwrap();
    work.run();
    assert_eq!(work.possible.len(), 1, "all is acknowledged on a good disk");
    assert_eq!(work.possible[0].people.keys().collect::<Vec<_>>(), ["ada"]);
    for at in 0..whole.operations() {
        let disk = SimDisk::default();
        disk.crash_at(at);
        let context = format!("{cache:?}: crash before {at} ({})", whole.operation(at));
        let Ok(mut work) = Work::begin(&disk, cache) else {
            (0..SEEDS).for_each(|seed| {
                let opened = open(&disk.after_crash(seed), cache);
                assert!(opened.is_ok(), "{context} seed {seed}: does not start");
            });
            continue;
        };
        work.run();
        for seed in 0..SEEDS {
            let found = disk.after_crash(seed);
            let context = format!("{context} seed {seed}");
            crash_while_recovering(&work, &found, seed, &context);
            work.recover_and_check(&found, &context);
        }
        work.recover_and_check(&disk.after_kill(), &format!("{context} killed"));
    }
}

/// The recovery, which finishes deletions, is interrupted at each of its operations.
fn crash_while_recovering(work: &Work, found: &SimDisk, seed: u64, context: &str) {
    let counted = found.after_kill();
    let before = counted.operations();
    open(&counted, work.cache).unwrap_or_else(|error| panic!("{context}: {error}"));
    for at in before..counted.operations() {
        let disk = found.after_kill();
        disk.crash_at(at);
        let _ = open(&disk, work.cache);
        let context = format!("{context}, then before {at} of recovery ({})", counted.operation(at));
        work.recover_and_check(&disk.after_crash(seed + at), &context);
    }
}

#[test]
fn accounts_survive_a_power_cut_at_every_operation_and_are_never_half_deleted() {
    crash_everywhere(ValueCache::Memory);
}

#[test]
fn accounts_with_values_in_files_survive_a_power_cut() {
    crash_everywhere(ValueCache::Disk);
}

fn fail_everywhere(failure: Failure) {
    let whole = SimDisk::default();
    Work::begin(&whole, ValueCache::Memory).unwrap().run();
    for at in 0..whole.operations() {
        for lasting in [Lasting::Once, Lasting::ForGood] {
            let disk = SimDisk::default();
            disk.fail_at(at, failure, lasting);
            let work = Work::begin(&disk, ValueCache::Memory);
            let context = format!("{failure:?} {lasting:?} at {at} ({})", whole.operation(at));
            let Ok(mut work) = work else {
                disk.heal();
                assert!(open(&disk, ValueCache::Memory).is_ok(), "{context}: opens once the disk is well");
                continue;
            };
            work.run();
            disk.heal();
            for seed in 0..3 {
                work.recover_and_check(&disk.after_crash(seed), &format!("{context} seed {seed}"));
            }
            work.recover_and_check(&disk.after_kill(), &format!("{context} killed"));
        }
    }
}

#[test]
fn accounts_survive_a_failing_medium_at_every_operation() {
    fail_everywhere(Failure::Eio);
}

#[test]
fn accounts_survive_a_full_disk_and_short_writes_at_every_operation() {
    fail_everywhere(Failure::Enospc);
    fail_everywhere(Failure::Short);
}

#[test]
fn an_account_whose_write_failed_does_not_exist_and_its_name_and_address_are_free() {
    let disk = SimDisk::default();
    let accounts = open(&disk, ValueCache::Memory).unwrap();
    disk.set_capacity(Some(disk.used()));
    let created = accounts.add(&account("ada", "ada@example.com"), START_MS);
    assert!(matches!(created, Err(AccountsError::Storage(StorageError::Full))));
    assert!(accounts.directory.find("ada", START_MS).unwrap().answer.is_none());
    disk.set_capacity(None);
    let again = accounts.add(&account("ADA", "Ada@example.com"), START_MS).unwrap();
    assert!(again.answer.is_ok() && accounts.directory.wait(again.commit.as_ref()).is_ok());
}

/// The disk is full when the data is to go: the account is gone, and so is its data once there is room
/// and any account is deleted, without a restart.
#[test]
fn a_deletion_that_a_full_disk_interrupted_continues_with_the_next_one() {
    let disk = SimDisk::default();
    let work = Work::begin(&disk, ValueCache::Memory).unwrap();
    for step in &STEPS[..2] {
        assert_eq!(work.take(*step).unwrap(), Outcome::Acknowledged);
    }
    let mut interrupted = 0;
    for at in 0.. {
        let copy = disk.after_kill();
        let accounts = open(&copy, ValueCache::Memory).unwrap();
        let begin = copy.operations();
        copy.fail_at(begin + at, Failure::Enospc, Lasting::Once);
        let deleted = accounts.delete("ada", START_MS).is_ok();
        copy.heal();
        if deleted {
            break;
        }
        if !copy.operation(begin + at).starts_with("write") {
            continue; // the full disk was noticed by something else than a write, which is no passing fault
        }
        let found = accounts.directory.find("ada", START_MS).unwrap().answer;
        assert_eq!(accounts.delete("ada", START_MS).unwrap(), found.is_some(), "operation {at}");
        assert_eq!(stored(&copy, InternalProject::AccountData).len(), 0, "operation {at}");
        assert_eq!(stored(&copy, InternalProject::Accounts).len(), 0, "operation {at}");
        interrupted += usize::from(found.is_none());
    }
    assert!(interrupted > 0);
}

/// As after the first start of this version, or after `_account_data` was restored from before the account.
#[test]
fn a_start_creates_the_markers_that_are_missing() {
    for cache in [ValueCache::Memory, ValueCache::Disk] {
        let disk = SimDisk::default();
        let work = Work::begin(&disk, cache).unwrap();
        for step in &STEPS[..2] {
            assert_eq!(work.take(*step).unwrap(), Outcome::Acknowledged);
        }
        let ada = work.accounts.directory.find("ada", START_MS).unwrap().answer.unwrap();
        let marker = format!("{}/", ada.id.as_str());
        let delete = Op::delete(Key::parse_stored(&marker).unwrap());
        work.accounts.data().write_one(START_MS, delete).unwrap().answer.unwrap();
        assert_eq!(work.put("ada", "x", "1").unwrap(), Outcome::Refused, "nothing is written without it");
        work.accounts.close();
        let work = Work { accounts: open(&disk.after_kill(), cache).unwrap(), ..work };
        assert_eq!(work.put("ada", "x", "1").unwrap(), Outcome::Acknowledged);
    }
}

/// Whoever knew the password of an account that is gone does not get into the next one of that name.
#[test]
fn the_hash_of_a_password_that_was_replaced_in_the_meantime_is_dropped() {
    let accounts = open(&SimDisk::default(), ValueCache::Memory).unwrap();
    let directory = &accounts.directory;
    let old = account("ada", "ada@example.com");
    assert!(accounts.add(&old, START_MS).unwrap().answer.is_ok());
    let same = directory.set_hash(&old, &HASHES[1], START_MS).unwrap().answer;
    assert_eq!(
        same.map(|account| account.password.as_text().to_owned()).as_deref(),
        Some(HASHES[1].as_text())
    );
    assert!(accounts.delete("ada", START_MS).unwrap());
    assert!(directory.set_hash(&old, &HASHES[1], START_MS).unwrap().answer.is_none());
    let new = Account { credential: "fedcba9876543210".to_owned(), ..account("ada", "other@example.com") };
    assert!(accounts.add(&new, START_MS).unwrap().answer.is_ok());
    assert!(directory.set_hash(&old, &HASHES[1], START_MS).unwrap().answer.is_none());
    let kept = directory.find("ada", START_MS).unwrap().answer.unwrap();
    assert_eq!(kept.password.as_text(), HASHES[0].as_text());
}

/// Whoever edits `_accounts.json` may write anything there.
#[test]
fn an_edited_account_with_an_invalid_address_is_refused_without_a_panic() {
    let disk = SimDisk::default();
    let work = Work::begin(&disk, ValueCache::Memory).unwrap();
    for step in [Step::Create("ada", "ada@example.com"), Step::Create("bob", "bob@example.com")] {
        assert_eq!(work.take(step).unwrap(), Outcome::Acknowledged);
    }
    work.accounts.close();
    let json = Paths::new(Path::new(DIRECTORY), &InternalProject::Accounts.into()).json;
    let text = String::from_utf8(disk.content(&json)).unwrap();
    for edited in ["\\u0001".to_owned(), "x".repeat(2_000)] {
        let disk = disk.after_kill();
        disk.place(&json, text.replacen("\"ada@example.com\"", &format!("\"{edited}\""), 1).as_bytes());
        let accounts = open(&disk, ValueCache::Memory).unwrap();
        assert!(matches!(accounts.delete("ada", START_MS), Err(AccountsError::Damaged)), "{edited}");
        assert!(accounts.delete("bob", START_MS).unwrap(), "the others are as before");
    }
}
