//! What requests look up: the projects as they are served, and what decides about access to them.

use super::error::ChangeError;
use crate::config::schema::{
    Accounts, AuthenticationSettings, Config, Origin, PublicHost, RateLimit, StorageSettings,
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

/// A project and what decides about access to it. Replaced as a whole when settings change.
pub struct Served {
    /// Its name.
    pub id: ProjectId,
    /// How it is stored.
    pub storage: StorageSettings,
    /// Its switches.
    pub authentication: AuthenticationSettings,
    /// Whether it asks for a key: its own switch and the global one.
    pub asks_for_key: bool,
    pub key: Option<KeyHash>,
    /// Its keys, or why its files could not be read.
    pub bucket: Result<Bucket, OpenError>,
}

/// What is said of a project whose deletion stopped halfway.
const DELETION_BEGUN: &str = "its deletion was begun and is not finished; delete it again";

/// What is logged of a project whose opening stopped at a bug.
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

/// What kind of reason that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There was no room on the disk.
    DiskFull,
    /// The project is to be deleted.
    Deletion(Deletion),
    /// Something else, which the text says.
    Other,
}

/// How far the deletion of a project is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It will be over by itself, and is no failure.
    UnderWay,
    /// It was begun and does not go on; deleting the project again takes it up.
    Stopped,
}

impl OpenError {
    /// What who asked for the project to be opened is told.
    pub(super) fn answer(&self) -> ChangeError {
        match self.cause {
            Cause::DiskFull => ChangeError::Storage(StorageError::Full),
            Cause::Deletion(_) | Cause::Other => ChangeError::Unreadable,
        }
    }

    /// Of a project whose opening stopped at a bug.
    pub(super) fn of_panic() -> OpenError {
        OpenError { reason: OPENING_STOPPED.to_owned(), cause: Cause::Other }
    }

    /// Of a project that is to be deleted.
    pub(super) fn of_deletion(deletion: Deletion) -> OpenError {
        OpenError { reason: DELETION_BEGUN.to_owned(), cause: Cause::Deletion(deletion) }
    }
}

impl Served {
    /// As this, while its files are removed, or where that did not go on.
    pub(super) fn being_deleted(&self, deletion: Deletion) -> Served {
        Served { id: self.id.clone(), bucket: Err(OpenError::of_deletion(deletion)), ..*self }
    }

    /// Whether its deletion has begun.
    pub(super) fn is_being_deleted(&self) -> bool {
        self.bucket.as_ref().is_err_and(|error| matches!(error.cause, Cause::Deletion(_)))
    }

    /// Whether nothing is wrong with it: it takes writes, or it is just being reopened or deleted.
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

    /// Its keys.
    ///
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
    /// The global switch.
    pub authentication_enabled: bool,
    pub global_key: Option<KeyHash>,
    pub projects: BTreeMap<ProjectId, Arc<Served>>,
    /// The descriptors that these projects hold.
    pub held_descriptors: Held,
    /// What is set of accounts.
    pub accounts: Accounts,
    /// The project that `/item` is about for the global key.
    pub item_project: Option<ProjectId>,
    /// How many requests to `/item` an address may make.
    pub item_rate: Option<RateLimit>,
    /// Whose word about the client's address counts.
    pub trusted_proxies: Vec<Network>,
    /// The origins whose scripts may read answers.
    pub cors_origins: Vec<Origin>,
    /// The origins that this server has for browsers, beside the one that `Host` gives.
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
