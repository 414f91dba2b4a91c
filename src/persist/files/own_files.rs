//! The names of the server's own files, and a check that no two of them are one file.
//!
//! config.json may have any name and may lie in the data directory. A project `config` would overwrite it, and two
//! projects whose journals are hard links of each other would write to one file. Such names and links are refused
//! before anything changes.

use super::deletion::{self, SPARE_FILE};
use super::generation::Paths;
use super::preserved_copies;
use crate::disk::{Disk, Identity, Status, parent_directory};
use crate::names::{InternalProject, ProjectId, SIGNING_KEY_FILE};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) const LOCK_FILE: &str = "pikv.lock";
/// The address of the server that uses the data directory.
pub(crate) const ADDRESS_FILE: &str = "pikv.address";

/// The upper bound of the revisions in use.
pub(crate) const REVISION_FILE: &str = "pikv.revision";

/// Files of the data directory that belong to no project.
const SHARED: [&str; 8] = [
    LOCK_FILE,
    ADDRESS_FILE,
    "pikv.address.tmp",
    SIGNING_KEY_FILE,
    "jwt.key.tmp",
    REVISION_FILE,
    "pikv.revision.tmp",
    SPARE_FILE,
];

/// The part of a file name after the id of the project. Copies also have a number.
const OF_PROJECT: [&str; 7] =
    [".json", ".json.tmp", ".journal", ".journal.tmp", ".journal.new", ".deleted", ".removed"];

/// Two of the server's files that are one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collision {
    /// config.json, and a file of a project or of the server.
    WithConfig {
        project: Option<ProjectId>,
        file: PathBuf,
        config: PathBuf,
    },
    InDirectory {
        first: PathBuf,
        second: PathBuf,
    },
}

pub(crate) struct OwnFiles<'a> {
    disk: &'a dyn Disk,
    config: PathBuf,
    directory: &'a Path,
}

impl<'a> OwnFiles<'a> {
    /// `config` may be a link.
    pub(crate) fn new(disk: &'a dyn Disk, config: &Path, directory: &'a Path) -> OwnFiles<'a> {
        OwnFiles { disk, config: disk.follow_links(config), directory }
    }

    /// Checks that all files of `projects`, of unfinished deletions and of the server itself are different ones.
    ///
    /// # Errors
    /// The first [`Collision`].
    pub(crate) fn check(&self, projects: &[&ProjectId]) -> Result<(), Collision> {
        // A deletion that is not finished removes files by their names.
        let begun = deletion::all_begun(self.disk, self.directory).unwrap_or_default();
        let internal = InternalProject::ALL.map(ProjectId::from);
        let ids: BTreeSet<&ProjectId> = projects.iter().copied().chain(&begun).chain(&internal).collect();
        self.check_name(|id| ids.contains(id))?;
        let config = self.identity_of(&self.config);
        let mut known: BTreeMap<Identity, PathBuf> = BTreeMap::new();
        let files = ids.iter().flat_map(|id| self.files_of(id).map(|path| (Some(*id), path)));
        let shared = [LOCK_FILE, SIGNING_KEY_FILE].map(|name| (None, self.directory.join(name)));
        for (id, path) in files.chain(shared) {
            let Some(identity) = self.identity_of(&path) else { continue };
            if Some(identity) == config {
                return Err(self.with_config(id, path));
            }
            if let Some(first) = known.insert(identity, path.clone()) {
                return Err(Collision::InDirectory { first, second: path });
            }
        }
        Ok(())
    }

    /// The same for the new project `id`.
    ///
    /// # Errors
    /// The [`Collision`].
    pub(crate) fn check_new(&self, id: &ProjectId, others: &[&ProjectId]) -> Result<(), Collision> {
        self.check_name(|named| named == id)?;
        // A project without files shares none with another.
        if self.files_of(id).iter().all(|path| self.identity_of(path).is_none()) {
            return Ok(());
        }
        let all: Vec<&ProjectId> = others.iter().copied().chain([id]).collect();
        self.check(&all)
    }

    /// Checks that the configuration does not have a name in the data directory that one of our files has or will have.
    fn check_name(&self, is_ours: impl Fn(&ProjectId) -> bool) -> Result<(), Collision> {
        let Some(name) = self.config.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        let itself = |directory: &Path| self.identity_of(&directory.join("."));
        let is_in_directory = match (itself(parent_directory(&self.config)), itself(self.directory)) {
            (Some(of_config), Some(of_data)) => of_config == of_data,
            (_, None) | (None, _) => parent_directory(&self.config) == self.directory,
        };
        if !is_in_directory {
            return Ok(());
        }
        let name = if self.is_case_insensitive(name) { name.to_ascii_lowercase() } else { name.to_owned() };
        let path = self.directory.join(&name);
        if SHARED.contains(&name.as_str()) {
            return Err(self.with_config(None, path));
        }
        let (stem, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
        let is_file_of_project = OF_PROJECT.contains(&rest) || preserved_copies::is_copy(rest);
        let internal = InternalProject::ALL.map(ProjectId::from).into_iter().find(|id| id.as_str() == stem);
        match internal.or_else(|| ProjectId::parse(stem).ok()) {
            Some(id) if is_file_of_project && is_ours(&id) => Err(self.with_config(Some(&id), path)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the configuration has its name in the other case, too.
    fn is_case_insensitive(&self, name: &str) -> bool {
        let swap =
            |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        let swapped: String = name.chars().map(swap).collect();
        let found = self.identity_of(&self.config);
        swapped != name && found.is_some() && self.identity_of(&self.config.with_file_name(swapped)) == found
    }

    fn files_of(&self, id: &ProjectId) -> [PathBuf; 2] {
        let Paths { json, journal, .. } = Paths::new(self.directory, id);
        [json, journal]
    }

    /// The file that a path leads to; a link in the data directory is none of ours.
    fn identity_of(&self, path: &Path) -> Option<Identity> {
        self.disk.status(path).ok().map(|Status { identity, .. }| identity)
    }

    fn with_config(&self, project: Option<&ProjectId>, file: PathBuf) -> Collision {
        let is_internal =
            |id: &&ProjectId| InternalProject::ALL.into_iter().any(|own| ProjectId::from(own) == **id);
        let project = project.filter(|id| !is_internal(id)).cloned();
        Collision::WithConfig { project, file, config: self.config.clone() }
    }
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Collision::WithConfig { project, file, config } => {
                let is_same_path = file.components().eq(config.components());
                let by_name = if is_same_path { String::new() } else { format!(" ({})", config.display()) };
                let file = file.display();
                match project {
                    Some(id) => write!(
                        f,
                        "Project `{id}` would be stored in {file}, which is the configuration file{by_name}. Rename the \
                         project, or set persistent_file_path to another directory."
                    ),
                    None => write!(
                        f,
                        "{file} is a file of the server's own and also the configuration file{by_name}. Give the \
                         configuration file another name (--config), or set persistent_file_path to another directory."
                    ),
                }
            }
            Collision::InDirectory { first, second } => {
                let (first, second) = (first.display(), second.display());
                write!(
                    f,
                    "{first} and {second} are one file (a hard link or a mount), so each project would write over the \
                     other. Make the second one a copy of its own: `cp {second} {second}.copy && mv {second}.copy {second}`."
                )
            }
        }
    }
}

impl std::error::Error for Collision {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files as an operator would")]
mod tests {
    use super::*;
    use crate::disk::{RealDisk, temporary_path};
    use std::os::unix::fs::symlink;

    fn id(text: &str) -> ProjectId {
        ProjectId::parse(text).unwrap()
    }

    /// What is said of a configuration file that has `name` in the data directory.
    fn said_of(name: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join(name);
        std::fs::write(&config, "{}").unwrap();
        let files = OwnFiles::new(&RealDisk, &config, directory.path());
        files.check(&[&id("p"), &id("config")]).err().map(|collision| collision.to_string())
    }

    #[test]
    fn configuration_file_has_no_name_that_a_file_of_the_server_has() {
        let of_project =
            ["config.json", "p.json", "p.journal", "p.json.tmp", "p.journal.tmp", "p.journal.new"];
        let of_deletions_and_copies = ["p.deleted", "p.removed", "p.json.edited-3", "p.journal.discarded-1"];
        for name in of_project.iter().chain(&of_deletions_and_copies) {
            let said = said_of(name).unwrap_or_else(|| panic!("{name} is allowed"));
            assert!(said.starts_with("Project `") && said.contains("Rename the project"), "{said}");
        }
        for name in SHARED.iter().chain(&["_accounts.json", "_sessions.journal", "_account_data.json.tmp"]) {
            let said = said_of(name).unwrap_or_else(|| panic!("{name} is allowed"));
            assert!(said.contains("Give the configuration file another name"), "{said}");
        }
        for name in
            ["settings.json", "q.json", "P.json", "Config.json", "p", "p.jso", "p.json.bak", "pikv.json"]
        {
            assert_eq!(said_of(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_that_a_project_writes_is_known() {
        let paths = Paths::new(Path::new("/data"), &id("p"));
        let written = [
            paths.json.clone(),
            paths.journal.clone(),
            temporary_path(&paths.json),
            temporary_path(&paths.journal),
            crate::persist::files::generation::renewed_path(&paths),
        ];
        for path in written.iter().chain(&deletion::markers(&paths)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(OF_PROJECT.contains(&name.strip_prefix('p').unwrap()), "{name}");
        }
    }

    #[test]
    fn configuration_file_is_found_by_what_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (data, config) = (directory.path().join("data"), directory.path().join("config.json"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&config, "{}").unwrap();
        let check = |config: &Path, data: &Path| OwnFiles::new(&RealDisk, config, data).check(&[&id("p")]);
        assert_eq!(check(&config, &data), Ok(()));
        std::fs::hard_link(&config, data.join("p.json")).unwrap();
        let said = check(&config, &data).unwrap_err().to_string();
        assert!(said.contains("Project `p` would be stored in") && said.contains("(/"), "{said}");
        std::fs::remove_file(data.join("p.json")).unwrap();
        // A link to the file, and the directory by another name.
        let (link, again) = (directory.path().join("link"), directory.path().join("again"));
        std::fs::write(data.join("p.journal"), "{}").unwrap();
        symlink(data.join("p.journal"), &link).unwrap();
        symlink(&data, &again).unwrap();
        assert!(check(&link, &data).is_err() && check(&data.join("p.journal"), &again).is_err());
        assert!(check(&again.join("../data/./p.journal"), &data).is_err());
        // The same for a name that no file has yet.
        assert!(check(&data.join("p.removed"), &again).is_err());
        assert!(check(&again.join("p.removed"), &data).is_err());
        assert_eq!(check(&directory.path().join("p.removed"), &again), Ok(()));
    }

    #[test]
    fn project_is_not_created_if_any_of_its_files_would_be_the_configuration_file() {
        for name in OF_PROJECT.map(|end| format!("p{end}")) {
            let directory = tempfile::tempdir().unwrap();
            let config = directory.path().join(&name);
            std::fs::write(&config, "{}").unwrap();
            let files = OwnFiles::new(&RealDisk, &config, directory.path());
            assert!(files.check_new(&id("p"), &[&id("q")]).is_err(), "{name}");
            assert_eq!(files.check_new(&id("r"), &[&id("q")]), Ok(()), "{name}");
        }
    }

    /// A further name in the other case stands for a directory that tells no cases apart.
    #[test]
    fn configuration_file_of_another_case_is_found_if_the_directory_tells_no_cases_apart() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("P.Json");
        std::fs::write(&config, "{}").unwrap();
        let check = || OwnFiles::new(&RealDisk, &config, directory.path()).check(&[&id("p")]);
        assert_eq!(check(), Ok(()));
        std::fs::hard_link(&config, directory.path().join("p.jSON")).unwrap();
        assert!(check().is_err());
    }

    #[test]
    fn configuration_file_in_a_data_directory_that_does_not_exist_yet_has_no_name_of_a_project() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let check = |name: &str| OwnFiles::new(&RealDisk, &data.join(name), &data).check(&[&id("p")]);
        assert!(check("p.json").is_err());
        assert_eq!(check("settings.json"), Ok(()));
    }

    #[test]
    fn hard_links_between_files_of_two_projects_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a.journal"), "1").unwrap();
        std::fs::hard_link(path("a.journal"), path("kept-elsewhere")).unwrap();
        let config = path("settings.json");
        let files = OwnFiles::new(&RealDisk, &config, directory.path());
        assert_eq!(files.check(&[&id("a"), &id("b")]), Ok(()));
        std::fs::hard_link(path("a.journal"), path("b.journal")).unwrap();
        let same = Collision::InDirectory { first: path("a.journal"), second: path("b.journal") };
        assert_eq!(files.check(&[&id("a"), &id("b")]), Err(same.clone()));
        assert_eq!(files.check_new(&id("b"), &[&id("a")]), Err(same));
        assert_eq!(files.check_new(&id("c"), &[&id("a"), &id("b")]), Ok(()), "it has no files");
    }

    #[test]
    fn hard_links_of_the_lock_and_the_key_are_refused() {
        for own in [LOCK_FILE, SIGNING_KEY_FILE] {
            for other in ["settings.json", "p.json"] {
                let directory = tempfile::tempdir().unwrap();
                let path = |name: &str| directory.path().join(name);
                std::fs::write(path(other), "{}").unwrap();
                let config = path("settings.json");
                let files = OwnFiles::new(&RealDisk, &config, directory.path());
                assert_eq!(files.check(&[&id("p")]), Ok(()));
                std::fs::hard_link(path(other), path(own)).unwrap();
                assert!(files.check(&[&id("p")]).is_err(), "{own} and {other}");
            }
        }
    }

    #[test]
    fn unfinished_deletion_does_not_remove_the_configuration_file() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.json");
        std::fs::write(&config, "{}").unwrap();
        std::fs::write(directory.path().join("config.deleted"), "").unwrap();
        assert!(OwnFiles::new(&RealDisk, &config, directory.path()).check(&[]).is_err());
    }
}
