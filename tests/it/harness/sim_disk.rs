//! A disk in memory that forgets what was not synced, and fails where a test wants it to.
//!
//! What a running process sees and what a power cut leaves are kept apart. A file has bytes as last
//! synced and the writes since; a directory has its entries as last synced and the creations, renames
//! and removals since. [`SimDisk::after_crash`] keeps some of each, as the seed has it: writes may be
//! lost, kept out of order, or torn at sectors; a name may go missing while a later one is there.
//!
//! A sync that fails leaves what it should have written where the process sees it, and nowhere else: no later
//! sync writes it, and [`SimDisk::evict`] or a power cut lose it. Only writing it again helps.

mod node;

pub use node::Random;

use node::{Node, Write, is_kept};
use pikv::testing::disk::{Disk, DiskFile, Identity, Open, Stamp, Status, parent_directory};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The error number for a full disk.
pub const ENOSPC: i32 = 28;
/// The error number for a process without a free file descriptor.
const EMFILE: i32 = 24;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The medium.
    Eio,
    /// No room.
    Enospc,
    /// A write takes half of what it was given and says so; everything else fails with no room.
    Short,
}

/// Whether a failure passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// That operation only.
    Once,
    /// That operation and all later ones of its kind that need the medium.
    ForGood,
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Clone, Default)]
struct Medium {
    nodes: Vec<Node>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    /// The directories that others were mounted over, with what they hold.
    covered: BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>,
    operations: u64,
    log: Vec<String>,
    crash_at: Option<u64>,
    fail_at: Option<(u64, Failure, Lasting)>,
    fail_sync: Option<u64>,
    loss: Option<Random>,
    loses_pages: bool,
    refused: Option<(String, i32)>,
    opens: u64,
    fail_open: Option<(u64, Lasting)>,
    syncs: u64,
    capacity: Option<usize>,
}

/// The disk; clones are the same one.
#[derive(Clone, Default)]
pub struct SimDisk {
    medium: Arc<Mutex<Medium>>,
    /// Called before each counted operation, so that a test can act in the middle of a checkpoint.
    between: Arc<Mutex<Option<Between>>>,
    hold: Arc<Hold>,
}

/// Operations that do not end before they are let go.
#[derive(Default)]
struct Hold {
    /// How their descriptions begin, and how many wait.
    held: Mutex<(Option<String>, usize)>,
    signal: Condvar,
}

type Between = Box<dyn FnMut() + Send>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Sync,
    Other,
}

impl SimDisk {
    fn lock(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap()
    }

    /// Operations so far that change something or make it durable.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// What operation `number` was.
    pub fn operation(&self, number: u64) -> String {
        self.lock().log.get(number as usize).cloned().unwrap_or_else(|| "past the end".to_owned())
    }

    /// Operation `number` and all later ones find the power gone.
    pub fn crash_at(&self, number: u64) {
        self.lock().crash_at = Some(number);
    }

    /// Whether the power is gone.
    pub fn is_off(&self) -> bool {
        let medium = self.lock();
        medium.crash_at.is_some_and(|at| medium.operations >= at)
    }

    /// Operation `number` fails.
    pub fn fail_at(&self, number: u64, failure: Failure, lasting: Lasting) {
        self.lock().fail_at = Some((number, failure, lasting));
    }

    /// The sync of file content with this number, counted from now on and from 0, fails.
    pub fn fail_sync(&self, number: u64) {
        let mut medium = self.lock();
        medium.fail_sync = Some(medium.syncs + number);
    }

    /// Every operation whose description begins with `what` fails with the error number `code`.
    pub fn refuse(&self, what: &str, code: i32) {
        self.lock().refused = Some((what.to_owned(), code));
    }

    /// Files that were opened or created so far, or that could not be.
    pub fn opens(&self) -> u64 {
        self.lock().opens
    }

    /// Opening finds no file descriptor, from the open with this number on.
    pub fn fail_open(&self, number: u64, lasting: Lasting) {
        self.lock().fail_open = Some((number, lasting));
    }

    /// Ends every failure; the disk is as good as new.
    pub fn heal(&self) {
        let mut medium = self.lock();
        (medium.crash_at, medium.fail_at, medium.fail_sync) = (None, None, None);
        (medium.refused, medium.fail_open) = (None, None);
    }

    /// Lets all files together have so many bytes.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.lock().capacity = bytes;
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> usize {
        self.lock().used()
    }

    /// The disk as the next start finds it after the process was killed: nothing is lost, and what
    /// was not synced still is not. Also a way to copy a disk.
    pub fn after_kill(&self) -> SimDisk {
        let mut medium = self.lock().clone();
        (medium.crash_at, medium.fail_at, medium.fail_sync) = (None, None, None);
        (medium.refused, medium.fail_open, medium.capacity) = (None, None, None);
        SimDisk { medium: Arc::new(Mutex::new(medium)), ..SimDisk::default() }
    }

    /// The disk as the next start finds it after a power cut. Seed 0 loses all that was not synced,
    /// seed 1 nothing; others keep parts.
    pub fn after_crash(&self, seed: u64) -> SimDisk {
        let medium = self.lock();
        let mut random = Random(seed);
        let mut names = medium.durable_names.clone();
        for change in &medium.unsynced_names {
            if is_kept(seed, &mut random) {
                change.apply(&mut names);
            }
        }
        let nodes: Vec<Node> = medium.nodes.iter().map(|node| node.after_crash(seed, &mut random)).collect();
        let found = Medium { nodes, durable_names: names.clone(), names, ..Medium::default() };
        SimDisk { medium: Arc::new(Mutex::new(found)), ..SimDisk::default() }
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    /// The content of a file as the process sees it.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let medium = self.lock();
        medium.names.get(path).map(|&node| medium.nodes[node].bytes.clone()).unwrap_or_default()
    }

    /// Puts a file there, durably, as an owner with an editor would.
    pub fn place(&self, path: &Path, bytes: &[u8]) {
        let mut medium = self.lock();
        let node = Node { bytes: bytes.to_vec(), durable: bytes.to_vec(), unsynced: Vec::new() };
        medium.nodes.push(node);
        let number = medium.nodes.len() - 1;
        medium.names.insert(path.to_owned(), number);
        medium.durable_names.insert(path.to_owned(), number);
    }

    /// Flips a bit of a file behind the back of the process.
    pub fn flip(&self, path: &Path, at: usize) {
        let mut medium = self.lock();
        let node = medium.names[path];
        medium.nodes[node].bytes[at] ^= 1;
    }

    /// Takes a file away, durably.
    pub fn take_away(&self, path: &Path) {
        let mut medium = self.lock();
        medium.names.remove(path);
        medium.durable_names.remove(path);
    }

    /// Gives the file `path` the further name `link`, durably.
    pub fn link(&self, path: &Path, link: &Path) {
        let mut medium = self.lock();
        let node = medium.names[path];
        medium.names.insert(link.to_owned(), node);
        medium.durable_names.insert(link.to_owned(), node);
    }

    /// Cuts or extends a file in place, durably.
    pub fn cut(&self, path: &Path, length: usize) {
        let mut medium = self.lock();
        let node = medium.names[path];
        medium.nodes[node].bytes.resize(length, 0);
        medium.nodes[node].durable.resize(length, 0);
    }

    /// The system forgets what it has in memory of all files, but for what it still has to write.
    pub fn evict(&self) {
        self.lock().nodes.iter_mut().for_each(Node::evict);
    }

    /// A sync that fails from now on loses each sector or not, as the seed has it; `None`: all of them.
    pub fn lose_some(&self, seed: Option<u64>) {
        self.lock().loss = seed.map(Random);
    }

    /// A sync that fails from now on loses whole pages, with what they had before.
    pub fn lose_pages(&self) {
        self.lock().loses_pages = true;
    }

    /// Moves a file, durably, as `mv` does.
    pub fn move_to(&self, from: &Path, to: &Path) {
        self.link(from, to);
        self.take_away(from);
    }

    /// Mounts an empty file system over `directory`.
    pub fn mount_over(&self, directory: &Path) {
        let mut medium = self.lock();
        let is_in = |path: &Path| parent_directory(path) == directory;
        let (covered, others) =
            std::mem::take(&mut medium.names).into_iter().partition(|(path, _)| is_in(path));
        medium.names = others;
        medium.durable_names.retain(|path, _| !is_in(path));
        medium.covered.insert(directory.to_owned(), covered);
    }

    /// Ends [`SimDisk::mount_over`]; what was written meanwhile goes with the other file system.
    pub fn unmount(&self, directory: &Path) {
        let mut medium = self.lock();
        let is_in = |path: &Path| parent_directory(path) == directory;
        medium.names.retain(|path, _| !is_in(path));
        medium.durable_names.retain(|path, _| !is_in(path));
        let covered = medium.covered.remove(directory).unwrap();
        medium.durable_names.extend(covered.clone());
        medium.names.extend(covered);
    }

    /// Calls `act` before each counted operation, from now on; `None` ends that.
    pub fn set_between(&self, act: Option<Between>) {
        *self.between.lock().unwrap() = act;
    }

    /// Every operation whose description begins with `what` waits, until [`SimDisk::let_go`].
    pub fn hold(&self, what: &str) {
        self.hold.held.lock().unwrap().0 = Some(what.to_owned());
    }

    /// How many operations wait.
    pub fn held(&self) -> usize {
        self.hold.held.lock().unwrap().1
    }

    /// Ends all waiting.
    pub fn let_go(&self) {
        self.hold.held.lock().unwrap().0 = None;
        self.hold.signal.notify_all();
    }

    fn wait_while_held(&self, what: &str) {
        let is_held = |held: &Option<String>| held.as_ref().is_some_and(|begin| what.starts_with(begin));
        let mut held = self.hold.held.lock().unwrap();
        if !is_held(&held.0) {
            return;
        }
        held.1 += 1;
        while is_held(&held.0) {
            held = self.hold.signal.wait(held).unwrap();
        }
        held.1 -= 1;
    }

    fn act_between(&self) {
        let Ok(mut between) = self.between.try_lock() else { return };
        if let Some(act) = between.as_mut() {
            act();
        }
    }

    fn take_descriptor(&self) -> io::Result<()> {
        let mut medium = self.lock();
        medium.opens += 1;
        let number = medium.opens - 1;
        let fails = |(at, lasting)| number == at || (number > at && lasting == Lasting::ForGood);
        if medium.fail_open.is_some_and(fails) { Err(io::Error::from_raw_os_error(EMFILE)) } else { Ok(()) }
    }

    /// Counts an operation and says whether it fails.
    fn begin(&self, kind: Kind, what: impl FnOnce() -> String) -> io::Result<Option<Failure>> {
        if kind == Kind::Read {
            let medium = self.lock();
            let is_off = medium.crash_at.is_some_and(|at| medium.operations >= at);
            return if is_off { Err(power_gone()) } else { Ok(None) };
        }
        self.act_between();
        let what = what();
        self.wait_while_held(&what);
        let mut medium = self.lock();
        let number = medium.operations;
        if medium.crash_at.is_some_and(|at| number >= at) {
            return Err(power_gone());
        }
        medium.operations += 1;
        let refused = medium.refused.as_ref().filter(|(begin, _)| what.starts_with(begin));
        let refused = refused.map(|(_, code)| *code);
        medium.log.push(what);
        if let Some(code) = refused {
            return Err(io::Error::from_raw_os_error(code));
        }
        if kind == Kind::Sync {
            medium.syncs += 1;
            if medium.fail_sync == Some(medium.syncs - 1) {
                return Err(eio());
            }
        }
        let Some((at, failure, lasting)) = medium.fail_at else { return Ok(None) };
        let goes_on = failure == Failure::Eio || kind == Kind::Write;
        let fails = number == at || (number > at && lasting == Lasting::ForGood && goes_on);
        Ok(fails.then_some(failure))
    }
}

fn power_gone() -> io::Error {
    io::Error::other("the power is gone")
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn error_of(failure: Failure) -> io::Error {
    match failure {
        Failure::Eio => eio(),
        Failure::Enospc | Failure::Short => ErrorKind::StorageFull.into(),
    }
}

impl NameChange {
    /// A change whose own ground is missing does not happen.
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Create(path, node) => drop(names.insert(path.clone(), *node)),
            NameChange::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            NameChange::Remove(path) => drop(names.remove(path)),
        }
    }
}

impl Medium {
    fn used(&self) -> usize {
        self.names.values().map(|&node| self.nodes[node].bytes.len()).sum()
    }

    fn status_of(&self, node: usize) -> Status {
        let links = self.names.values().filter(|&&named| named == node).count() as u64;
        let identity = Identity { device: 1, inode: node as u64 };
        Status { identity, links, length: self.nodes[node].bytes.len() as u64 }
    }

    fn fail_to_write_back(&mut self, node: usize) {
        if self.loses_pages {
            self.nodes[node].fail_with_pages();
        } else {
            self.nodes[node].fail_to_write_back(self.loss.as_mut());
        }
    }

    fn note(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.take_descriptor()?;
        let kind = if how == Open::Create { Kind::Write } else { Kind::Read };
        if let Some(failure) = self.begin(kind, || format!("create {}", path.display()))? {
            return Err(error_of(failure));
        }
        let mut medium = self.lock();
        let found = medium.names.get(path).copied();
        let node = if how == Open::Create {
            if found.is_some() {
                medium.note(NameChange::Remove(path.to_owned()));
            }
            medium.nodes.push(Node::default());
            let node = medium.nodes.len() - 1;
            medium.note(NameChange::Create(path.to_owned(), node));
            node
        } else {
            found.ok_or(ErrorKind::NotFound)?
        };
        let writable = matches!(how, Open::Write | Open::Create);
        Ok(Box::new(SimFile { disk: self.clone(), node, writable, path: path.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if let Some(failure) = self.begin(Kind::Other, || format!("rename to {}", to.display()))? {
            return Err(error_of(failure));
        }
        let mut medium = self.lock();
        if !medium.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        medium.note(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if let Some(failure) = self.begin(Kind::Other, || format!("remove {}", path.display()))? {
            return Err(error_of(failure));
        }
        let mut medium = self.lock();
        if !medium.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        medium.note(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        if let Some(failure) = self.begin(Kind::Other, || "sync directory".to_owned())? {
            return Err(error_of(failure));
        }
        let mut medium = self.lock();
        medium.durable_names = medium.names.clone();
        medium.unsynced_names.clear();
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.begin(Kind::Read, String::new)?;
        Ok(self.lock().names.contains_key(path))
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        self.begin(Kind::Read, String::new)?;
        let medium = self.lock();
        if let Some(&node) = medium.names.get(path) {
            return Ok(medium.status_of(node));
        }
        let is_covered = medium.covered.contains_key(path);
        if !is_covered && !medium.names.keys().any(|name| parent_directory(name) == path) {
            return Err(ErrorKind::NotFound.into());
        }
        // Another file system has another device.
        let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
        let inode = crc32fast::hash(plain.as_os_str().as_encoded_bytes()).into();
        Ok(Status { identity: Identity { device: 2 + u64::from(is_covered), inode }, links: 1, length: 0 })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        self.begin(Kind::Read, String::new)?;
        Ok(self.names().into_iter().filter(|path| path.parent() == Some(directory)).collect())
    }
}

struct SimFile {
    disk: SimDisk,
    node: usize,
    writable: bool,
    path: PathBuf,
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.begin(Kind::Read, String::new)?;
        let medium = self.disk.lock();
        let bytes = &medium.nodes[self.node].bytes;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        assert!(self.writable, "{} was opened for reading", self.path.display());
        let what = || format!("write {} bytes at {offset} of {}", bytes.len(), self.path.display());
        let failure = self.disk.begin(Kind::Write, what)?;
        let mut medium = self.disk.lock();
        let mut count = match failure {
            None => bytes.len(),
            Some(Failure::Short) if bytes.len() > 1 => bytes.len() / 2,
            Some(failure) => return Err(error_of(failure)),
        };
        if let Some(capacity) = medium.capacity {
            let growth = (offset as usize + count).saturating_sub(medium.nodes[self.node].bytes.len());
            let room = capacity.saturating_sub(medium.used());
            count = count.saturating_sub(growth.saturating_sub(room));
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let write = Write::Bytes { offset: offset as usize, bytes: bytes[..count].to_vec() };
        medium.nodes[self.node].change(write);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let begun = self.disk.begin(Kind::Sync, || format!("sync {}", self.path.display()));
        let is_off = self.disk.is_off();
        let mut medium = self.disk.lock();
        if let Ok(None) = begun {
            medium.nodes[self.node].write_back();
            return Ok(());
        }
        if !is_off {
            medium.fail_to_write_back(self.node);
        }
        begun.and_then(|failure| failure.map_or(Ok(()), |failure| Err(error_of(failure))))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        if let Some(failure) =
            self.disk.begin(Kind::Other, || format!("cut {} to {length}", self.path.display()))?
        {
            return Err(error_of(failure));
        }
        self.disk.lock().nodes[self.node].change(Write::Length(length as usize));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.disk.begin(Kind::Read, String::new)?;
        Ok(self.disk.lock().nodes[self.node].bytes.len() as u64)
    }

    fn stamp(&self) -> io::Result<Stamp> {
        self.disk.begin(Kind::Read, String::new)?;
        let bytes = &self.disk.lock().nodes[self.node].bytes;
        Ok(Stamp { length: bytes.len() as u64, modified_ns: u128::from(crc32fast::hash(bytes)) })
    }

    fn status(&self) -> io::Result<Status> {
        self.disk.begin(Kind::Read, String::new)?;
        Ok(self.disk.lock().status_of(self.node))
    }
}
