//! Who has an account, what belongs to it, and who is signed in: on the same storage engine as projects.
//!
//! ```text
//! _accounts       account/{username}  the account, its password hash, and the id of its credential
//!                 email/{address}     whose address it is
//!                 deletion/{id}       an account whose data is still being deleted
//! _account_data   {id}/               its marker: the keys of the account with this id may be written
//!                 {id}/{key}          its keys
//! _sessions       {hash}              whose browser it is, until it expires
//! ```
//! User names and addresses are folded to lower case in keys. All three are on disk and synced always.
//! A token or a session names the credential that it was made under. A new password, disabling and
//! deleting an account end that credential, and with it every token and session, at once.
//!
//! Not here: hashing passwords and signing tokens (`auth/`), HTTP.

pub mod account;
pub(crate) mod data;
pub mod directory;
mod error;
pub(crate) mod registration;
pub(crate) mod sessions;
pub(crate) mod signing_key;

pub use error::AccountsError;

use crate::auth::jwt::SigningKey;
use crate::clock;
use crate::disk::Disk;
use crate::names::InternalProject;
use crate::storage::Bucket;
use crate::storage::embedded::{Home, ProjectQueues, RecoveryError, ValueCache};
use directory::Directory;
use sessions::Sessions;
use signing_key::{Origin, SigningKeyError};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What the name of an installation is derived for.
const INSTALLATION_PURPOSE: &str = "installation";

/// All accounts of a server.
pub struct Accounts {
    /// Who has an account.
    pub directory: Directory,
    /// Who is signed in with a browser.
    pub sessions: Sessions,
    /// Signs tokens.
    pub signing_key: SigningKey,
    /// Tells this installation from others on the same host: 8 hexadecimal digits, a new signing key
    /// changes them.
    pub installation: String,
    data: Bucket,
    /// The start could not create all markers that were missing.
    lacks_markers: AtomicBool,
}

/// Why the accounts cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// The files of one of the projects could not be read.
    Project(RecoveryError),
    /// The key that signs tokens could not be read or made.
    SigningKey(SigningKeyError),
}

impl Accounts {
    /// Opens or makes the three projects and the signing key in `directory`. `cache` says whether the
    /// values of the accounts' keys stay in memory; the rest always does.
    ///
    /// # Errors
    /// [`OpenError`] says which file, and what to do.
    pub fn open(
        disk: &Arc<dyn Disk>,
        engine: &Arc<ProjectQueues>,
        directory: &Path,
        cache: ValueCache,
    ) -> Result<Accounts, OpenError> {
        let (signing_key, origin) =
            signing_key::load_or_make(disk.as_ref(), directory).map_err(OpenError::SigningKey)?;
        let home = Home::new(disk, engine, directory.to_owned())?;
        let accounts = Accounts {
            directory: Directory::new(Bucket::Embedded(
                home.open(InternalProject::Accounts, ValueCache::Memory)?,
            )),
            sessions: Sessions::new(Bucket::Embedded(
                home.open(InternalProject::Sessions, ValueCache::Memory)?,
            )),
            data: Bucket::Embedded(home.open(InternalProject::AccountData, cache)?),
            installation: installation(&signing_key),
            signing_key,
            lacks_markers: AtomicBool::new(false),
        };
        let has_accounts = matches!(accounts.directory.is_empty(clock::wall_ms()), Ok(false));
        if origin == Origin::Made && has_accounts {
            let path = signing_key::path_in(directory);
            log::warn!(
                "{}: was not there and was made; all access tokens have ended, unless the file is put back from a \
                 backup while the server is stopped",
                path.display()
            );
        }
        accounts.tidy_up();
        Ok(accounts)
    }

    /// Completes what a crash, an older version or a restored file left incomplete. What fails is logged, and the next
    /// start tries again.
    fn tidy_up(&self) {
        let now_ms = clock::wall_ms();
        match self.finish_deletions(now_ms) {
            Ok(0) => {}
            Ok(finished) => {
                log::warn!("The deletion of {finished} accounts was interrupted and is finished now.");
            }
            // Nobody can reach that data any more.
            Err(error) => log::error!("An interrupted deletion of an account is not finished: {error}."),
        }
        match self.create_missing_markers(now_ms) {
            Ok(0) => {}
            Ok(created) => log::info!("_account_data: created the markers of {created} accounts."),
            Err(error) => {
                self.lacks_markers.store(true, Ordering::Relaxed);
                log::error!(
                    "_account_data: the markers of accounts are not complete: {error}. Accounts without one cannot \
                     write. Correct that, then restart the server."
                );
            }
        }
        match self.sessions.remove_endless(now_ms) {
            Ok(0) => {}
            Ok(removed) => {
                log::warn!("{removed} sessions have ended: their end was lost with their journal.")
            }
            // They are no sessions and only take space.
            Err(error) => log::error!("Entries of _sessions without an end were not removed: {error}."),
        }
    }

    /// Whether everything about accounts can be written.
    pub fn is_healthy(&self) -> bool {
        !self.lacks_markers.load(Ordering::Relaxed) && self.buckets().into_iter().all(Bucket::is_healthy)
    }

    /// Has the files looked at, although nothing is written.
    pub fn look_at_files(&self, now: Instant) {
        self.buckets().into_iter().for_each(|bucket| bucket.look_at_files(now));
    }

    /// Brings all files up to date and ends writing.
    pub fn close(&self) {
        for bucket in self.buckets() {
            bucket.close(clock::wall_ms(), clock::monotonic());
        }
    }

    fn buckets(&self) -> [&Bucket; 3] {
        [self.directory.bucket(), self.sessions.bucket(), &self.data]
    }
}

/// Shows nothing of the key: an HMAC does not.
fn installation(signing_key: &SigningKey) -> String {
    let [a, b, c, d, ..] = signing_key.mac(INSTALLATION_PURPOSE, b"");
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

impl From<RecoveryError> for OpenError {
    fn from(error: RecoveryError) -> OpenError {
        OpenError::Project(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Project(error) => error.fmt(f),
            OpenError::SigningKey(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
