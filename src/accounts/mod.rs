//! Accounts, their keys and their sessions, on the same storage engine as projects.
//!
//! ```text
//! _accounts       account/{username}  the account, its password hash, and the id of its credential
//!                 email/{address}     the account that has this address
//!                 deletion/{id}       an account whose data is still being deleted
//! _account_data   {id}/               the marker: keys of the account with this id may be written
//!                 {id}/{key}          its keys
//! _sessions       {hash}              the account that is signed in, until the session expires
//! ```
//! User names and addresses are folded to lower case in keys. All three are on disk and synced always, or on the home
//! cell, where several instances of the server use them at the same time.
//! A token or a session names the credential for which it was issued. A new password, and disabling or
//! deleting the account, replace that credential, which ends every token and session at once. On a cell, an operation
//! on the keys of an account compares its entry in the same transaction.
//!
//! Not here: hashing passwords and signing tokens (`auth/`), HTTP.

pub mod account;
pub(crate) mod data;
pub mod directory;
mod error;
pub(crate) mod registration;
pub(crate) mod sessions;
pub(crate) mod signing_key;
mod unchanged;

pub use error::AccountsError;

use crate::auth::jwt::SigningKey;
use crate::clock;
use crate::disk::Disk;
use crate::names::InternalProject;
use crate::storage::Bucket;
use crate::storage::embedded::{Home, ProjectQueues, RecoveryError, ValueCache};
use crate::storage::etcd::cell::Cell;
use crate::storage::etcd::record;
use directory::Directory;
use sessions::Sessions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// See [`SigningKey::mac`].
const INSTALLATION_PURPOSE: &str = "installation";

/// All accounts of a server.
pub struct Accounts {
    pub directory: Directory,
    pub sessions: Sessions,
    pub signing_key: SigningKey,
    /// Distinguishes this installation from others on the same host: 8 hexadecimal digits, which a new
    /// signing key changes.
    pub installation: String,
    data: Bucket,
    /// The start could not create all missing markers.
    lacks_markers: AtomicBool,
}

impl Accounts {
    /// Opens or creates the three projects and the signing key in `directory`. `cache` applies to the values of the
    /// accounts' keys; everything else is always in memory.
    ///
    /// # Errors
    /// The file that cannot be used, and what to do.
    pub fn open(
        disk: &Arc<dyn Disk>,
        engine: &Arc<ProjectQueues>,
        directory: &Path,
        cache: ValueCache,
    ) -> Result<Accounts, String> {
        let (signing_key, is_new_key) = signing_key::load_or_create(disk.as_ref(), directory)?;
        let reason = |error: RecoveryError| error.to_string();
        let home = Home::new(disk, engine, directory.to_owned()).map_err(reason)?;
        let open = |project, cache| home.open(project, cache).map(Bucket::Embedded).map_err(reason);
        let accounts = Accounts {
            directory: Directory::new(open(InternalProject::Accounts, ValueCache::Memory)?),
            sessions: Sessions::new(open(InternalProject::Sessions, ValueCache::Memory)?),
            data: open(InternalProject::AccountData, cache)?,
            installation: installation(&signing_key),
            signing_key,
            lacks_markers: AtomicBool::new(false),
        };
        let has_accounts = matches!(accounts.directory.is_empty(clock::wall_ms()), Ok(false));
        if is_new_key && has_accounts {
            log::warn!(
                "created a new signing key {}; existing access tokens are invalid, unless you stop the server and \
                 restore the file from a backup",
                signing_key::path_in(directory).display()
            );
        }
        accounts.tidy_up();
        Ok(accounts)
    }

    /// Opens or creates the three projects and the signing key on the cell `home`. [`Accounts::tidy_up`] is to be called
    /// afterwards, on a thread of its own: it takes long with many accounts.
    ///
    /// # Errors
    /// The cell or its key that cannot be used, and what to do.
    pub fn open_on(home: &Arc<Cell>) -> Result<Accounts, String> {
        let (signing_key, is_new_key) = signing_key::load_or_create_on(home)?;
        let open = |project| match record::open_internal(home, project) {
            Ok(bucket) => Ok(Bucket::Etcd(Arc::new(bucket))),
            Err(error) => Err(format!("cell `{}`: {error}", home.name())),
        };
        let accounts = Accounts {
            directory: Directory::new(open(InternalProject::Accounts)?),
            sessions: Sessions::new(open(InternalProject::Sessions)?),
            data: open(InternalProject::AccountData)?,
            installation: installation(&signing_key),
            signing_key,
            lacks_markers: AtomicBool::new(false),
        };
        if is_new_key && matches!(accounts.directory.is_empty(clock::wall_ms()), Ok(false)) {
            log::warn!(
                "created a new signing key `{}` on cell `{}`; existing access tokens are invalid, unless you stop all \
                 instances and restore the cell from a snapshot",
                record::SIGNING_KEY,
                home.name()
            );
        }
        Ok(accounts)
    }

    /// Completes what a crash, an older version or a restored file left incomplete. A failure is logged, and the next
    /// start tries again. Other instances may do the same.
    pub fn tidy_up(&self) {
        let now_ms = clock::wall_ms();
        match self.finish_deletions(now_ms) {
            Ok(0) => {}
            Ok(finished) => {
                log::warn!("Accounts whose interrupted deletion is finished now: {finished}.");
            }
            // No client can reach that data any more.
            Err(error) => log::error!("An interrupted deletion of an account is not finished: {error}."),
        }
        if self.directory.is_shared() {
            // On a cell every account was created with its marker, a snapshot has both, and every session expires. A
            // marker that this instance creates could be that of an account that another one deletes.
            if let Err(error) = self.directory.for_each_page(now_ms, |_| Ok(())) {
                log::warn!(
                    "The cost of the password hashes is not known: {error}. Logins with a wrong name may be faster."
                );
            }
            return;
        }
        match self.create_missing_markers(now_ms) {
            Ok(0) => {}
            Ok(created) => log::info!("_account_data: accounts whose missing marker was created: {created}."),
            Err(error) => {
                self.lacks_markers.store(true, Ordering::Relaxed);
                log::error!(
                    "_account_data: the markers of accounts are not complete: {error}. Accounts without one cannot \
                     write. Fix that, then restart the server."
                );
            }
        }
        match self.sessions.remove_endless(now_ms) {
            Ok(0) => {}
            Ok(removed) => {
                log::warn!("Removed sessions whose expiry was lost with the journal: {removed}.");
            }
            // They only take space.
            Err(error) => log::error!("Entries of _sessions without an expiry were not removed: {error}."),
        }
    }

    /// Whether accounts, their keys and their sessions can be written.
    pub fn is_healthy(&self) -> bool {
        !self.lacks_markers.load(Ordering::Relaxed) && self.buckets().into_iter().all(Bucket::is_healthy)
    }

    /// Has the files checked, although nothing is written.
    pub fn look_at_files(&self, now: Instant) {
        self.buckets().into_iter().for_each(|bucket| bucket.look_at_files(now));
    }

    /// Writes everything to the files and ends writing.
    pub fn close(&self) {
        for bucket in self.buckets() {
            bucket.close(clock::wall_ms(), clock::monotonic());
        }
    }

    fn buckets(&self) -> [&Bucket; 3] {
        [self.directory.bucket(), self.sessions.bucket(), &self.data]
    }
}

/// Reveals nothing of the key: an HMAC does not.
fn installation(signing_key: &SigningKey) -> String {
    let [a, b, c, d, ..] = signing_key.mac(INSTALLATION_PURPOSE, b"");
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}
