//! The help texts.

/// The subject of a help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The whole program.
    Program,
    /// `pikv serve`.
    Serve,
    /// `pikv init`.
    Init,
    /// `pikv config check` and `pikv config show`.
    Config,
    /// `pikv recover`.
    Recover,
    /// `pikv account`.
    Account,
}

/// The answer to `--version`, without a line end.
pub fn version() -> &'static str {
    concat!("pikv ", env!("CARGO_PKG_VERSION"))
}

/// The help text of `topic`, with its last line end.
pub fn text(topic: Topic) -> &'static str {
    match topic {
        Topic::Program => PROGRAM,
        Topic::Serve => SERVE,
        Topic::Init => INIT,
        Topic::Config => CONFIG,
        Topic::Recover => RECOVER,
        Topic::Account => ACCOUNT,
    }
}

const PROGRAM: &str = "\
pikv: a key-value server over HTTP

Usage: pikv [COMMAND] [FLAGS]

Commands:
  serve           run the server until SIGTERM or Ctrl-C (default)
  init            create config.json with new API keys and print them
  config check    validate config.json
  config show     print the effective settings and where each one comes from
  recover         resolve a conflict between an edited data file and its journal,
                  or save what is readable of damaged files
  account         add, list, disable, enable and delete accounts; set their passwords

Flags:
  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --host IP           address to listen on         PIKV_HOST        127.0.0.1
  --port N            port, 0 for any free one     PIKV_PORT        23849
  --log-level LEVEL   error, warn, info or debug   PIKV_LOG_LEVEL   info
  --log-format FORM   text or json                 PIKV_LOG_FORMAT  text
  -h, --help          print this help, or that of a command
  -V, --version       print the version

Precedence: flag, environment variable, config.json, default.
";

const SERVE: &str = "\
Usage: pikv [serve] [--config PATH] [--host IP] [--port N] [--log-level LEVEL] [--log-format FORM]

Serves until SIGTERM or Ctrl-C. If the configuration file does not exist, creates one with a
project `first_project`. New API keys are printed once and stored as hashes.

  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --host IP           address to listen on         PIKV_HOST        127.0.0.1
  --port N            port, 0 for any free one     PIKV_PORT        23849
  --log-level LEVEL   error, warn, info or debug   PIKV_LOG_LEVEL   info
  --log-format FORM   text or json                 PIKV_LOG_FORMAT  text
";

const INIT: &str = "\
Usage: pikv init [--config PATH]

Creates the configuration file with new API keys, prints the keys once, and ends. Fails if the
file exists; an existing file is never changed.

  --config PATH       configuration file           PIKV_CONFIG      ./config.json
";

const CONFIG: &str = "\
Usage: pikv config check [FLAGS]
       pikv config show [FLAGS]

check   validates the configuration file; reports the location of an error and the fix (exit 1)
show    prints the effective settings and the source of each one: flag, environment, file or
        default; keys and hashes are printed as ***

Both take the flags of `pikv serve` and change nothing.
";

const RECOVER: &str = "\
Usage: pikv recover PROJECT --journal replay|discard [--config PATH]
       pikv recover PROJECT --salvage [--config PATH]

For a project whose files a start refuses. Stop the server first.

--journal resolves the conflict if PROJECT.json was edited by hand while its
journal held changes that are not in it:

  --journal replay    apply the changes of the journal to the edited file
  --journal discard   use the edited file alone; a copy of the journal is kept

--salvage is for damaged files. It writes every key that is still readable to
PROJECT.json.salvaged-N, lists what is not readable, and changes nothing else.

  --config PATH       configuration file           PIKV_CONFIG      ./config.json
";

const ACCOUNT: &str = "\
Usage: pikv account add NAME [--email ADDRESS] [--weak-password] [--config PATH]
       pikv account passwd NAME [--weak-password] [--config PATH]
       pikv account disable|enable|delete NAME [--config PATH]
       pikv account list [--config PATH]

add and passwd ask for the password, or read it as one line from standard input
if that is not a terminal. It cannot be given as an argument.

A new password, disable and delete end all tokens and sessions of the account at
once; enable does not restore them. delete also deletes the keys of the account.

If a server runs with the same config.json, the command is sent to it with the
global key: from the environment variable PIKV_GLOBAL_KEY, or from config.json
if save_api_key_to_file is true. If none runs, the files are changed directly.

  PIKV_GLOBAL_KEY     the global key of a running server
  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --email ADDRESS     email address of the account
  --weak-password     accept a password that breaks the rule for new passwords;
                      it must still have 1 to 72 bytes
";
