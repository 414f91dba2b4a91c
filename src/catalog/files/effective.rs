//! The effective configuration, and the content of config.json.
//!
//! ```text
//!               a save failed, and may have replaced the file
//!   SameOnFile ----------------------------------------------> Refused
//!       ^                                                         |
//!       +---------------------------------------------------------+
//!     a save succeeded, or a reload read a file that this process did not save
//! ```
//! The configuration changes only together with this state, so no change can forget what the file holds. An edit of
//! the operator is possible in both states: it is neither effective nor refused.

use crate::config::schema::Config;
use crate::names::ProjectId;
use std::ops::Deref;

/// The effective configuration. Derefs to a [`Config`].
pub(super) struct Effective {
    config: Config,
    file: OnFile,
}

/// What this process knows of config.json, apart from edits.
enum OnFile {
    /// It holds the effective configuration.
    SameOnFile,
    /// It holds the effective configuration or one of these. This process saved them for changes that were then
    /// refused. The content may not survive a power cut.
    Refused(Vec<Config>),
}

impl Deref for Effective {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

impl Effective {
    /// `config`, as read from the file or saved there.
    pub(super) fn new(config: Config) -> Effective {
        Effective { config, file: OnFile::SameOnFile }
    }

    /// The file was saved as `next`, which is now effective.
    pub(super) fn saved(&mut self, next: Config) {
        *self = Effective::new(next);
    }

    /// `refused` was not saved, but the file may hold it.
    pub(super) fn not_saved(&mut self, refused: Config) {
        match &mut self.file {
            OnFile::SameOnFile => self.file = OnFile::Refused(vec![refused]),
            OnFile::Refused(configs) if configs.contains(&refused) => {}
            OnFile::Refused(configs) => configs.push(refused),
        }
    }

    /// Reverts to `before`. The file holds the change until it is saved.
    pub(super) fn undo(&mut self, before: Config) {
        let refused = std::mem::replace(&mut self.config, before);
        self.not_saved(refused);
    }

    /// Project `id` was deleted; a marker in the data directory records that until the file can be saved.
    pub(super) fn forget(&mut self, id: &ProjectId) {
        self.config.remove_project(id);
    }

    /// The file holds `found`, so other refused changes are not in it. Keeps their number small.
    pub(super) fn found(&mut self, found: &Config) {
        if let OnFile::Refused(configs) = &mut self.file {
            configs.retain(|config| config == found);
        }
    }

    /// A reload read `found` from the file and makes `next` effective.
    pub(super) fn reloaded(&mut self, found: &Config, next: Config) {
        if !self.is_refused(found) {
            self.file = OnFile::SameOnFile;
        }
        self.config = next;
    }

    /// Whether `found` was saved for a change that was refused, and so is not an edit of the operator.
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
