//! The configuration in force, and what config.json holds meanwhile.
//!
//! ```text
//!               a save failed, and may have replaced the file
//!   SameOnFile ----------------------------------------------> Refused
//!       ^                                                         |
//!       +---------------------------------------------------------+
//!     a save succeeded, or a reload read something that is not ours
//! ```
//! The configuration changes only together with this, so no change can forget what the file holds. An edit of the
//! operator is possible in both states. It is recognised by being neither in force nor refused.

use crate::config::schema::Config;
use crate::names::ProjectId;
use std::ops::Deref;

/// The configuration in force. Reads as a [`Config`].
pub(super) struct InForce {
    config: Config,
    file: OnFile,
}

/// What this process knows of config.json, edits apart.
enum OnFile {
    /// It holds the configuration in force.
    SameOnFile,
    /// It holds the configuration in force or one of these. This process saved them for changes that were then
    /// refused. What it holds now may not survive a power cut.
    Refused(Vec<Config>),
}

impl Deref for InForce {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl InForce {
    /// `config`, as read from the file or saved there.
    pub(super) fn new(config: Config) -> InForce {
        InForce { config, file: OnFile::SameOnFile }
    }

    /// The file was saved as `next`, which is in force now.
    pub(super) fn saved(&mut self, next: Config) {
        *self = InForce::new(next);
    }

    /// `refused` was not saved, but the file may hold it.
    pub(super) fn not_saved(&mut self, refused: Config) {
        match &mut self.file {
            OnFile::SameOnFile => self.file = OnFile::Refused(vec![refused]),
            OnFile::Refused(configs) if configs.contains(&refused) => {}
            OnFile::Refused(configs) => configs.push(refused),
        }
    }

    /// Puts `before` in force again. The file holds the change until it is saved.
    pub(super) fn undo(&mut self, before: Config) {
        let refused = std::mem::replace(&mut self.config, before);
        self.not_saved(refused);
    }

    /// Project `id` was deleted, and a mark in the data directory records it until the file can be saved.
    pub(super) fn forget(&mut self, id: &ProjectId) {
        self.config.remove_project(id);
    }

    /// The file holds `found`, so it holds nothing else. Keeps the number of refused changes small.
    pub(super) fn found(&mut self, found: &Config) {
        if let OnFile::Refused(configs) = &mut self.file {
            configs.retain(|config| config == found);
        }
    }

    /// A reload found `found` in the file and puts `next` in force.
    pub(super) fn reloaded(&mut self, found: &Config, next: Config) {
        if !self.is_refused(found) {
            self.file = OnFile::SameOnFile;
        }
        self.config = next;
    }

    /// Whether `found` was saved for a change that was refused, and is no edit of the operator.
    pub(super) fn is_refused(&self, found: &Config) -> bool {
        match &self.file {
            OnFile::SameOnFile => false,
            OnFile::Refused(configs) => configs.contains(found),
        }
    }

    /// Whether the file may hold a change that was refused.
    pub(super) fn is_unsaved(&self) -> bool {
        matches!(self.file, OnFile::Refused(_))
    }
}
