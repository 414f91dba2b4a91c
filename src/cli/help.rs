//! The help texts.

/// What help is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// All of it.
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
  serve           serve until SIGTERM or Ctrl-C (without a command, too)
  init            write config.json with new API keys, print them, do not serve
  config check    say whether config.json is right
  config show     show every setting in force and where it comes from
  recover         decide about a data file edited by hand, or save what is
                  readable of damaged files
  account         add, list, disable, enable and delete accounts; set their passwords

Flags:
  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --host IP           address to listen on         PIKV_HOST        127.0.0.1
  --port N            port, 0 for any free one     PIKV_PORT        23849
  --log-level LEVEL   error, warn, info or debug   PIKV_LOG_LEVEL   info
  --log-format FORM   text or json                 PIKV_LOG_FORMAT  text
  -h, --help          this help, or a command's
  -V, --version       the version

A flag wins over its environment variable, that over config.json, that over the default.
";

const SERVE: &str = "\
Usage: pikv [serve] [--config PATH] [--host IP] [--port N] [--log-level LEVEL] [--log-format FORM]

Serves until SIGTERM or Ctrl-C. Where there is no configuration file, one is written with a
project `first_project`; the API keys that are made are printed once and kept as hashes.

  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --host IP           address to listen on         PIKV_HOST        127.0.0.1
  --port N            port, 0 for any free one     PIKV_PORT        23849
  --log-level LEVEL   error, warn, info or debug   PIKV_LOG_LEVEL   info
  --log-format FORM   text or json                 PIKV_LOG_FORMAT  text
";

const INIT: &str = "\
Usage: pikv init [--config PATH]

Writes the configuration file with new API keys and prints the keys once. Does not serve, and
refuses to touch a file that is there.

  --config PATH       configuration file           PIKV_CONFIG      ./config.json
";

const CONFIG: &str = "\
Usage: pikv config check [FLAGS]
       pikv config show [FLAGS]

check   says whether the configuration file is right; if not, where and what would be (exit 1)
show    prints every setting in force and whether a flag, the environment, the file or the default
        decided on it; keys and hashes are shown as ***

Takes the flags of `pikv serve`. Neither changes anything.
";

const RECOVER: &str = "\
Usage: pikv recover PROJECT --journal replay|discard [--config PATH]
       pikv recover PROJECT --salvage [--config PATH]

For a project whose files a start refuses. The server must not run.

--journal decides what counts if PROJECT.json was edited by hand while its
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
where that is not a terminal. It is never a word of the command line.

Another password, disable and delete end all tokens and sessions of the account
at once; enable does not bring them back. delete takes its keys too.

While a server runs on the same config.json it is asked to do it, with the
global key: from the environment variable PIKV_GLOBAL_KEY, or from config.json
where save_api_key_to_file is true. While none runs the files are changed.

  PIKV_GLOBAL_KEY     the global key of a running server
  --config PATH       configuration file           PIKV_CONFIG      ./config.json
  --email ADDRESS     email address of the account
  --weak-password     accept a password that breaks the rule for new passwords;
                      it still has 1 to 72 bytes
";
