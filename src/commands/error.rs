//! Why a command failed. Nothing was changed, unless only the result could not be printed.

use super::account::error::AccountCommandError;
use crate::catalog::CatalogError;
use crate::catalog::keys::KeyError;
use crate::config::edit::EditError;
use crate::config::mistake::ConfigError;
use crate::descriptors::TooFewDescriptors;
use crate::disk::{self, Holder};
use crate::names::ProjectId;
use crate::persist::files::own_files::Collision;
use crate::persist::start::recovery_error::RecoveryError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
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
    /// The operating system refused a thread or a descriptor that a start needs.
    Start(io::Error),
    ProjectMissing {
        id: ProjectId,
    },
    Account(AccountCommandError),
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
            RunError::Key { path, error } => write!(f, "{}: {error}", path.display()),
            RunError::ConfigMissing { path } => {
                write!(f, "{}: does not exist; create it with `pikv init` or `pikv serve`", path.display())
            }
            RunError::Edit(error) => error.fmt(f),
            RunError::ConfigBusy { path } => {
                write!(f, "{}: Another program keeps changing the file. Try again once it is complete.", path.display())
            }
            RunError::ConfigExists { path } => {
                write!(
                    f,
                    "{}: exists already and was not changed; remove it first, or name another file with --config",
                    path.display()
                )
            }
            RunError::Listen { address, error } => {
                write!(f, "cannot listen on {address}: {error}; {}", listen_advice(error.kind()))
            }
            RunError::DataDirectory { path, error } => {
                write!(f, "{}: {}", path.display(), directory_problem(error))
            }
            RunError::Collision(collision) => collision.fmt(f),
            RunError::Locked { directory, holder } => {
                write!(f, "{}: {}", directory.display(), held(directory, holder, Wanted::Server))
            }
            RunError::Served { directory, holder } => {
                write!(f, "{}: {}", directory.display(), held(directory, holder, Wanted::Command))
            }
            RunError::TooFewDescriptors(error) => error.fmt(f),
            RunError::Catalog(error) => error.fmt(f),
            RunError::Start(error) => write!(f, "cannot start: the operating system refused a thread or a descriptor: {error}"),
            RunError::ProjectMissing { id } => write!(f, "config.json has no project `{id}`"),
            RunError::Account(error) => error.fmt(f),
            RunError::NotPrinted(error) => {
                write!(f, "The command is done, but its result could not be printed on standard output: {error}.")
            }
            RunError::OutputDiscarded => f.write_str(
                "Standard output is closed or /dev/null, so nobody would see the keys, which are printed once. \
                 Nothing was created. Run `pikv init` with standard output on a terminal, a pipe or a file.",
            ),
            RunError::KeysNotPrinted { path, is_removed: true, error } => write!(
                f,
                "{}: its keys could not be printed: {error}. The file was removed again. Run `pikv init` with standard \
                 output on a terminal, a pipe or a file.",
                path.display()
            ),
            RunError::KeysNotPrinted { path, is_removed: false, error } => write!(
                f,
                "{}: its keys could not be printed: {error}. Remove the file and run `pikv init` again.",
                path.display()
            ),
            RunError::Recovery(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}

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
    let then = match wanted {
        Wanted::Server => "or choose another persistent_file_path",
        Wanted::Command => "run this command, and start it again",
    };
    if let Some(original) = original {
        let (original, lock) = (original.display(), directory.join("pikv.lock"));
        return format!(
            "is a hard-linked copy (`cp -al`) of {original}, which the server with process id {pid} uses: both have \
             one lock file; remove it from the copy (`rm {}`) and try again",
            lock.display()
        );
    }
    // Process id 1 is the first process of a container: the init process of a host is never a server.
    if *is_elsewhere || pid == "1" {
        return format!(
            "is in use by a server in a container (process id {pid} there); stop that container or service first, {then}"
        );
    }
    match wanted {
        Wanted::Server => {
            format!("is in use by the server with process id {pid}; stop it first, {then}")
        }
        Wanted::Command => {
            format!("is in use by the server with process id {pid}; stop it (`kill {pid}`), {then}")
        }
    }
}

/// The problem of the data directory, and the fix.
fn directory_problem(error: &io::Error) -> String {
    if disk::is_not_regular(error) {
        error.to_string()
    } else if disk::is_disk_full(error) {
        format!("{error}; the disk is full or a quota is used up: free disk space or raise the quota")
    } else if disk::is_out_of_descriptors(error) {
        let limit = disk::descriptors_max();
        format!(
            "{error}; this process may have {limit} open files; raise that limit (`ulimit -n`, LimitNOFILE=)"
        )
    } else if error.kind() == io::ErrorKind::AlreadyExists {
        "is not a directory; move it away, or choose another path (see persistent_file_path)".to_owned()
    } else if error.kind() == io::ErrorKind::NotADirectory {
        format!("{error}: a part of the path is a file; choose another path (see persistent_file_path)")
    } else if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        format!(
            "{error}; the data directory has to belong to this user and be writable (see persistent_file_path)"
        )
    } else {
        error.to_string()
    }
}

fn listen_advice(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::AddrNotAvailable {
        "this machine does not have that address; choose another with --host"
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose another with --port"
    } else {
        "choose another with --port or --host, or stop the program that uses it"
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
        assert!(text.starts_with("cannot listen on 192.0.2.1:80: ") && text.contains(advice), "{text}");
    }

    #[test]
    fn a_refused_address_has_advice_for_its_reason() {
        check(io::ErrorKind::AddrInUse, "stop the program that uses it");
        check(io::ErrorKind::AddrNotAvailable, "does not have that address");
        check(io::ErrorKind::PermissionDenied, "below 1024");
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
        assert!(served.starts_with("/srv/data: is ") && served.contains(command), "{served}");
        assert!(!served.contains("kill 1`") && !served.contains("persistent_file_path"), "{served}");
    }

    #[test]
    fn the_holder_of_a_directory_is_named_with_how_to_stop_it() {
        check_held(holder("4711", None, false), "process id 4711; stop it first", "`kill 4711`");
        let container = "in a container (process id 1 there); stop that container or service first";
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
        check_directory(libc::ENOSPC, "free disk space");
        check_directory(libc::EDQUOT, "raise the quota");
        check_directory(libc::EMFILE, "`ulimit -n`");
        check_directory(libc::EIO, "os error 5");
    }
}
