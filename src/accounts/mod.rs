//! Who has an account, what belongs to it, and who is signed in: on the same storage engine as projects.
//!
//! ```text
//! _accounts       account/{username}  the account, its password hash, and the id of its credential
//!                 email/{address}     whose address it is
//!                 deletion/{id}       an account whose data is still being deleted
//! _account_data   {id}/{key}          the keys of the account with this id
//! _sessions       {hash}              whose browser it is, until it expires
//! ```
//! User names and addresses are folded to lower case in keys. All three are on disk and synced always.
//! A token or a session names the credential that it was made under. A new password, disabling and
//! deleting an account end that credential, and with it every token and session, at once.
//!
//! Not here: hashing passwords and signing tokens (`auth/`), HTTP.

pub mod account;
pub mod data;
pub mod directory;
mod error;
pub mod registration;
pub mod sessions;
pub mod signing_key;

pub use error::AccountsError;

use crate::auth::jwt::SigningKey;
use crate::clock;
use crate::disk::Disk;
use crate::names::InternalProject;
use crate::persist::files::generation::Paths;
use crate::persist::files::watermark;
use crate::persist::live::engine::Engine;
use crate::persist::live::project::{Health, Opened, Opening, Project};
use crate::persist::start::recovery::ValueCache;
use crate::persist::start::recovery_error::RecoveryError;
use directory::Directory;
use sessions::Sessions;
use signing_key::{Origin, SigningKeyError};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
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
    data: Arc<Project>,
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
    /// Opens or makes the three projects and the signing key in `directory`. `keep` says whether the
    /// values of the accounts' keys stay in memory; the rest always does.
    ///
    /// # Errors
    /// [`OpenError`] says which file, and what to do.
    pub fn open(
        disk: &Arc<dyn Disk>,
        engine: &Arc<Engine>,
        directory: &Path,
        cache: ValueCache,
    ) -> Result<Accounts, OpenError> {
        let (signing_key, origin) =
            signing_key::load_or_make(disk.as_ref(), directory).map_err(OpenError::SigningKey)?;
        engine
            .watermark
            .read(disk.as_ref(), directory)
            .map_err(|error| RecoveryError::Io { path: watermark::path_in(directory), error })?;
        let open = |project: InternalProject, cache: ValueCache| -> Result<Arc<Project>, RecoveryError> {
            let id = project.into();
            let paths = Paths::new(directory, &id);
            let sync = crate::config::schema::SyncMode::Always;
            let opening = Opening { id, cache, sync, sync_interval: Duration::ZERO };
            let (disk, engine) = (Arc::clone(disk), Arc::clone(engine));
            Project::open(disk, paths, opening, engine, clock::wall_ms()).map(Opened::start)
        };
        let accounts = Accounts {
            directory: Directory::new(open(InternalProject::Accounts, ValueCache::Memory)?),
            sessions: Sessions::new(open(InternalProject::Sessions, ValueCache::Memory)?),
            data: open(InternalProject::AccountData, cache)?,
            installation: installation(&signing_key),
            signing_key,
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
        match accounts.finish_deletions(clock::wall_ms()) {
            Ok(0) => {}
            Ok(finished) => {
                log::warn!("the deletion of {finished} accounts was interrupted and is finished now");
            }
            // Nobody can reach that data any more; the next deletion or start tries again.
            Err(error) => log::error!("an interrupted deletion of an account is not finished: {error}"),
        }
        if let Err(error) = accounts.directory.find_cost_max(clock::wall_ms()) {
            log::error!("The costs of stored password hashes are unknown: {error}");
        }
        match accounts.sessions.remove_endless(clock::wall_ms()) {
            Ok(0) => {}
            Ok(removed) => log::warn!("{removed} sessions have ended: their end was lost with their journal"),
            // They are no sessions and only take room; the next start tries again.
            Err(error) => log::error!("entries of _sessions without an end were not removed: {error}"),
        }
        Ok(accounts)
    }

    /// Whether everything about accounts can be written.
    pub fn is_healthy(&self) -> bool {
        self.projects().iter().all(|project| project.health() == Health::Healthy)
    }

    /// Has the files looked at, although nothing is written.
    pub fn look_at_files(&self, now: Instant) {
        self.projects().iter().for_each(|project| project.look_soon(now));
    }

    /// Brings all files up to date and ends writing.
    pub fn close(&self) {
        for project in self.projects() {
            project.close(clock::wall_ms(), clock::monotonic());
        }
    }

    fn projects(&self) -> [&Arc<Project>; 3] {
        [self.directory.project(), self.sessions.project(), &self.data]
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
