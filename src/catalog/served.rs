//! What requests look up: the projects that are served, and the settings for access.

use super::HOME;
use super::error::ChangeError;
use crate::config::schema::{
    Accounts, AuthenticationSettings, Config, Origin, ProjectConfig, PublicHost, RateLimit, StorageSettings,
};
use crate::descriptors::Held;
use crate::names::ProjectId;
use crate::network::Network;
use crate::persist::live::project::{Health, Project};
use crate::persist::start::recovery_error::RecoveryError;
use crate::secret::KeyHash;
use crate::storage::Bucket;
use crate::store::error::StorageError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A project and the settings for access to it. Replaced as a whole when settings change.
pub struct Served {
    pub id: ProjectId,
    pub storage: StorageSettings,
    pub authentication: AuthenticationSettings,
    /// Whether both its own switch and the global one are on.
    pub asks_for_key: bool,
    pub key: Option<KeyHash>,
    /// Its keys, or why its files could not be read.
    pub bucket: Result<Bucket, OpenError>,
}

const DELETION_BEGUN: &str = "its deletion was begun and is not finished; delete it again";

const OPENING_STOPPED: &str = "An internal error stopped the opening of its files. An earlier line of the \
                               log names the location; report it.";

/// Of a project on a cell, which no process opens.
static NOT_IN_THIS_PROCESS: OpenError = OpenError { reason: String::new(), cause: Cause::Other };

/// Why a project could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// For the log and the operator.
    pub(super) reason: String,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    DiskFull,
    Deletion(Deletion),
    Other,
}

/// The state of the deletion of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// Not a failure.
    UnderWay,
    /// Deleting the project again continues it.
    Stopped,
}

impl OpenError {
    /// The error for the client that asked to open the project.
    pub(super) fn answer(&self) -> ChangeError {
        match self.cause {
            Cause::DiskFull => ChangeError::Storage(StorageError::Full),
            Cause::Deletion(_) | Cause::Other => ChangeError::Unreadable,
        }
    }

    pub(super) fn other(reason: String) -> OpenError {
        OpenError { reason, cause: Cause::Other }
    }

    pub(super) fn of_panic() -> OpenError {
        OpenError { reason: OPENING_STOPPED.to_owned(), cause: Cause::Other }
    }

    pub(super) fn of_deletion(deletion: Deletion) -> OpenError {
        OpenError { reason: DELETION_BEGUN.to_owned(), cause: Cause::Deletion(deletion) }
    }
}

impl Served {
    /// The project as `config` has it, stored as `storage`.
    pub(super) fn new(
        config: &Config,
        project: &ProjectConfig,
        storage: StorageSettings,
        bucket: Result<Bucket, OpenError>,
    ) -> Served {
        Served {
            id: project.id.clone(),
            storage,
            authentication: config.authentication_of(project),
            asks_for_key: config.authentication_enabled(project),
            key: project.key.hash,
            bucket,
        }
    }

    /// Logs a change of settings that loses protection or values; `origin` states where it comes from.
    pub fn warn_of_losses(&self, loses_protection: bool, is_on_disk: bool, origin: &str) {
        let id = &self.id;
        if loses_protection {
            log::warn!("project {id}: authentication switched off {origin}; anyone may read and write it");
        }
        if self.storage.on_disk && !is_on_disk {
            log::warn!("project {id}: on_disk switched off {origin}; its values are lost at the next start");
        }
    }

    /// This project while its files are removed, or after that has stopped.
    pub(super) fn being_deleted(&self, deletion: Deletion) -> Served {
        Served { id: self.id.clone(), bucket: Err(OpenError::of_deletion(deletion)), ..*self }
    }

    /// Whether its deletion has begun.
    pub(super) fn is_being_deleted(&self) -> bool {
        self.bucket.as_ref().is_err_and(|error| matches!(error.cause, Cause::Deletion(_)))
    }

    /// The index of its cell; that of the home cell without one.
    pub fn cell(&self) -> usize {
        match &self.bucket {
            Ok(Bucket::Etcd(bucket)) => bucket.cell().index(),
            Ok(Bucket::Embedded(_)) | Err(_) => HOME,
        }
    }

    /// The name of its cell, if the engine has cells.
    pub fn cell_name(&self) -> Option<&str> {
        match &self.bucket {
            Ok(Bucket::Etcd(bucket)) => Some(bucket.cell().name()),
            Ok(Bucket::Embedded(_)) | Err(_) => None,
        }
    }

    /// Whether it is writable, or is just being reopened or deleted.
    pub fn is_ready(&self) -> bool {
        match self.open() {
            Ok(project) => matches!(project.health(), Health::Healthy | Health::Closed | Health::Deleted),
            Err(error) => error.cause == Cause::Deletion(Deletion::UnderWay),
        }
    }

    /// The project in this process, or why its files could not be read.
    pub(super) fn open(&self) -> Result<&Arc<Project>, &OpenError> {
        match &self.bucket {
            Ok(Bucket::Embedded(project)) => Ok(project),
            Ok(Bucket::Etcd(_)) => Err(&NOT_IN_THIS_PROCESS),
            Err(error) => Err(error),
        }
    }

    /// Why its keys cannot be read.
    pub fn unread_reason(&self) -> Option<&str> {
        self.bucket.as_ref().err().map(|error| error.reason.as_str())
    }

    /// # Errors
    /// [`ChangeError::Unreadable`] if its files could not be read, [`StorageError::Deleted`] while they are removed.
    pub fn bucket(&self) -> Result<&Bucket, ChangeError> {
        self.bucket.as_ref().map_err(|error| match error.cause {
            Cause::Deletion(Deletion::UnderWay) => {
                ChangeError::Storage(StorageError::Deleted(self.id.clone()))
            }
            Cause::DiskFull | Cause::Deletion(Deletion::Stopped) | Cause::Other => ChangeError::Unreadable,
        })
    }
}

/// What requests look up.
pub struct Registry {
    /// By the global switch.
    pub authentication_enabled: bool,
    pub global_key: Option<KeyHash>,
    pub projects: BTreeMap<ProjectId, Arc<Served>>,
    pub held_descriptors: Held,
    pub accounts: Accounts,
    /// The project of `/item` for the global key.
    pub item_project: Option<ProjectId>,
    /// The rate of requests to `/item` for an address.
    pub item_rate: Option<RateLimit>,
    pub trusted_proxies: Vec<Network>,
    /// The origins whose scripts may read responses.
    pub cors_origins: Vec<Origin>,
    /// The origins of this server for browsers, in addition to the one from `Host`.
    pub public_origins: Vec<Origin>,
    /// The only hosts that requests may name; empty for any.
    pub public_hosts: Vec<PublicHost>,
}

impl Registry {
    pub(super) fn new(config: &Config, projects: BTreeMap<ProjectId, Arc<Served>>) -> Registry {
        Registry {
            authentication_enabled: config.authentication.enabled,
            global_key: config.key.hash,
            projects,
            held_descriptors: config.held_descriptors(),
            accounts: config.accounts,
            item_project: config.item_project().cloned(),
            item_rate: config.item_api.rate_limit,
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            public_origins: config.public_origins.clone(),
            public_hosts: config.public_hosts.clone(),
        }
    }
}

impl From<RecoveryError> for OpenError {
    fn from(error: RecoveryError) -> OpenError {
        let cause = if error.is_disk_full() { Cause::DiskFull } else { Cause::Other };
        OpenError { reason: error.to_string(), cause }
    }
}
