//! Why a command failed. Nothing was changed, unless only the result could not be printed.

use super::account::error::AccountCommandError;
use super::migrate::error::MigrateError;
use crate::catalog::CatalogError;
use crate::catalog::keys::KeyError;
use crate::config::edit::EditError;
use crate::config::mistake::{ConfigError, LINK_LOCAL_ADVICE, shown_path};
use crate::descriptors::TooFewDescriptors;
use crate::disk::{self, Holder};
use crate::names::ProjectId;
use crate::persist::files::own_files::Collision;
use crate::persist::start::recovery_error::RecoveryError;
use crate::storage::etcd::moving::MoveError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub enum RunError {
    Config(ConfigError),
    /// A key in config.json cannot be used, or none could be generated.
    Key {
        path: PathBuf,
        error: KeyError,
    },
    ConfigMissing {
        path: PathBuf,
    },
    Edit(EditError),
    /// A change of a setting by which these projects would lose their files.
    FilesDiscarded {
        projects: Vec<ProjectId>,
    },
    /// Another program keeps changing config.json.
    ConfigBusy {
        path: PathBuf,
    },
    ConfigExists {
        path: PathBuf,
    },
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    /// The path is that of the data directory, or of the file in it that failed.
    DataDirectory {
        path: PathBuf,
        error: io::Error,
    },
    /// Two of the server's files would be one.
    Collision(Collision),
    /// A server uses the data directory that a command needs.
    Served {
        directory: PathBuf,
        holder: Holder,
    },
    /// Another server uses the data directory.
    Locked {
        directory: PathBuf,
        holder: Holder,
    },
    /// The projects on disk need more descriptors than the process may have.
    TooFewDescriptors(TooFewDescriptors),
    Catalog(CatalogError),
    /// The command works on files, and engine.type is etcd.
    NoFiles,
    /// The operating system refused a thread or a descriptor that a start needs.
    Start(io::Error),
    ProjectMissing {
        id: ProjectId,
    },
    Account(AccountCommandError),
    /// `pikv project move`, and engine.type is embedded.
    NotOnCells,
    Move(MoveError),
    Migrate(MigrateError),
    NotPrinted(io::Error),
    /// The printed keys of a new config.json would be lost.
    OutputDiscarded,
    /// The keys of a new config.json, which exist nowhere else, could not be printed.
    KeysNotPrinted {
        path: PathBuf,
        /// Whether the file was removed again.
        is_removed: bool,
        error: io::Error,
    },
    /// The files of a project could not be imported or salvaged.
    Recovery(RecoveryError),
}

impl RunError {
    /// This error for a command that needs this data directory: another directory is no alternative.
    pub(super) fn of_stopped_server(self) -> RunError {
        if let RunError::Locked { directory, holder } = self {
            RunError::Served { directory, holder }
        } else {
            self
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Config(error) => error.fmt(f),
            RunError::Key { path, error } => write!(f, "{}: {error}.", shown_path(path)),
            RunError::ConfigMissing { path } => {
                write!(f, "{} does not exist. Create it with `pikv init` or `pikv serve`.", shown_path(path))
            }
            RunError::Edit(error) => error.fmt(f),
            RunError::FilesDiscarded { projects } => write!(
                f,
                "The values of {} would be lost when the server stops, because files are kept, but not read, if on_disk is \
                 false. Nothing was changed. If you want that, add `--discard-files`.",
                names_of(projects)
            ),
            RunError::ConfigBusy { path } => {
                write!(f, "{}: Another program keeps changing the file. Try again once it is complete.", shown_path(path))
            }
            RunError::ConfigExists { path } => {
                write!(
                    f,
                    "{} exists already and was not changed. Remove it first, or name another file with --config.",
                    shown_path(path)
                )
            }
            RunError::Listen { address, error } => {
                write!(f, "Cannot listen on {address}: {error}. {}", listen_advice(address.ip(), error.kind()))
            }
            RunError::DataDirectory { path, error } => f.write_str(&directory_problem(path, error)),
            RunError::Collision(collision) => collision.fmt(f),
            RunError::Locked { directory, holder } => f.write_str(&held(directory, holder, Wanted::Server)),
            RunError::Served { directory, holder } => f.write_str(&held(directory, holder, Wanted::Command)),
            RunError::TooFewDescriptors(error) => error.fmt(f),
            RunError::Catalog(error) => error.fmt(f),
            RunError::NoFiles => f.write_str("Projects have no files, because engine.type is etcd in config.json."),
            RunError::Start(error) => write!(
                f,
                "The operating system refused a thread or a descriptor: {error}. Raise the limits of the process \
                 (`ulimit -n`, `ulimit -u`)."
            ),
            RunError::ProjectMissing { id } => {
                write!(f, "config.json has no project `{id}`. `pikv config show` lists the projects.")
            }
            RunError::NotOnCells => f.write_str(
                "engine.type is embedded, so there are no cells. `pikv migrate --to etcd` copies the projects to cells.",
            ),
            RunError::Move(error) => error.fmt(f),
            RunError::Migrate(error) => error.fmt(f),
            RunError::Account(error) => error.fmt(f),
            RunError::NotPrinted(error) => {
                write!(f, "The command is done, but its result could not be printed on standard output: {error}.")
            }
            RunError::OutputDiscarded => f.write_str(
                "Standard output is closed or /dev/null, so no one would see the keys, which are printed once. \
                 Nothing was created. Run `pikv init` with standard output on a terminal, a pipe or a file.",
            ),
            RunError::KeysNotPrinted { path, is_removed: true, error } => write!(
                f,
                "{}: The keys could not be printed: {error}. The file was removed again. Run `pikv init` with standard \
                 output on a terminal, a pipe or a file.",
                shown_path(path)
            ),
            RunError::KeysNotPrinted { path, is_removed: false, error } => write!(
                f,
                "{}: The keys could not be printed: {error}. Remove the file and run `pikv init` again.",
                shown_path(path)
            ),
            RunError::Recovery(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}

/// The projects, for a sentence.
pub(super) fn names_of(projects: &[ProjectId]) -> String {
    let names: Vec<String> = projects.iter().map(|id| format!("`{id}`")).collect();
    let noun = if names.len() == 1 { "project" } else { "projects" };
    format!("{noun} {}", names.join(", "))
}

/// The purpose of a data directory that another process uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A server, which can use another directory.
    Server,
    /// A command about this directory.
    Command,
}

/// Names the process that uses the data directory, and the fix.
fn held(directory: &Path, holder: &Holder, wanted: Wanted) -> String {
    let Holder { pid, original, is_elsewhere } = holder;
    let path = shown_path(directory);
    let then = match wanted {
        Wanted::Server => "or choose another persistent_file_path",
        Wanted::Command => "run this command, and start it again",
    };
    if let Some(original) = original {
        let (original, lock) = (original.display(), directory.join("pikv.lock"));
        return format!(
            "{path} is a hard-linked copy (`cp -al`) of {original}, which the server with process id {pid} uses: both \
             have one lock file. Remove it from the copy (`rm {}`), then try again.",
            lock.display()
        );
    }
    // Process id 1 is the first process of a container: the init process of a host is never a server.
    if *is_elsewhere || pid == "1" {
        return format!(
            "{path} is in use by a server in a container (process id {pid} there). Stop that container or service \
             first, {then}."
        );
    }
    match wanted {
        Wanted::Server => {
            format!("{path} is in use by the server with process id {pid}. Stop it first, {then}.")
        }
        Wanted::Command => {
            format!("{path} is in use by the server with process id {pid}. Stop it (`kill {pid}`), {then}.")
        }
    }
}

/// The problem of the data directory, and the fix.
fn directory_problem(path: &Path, error: &io::Error) -> String {
    let path = shown_path(path);
    if disk::is_disk_full(error) {
        format!(
            "{path}: {error}. The disk is full or a quota is used up. Free disk space or raise the quota."
        )
    } else if disk::is_out_of_descriptors(error) {
        let limit = disk::descriptors_max();
        format!(
            "{path}: {error}. This process may have {limit} open files. Raise that limit (`ulimit -n`, LimitNOFILE=)."
        )
    } else if error.kind() == io::ErrorKind::AlreadyExists {
        format!("{path} is not a directory. Move it away, or choose another path (persistent_file_path).")
    } else if error.kind() == io::ErrorKind::NotADirectory {
        format!("{path}: {error}. A part of the path is a file. Choose another path (persistent_file_path).")
    } else if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        format!(
            "{path}: {error}. The data directory must belong to this user and be writable (persistent_file_path)."
        )
    } else {
        format!("{path}: {error}.")
    }
}

fn listen_advice(address: IpAddr, kind: io::ErrorKind) -> String {
    let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    if is_link_local && kind == io::ErrorKind::InvalidInput {
        return format!("It is a link-local address; {LINK_LOCAL_ADVICE}.");
    }
    let advice = if kind == io::ErrorKind::AddrNotAvailable {
        "This machine does not have that address. Choose another with --host."
    } else if kind == io::ErrorKind::PermissionDenied {
        "Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE). Choose another with --port."
    } else {
        "Choose another with --port or --host, or stop the program that uses it."
    };
    advice.to_owned()
}

impl From<MoveError> for RunError {
    fn from(error: MoveError) -> RunError {
        RunError::Move(error)
    }
}

impl From<MigrateError> for RunError {
    fn from(error: MigrateError) -> RunError {
        RunError::Migrate(error)
    }
}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> RunError {
        RunError::Config(error)
    }
}

impl From<AccountCommandError> for RunError {
    fn from(error: AccountCommandError) -> RunError {
        RunError::Account(error)
    }
}

impl From<RecoveryError> for RunError {
    fn from(error: RecoveryError) -> RunError {
        RunError::Recovery(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: io::ErrorKind, advice: &str) {
        let refused = RunError::Listen { address: ([192, 0, 2, 1], 80).into(), error: kind.into() };
        let text = refused.to_string();
        assert!(text.starts_with("Cannot listen on 192.0.2.1:80: ") && text.contains(advice), "{text}");
    }

    #[test]
    fn a_refused_address_has_advice_for_its_reason() {
        check(io::ErrorKind::AddrInUse, "stop the program that uses it");
        check(io::ErrorKind::AddrNotAvailable, "does not have that address");
        check(io::ErrorKind::PermissionDenied, "below 1024");
        let address = "[fe80::1]:80".parse().unwrap();
        let refused = RunError::Listen { address, error: io::ErrorKind::InvalidInput.into() }.to_string();
        assert!(refused.contains("a link-local address; use :: for every network"), "{refused}");
    }

    #[test]
    fn a_path_is_shown_without_control_characters() {
        let path = PathBuf::from("a\n\u{1b}[1m/ü.json");
        let text = RunError::ConfigMissing { path }.to_string();
        assert!(text.starts_with(r"a\n\u{1b}[1m/ü.json does not exist"), "{text}");
    }

    fn holder(pid: &str, original: Option<&str>, is_elsewhere: bool) -> Holder {
        Holder { pid: pid.to_owned(), original: original.map(PathBuf::from), is_elsewhere }
    }

    #[track_caller]
    fn check_held(holder: Holder, server: &str, command: &str) {
        let directory = PathBuf::from("/srv/data");
        let locked = RunError::Locked { directory, holder };
        assert!(locked.to_string().contains(server), "{locked}");
        let served = locked.of_stopped_server().to_string();
        assert!(served.starts_with("/srv/data is ") && served.contains(command), "{served}");
        assert!(!served.contains("kill 1`") && !served.contains("persistent_file_path"), "{served}");
    }

    #[test]
    fn the_holder_of_a_directory_is_named_with_how_to_stop_it() {
        check_held(holder("4711", None, false), "process id 4711. Stop it first", "`kill 4711`");
        let container = "in a container (process id 1 there). Stop that container or service first";
        check_held(holder("1", None, true), container, container);
        check_held(holder("1", None, false), container, container);
        let copy = "copy (`cp -al`) of /srv/first, which the server with process id 7 uses";
        check_held(holder("7", Some("/srv/first"), false), copy, "`rm /srv/data/pikv.lock`");
    }

    #[track_caller]
    fn check_directory(code: i32, advice: &str) {
        let error = io::Error::from_raw_os_error(code);
        let text = RunError::DataDirectory { path: "/srv/data".into(), error }.to_string();
        assert!(text.contains(advice), "{text}");
        assert_eq!(text.contains("belong to this user"), advice.contains("belong"), "{text}");
    }

    #[test]
    fn an_unusable_data_directory_has_advice_for_its_reason() {
        check_directory(libc::EACCES, "belong to this user");
        check_directory(libc::EROFS, "belong to this user");
        check_directory(libc::ENOSPC, "Free disk space");
        check_directory(libc::EDQUOT, "raise the quota");
        check_directory(libc::EMFILE, "`ulimit -n`");
        check_directory(libc::EIO, "os error 5");
    }
}
