//! Starts the real binary in a directory of its own and talks to it over sockets.
//!
//! Every server has its own temporary directory and a port of the system's choice, so that tests
//! run side by side. What has to happen is awaited with a deadline.

mod connection;
pub mod environment;
pub mod etcd;
pub mod faketime;
pub mod files;
pub mod instances;
pub mod kv;
pub mod people;
mod proxy;
pub mod sim_disk;
pub mod tool;
pub mod visitors;
pub mod workload;
mod writes;

pub use connection::{Connection, Response, encode_request};
pub use proxy::{Program, Proxy};
pub use writes::Writes;

use pikv::testing::catalog::{ChangeError, Served};
pub use pikv::testing::digits::grouped;
use pikv::testing::storage::Bucket;
use pikv::testing::storage::embedded::Project;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The global key of [`known_config`].
pub const GLOBAL_KEY: &str = "global-key-0123456789abcdef";
/// The key of the project `demo` of [`known_config`].
pub const DEMO_KEY: &str = "demo-key-0123456789abcdef";
/// Where the keys of the project `demo` are.
pub const DEMO_KEYS: &str = "/api/v1/projects/demo/keys";

/// The project behind the bucket of `served`.
pub fn project_of(served: &Served) -> Result<&Arc<Project>, ChangeError> {
    served.bucket().map(|bucket| match bucket {
        Bucket::Embedded(project) => project,
        Bucket::Etcd(_) => panic!("a project of this process"),
    })
}

/// How long anything may take before a test gives up. Generous: machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration with keys written by hand: [`GLOBAL_KEY`], and [`DEMO_KEY`] for `demo`.
pub fn known_config() -> Value {
    json!({
        "version": 1,
        "server_port": 0,
        "default": {
            "storage": { "persistent_file_path": "storage_data/" },
            "authentication": { "enabled": true, "save_api_key_to_file": true, "api_key": GLOBAL_KEY }
        },
        "projects": [
            {
                "id": "demo",
                "storage": { "on_disk": true, "cache_in_memory": true },
                "authentication": { "enabled": true, "save_api_key_to_file": true, "api_key": DEMO_KEY }
            }
        ]
    })
}

/// [`known_config`] with the members of `more` added to its top.
pub fn known_config_with(more: Value) -> Value {
    let mut config = known_config();
    for (name, value) in more.as_object().expect("an object of members") {
        config[name] = value.clone();
    }
    config
}

/// Waits until `condition` holds; panics with `what` when it does not in [`PATIENCE`].
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, condition), "gave up waiting: {what}");
}

/// Whether `condition` comes to hold within `patience`.
pub fn holds_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Memory of the process, if the system tells it.
pub fn resident_bytes(server: &Server) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// How a server is started.
#[derive(Clone, Default)]
pub struct Options {
    /// Written to config.json before the first start.
    pub config: Option<Value>,
    /// Flags behind `serve --config PATH --port 0`.
    pub args: Vec<String>,
    /// Environment of the process.
    pub environment: Vec<(String, String)>,
    /// `ulimit -n`.
    pub descriptors_max: Option<u32>,
}

/// A running server. Dropped, it is killed and its directory goes.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    options: Options,
    directory: TempDir,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// What a process that ended by itself said.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Server {
    /// A first start in an empty directory: the server creates config.json and the keys.
    pub fn start() -> Server {
        Server::start_as(Options::default())
    }

    /// With `config` as config.json; see [`known_config`].
    pub fn start_with(config: Value) -> Server {
        Server::start_as(Options { config: Some(config), ..Options::default() })
    }

    /// With [`known_config`].
    pub fn start_known() -> Server {
        Server::start_with(known_config())
    }

    /// With flags, environment and limits.
    pub fn start_as(options: Options) -> Server {
        let directory = tempfile::tempdir().unwrap();
        if let Some(config) = &options.config {
            fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
        }
        Server::start_in(directory, options)
    }

    /// In a directory that holds whatever the test put there. Waits until the server listens.
    pub fn start_in(directory: TempDir, options: Options) -> Server {
        let (child, stdout, stderr) = spawn(directory.path(), &options, &[]);
        let mut server = Server { port: 0, options, directory, child, stdout, stderr };
        server.await_listening();
        server
    }

    fn await_listening(&mut self) {
        if !self.listens() {
            let status = self.await_exit();
            panic!("the server ended ({status}): {}{}", self.stdout.text(), self.stderr.text());
        }
    }

    /// Waits until it listens, or has ended.
    fn listens(&mut self) -> bool {
        let mut port = None;
        wait_until("the server listens or ends", || {
            let has_ended = self.has_ended();
            port = listening_port(&self.stdout.text());
            port.is_some() || has_ended
        });
        self.port = port.unwrap_or_default();
        port.is_some()
    }

    /// The directory with config.json in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// config.json.
    pub fn config_path(&self) -> PathBuf {
        self.directory().join("config.json")
    }

    /// The file `name` in the data directory.
    pub fn data_path(&self, name: &str) -> PathBuf {
        self.directory().join("storage_data").join(name)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Standard output of this start so far.
    pub fn stdout_text(&self) -> String {
        self.stdout.text()
    }

    /// Standard error of this start so far.
    pub fn stderr_text(&self) -> String {
        self.stderr.text()
    }

    /// Waits until standard error has `text` in it.
    pub fn await_stderr(&self, text: &str) {
        let found = holds_within(PATIENCE, || self.stderr_text().contains(text));
        assert!(found, "no {text:?} in:\n{}", self.stderr_text());
    }

    /// The key of `owner` (`global key`, `first_project key`) that this start printed.
    pub fn printed_key(&self, owner: &str) -> String {
        let text = self.stdout_text();
        key_in(&text, owner).unwrap_or_else(|| panic!("no {owner} in {text}"))
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// One request on a connection of its own.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.connect().request(method, path, key, fields, body)
    }

    /// Stores `body`, JSON, under `key` of `demo`.
    pub fn put_demo(&self, key: &str, body: &str) -> Response {
        self.request("PUT", &format!("{DEMO_KEYS}/{key}"), Some(DEMO_KEY), &[], body.as_bytes())
    }

    /// Reads `key` of `demo`, the value alone.
    pub fn get_demo(&self, key: &str) -> Response {
        self.request("GET", &format!("{DEMO_KEYS}/{key}?raw"), Some(DEMO_KEY), &[], b"")
    }

    /// SIGTERM, then a start in the same directory. The port changes.
    pub fn restart(&mut self) {
        let status = self.terminate();
        assert_eq!(status.code(), Some(0), "{}", self.stderr_text());
        self.start_again();
    }

    /// A start in the same directory after the process ended. The port changes.
    pub fn start_again(&mut self) {
        self.start_again_by(&[]);
        self.await_listening();
    }

    /// The same through the words of `wrapper`, such as `strace -D`, by which it may end on the way.
    /// Says whether it listens.
    pub fn start_again_through(&mut self, wrapper: &[String]) -> bool {
        self.start_again_by(wrapper);
        self.listens()
    }

    fn start_again_by(&mut self, wrapper: &[String]) {
        (self.child, self.stdout, self.stderr) = spawn(self.directory.path(), &self.options, wrapper);
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.await_exit()
    }

    /// Sends the signal `name` (`TERM`, `INT`, `HUP`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill -s {name}");
        if name == "STOP" {
            let stat = format!("/proc/{}/stat", self.pid());
            wait_until("the server stops", || fs::read_to_string(&stat).unwrap().contains(") T "));
        }
    }

    /// Waits for the end of the process, with all of its output.
    pub fn await_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.stdout.await_end();
        self.stderr.await_end();
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- standard error of the server on port {}\n{}---", self.port, self.stderr.text());
        }
    }
}

/// Runs the program with `args` in `directory` until it ends by itself.
pub fn run_to_end(directory: &Path, args: &[&str]) -> Finished {
    let mut command = bare_command(Path::new(env!("CARGO_BIN_EXE_pikv")), directory);
    finished(spawn_captured(command.args(args)))
}

/// Runs `serve` with `ulimit -n` until it ends by itself.
pub fn serve_limited(directory: &Path, descriptors_max: u32) -> Finished {
    let options = Options { descriptors_max: Some(descriptors_max), ..Options::default() };
    finished(spawn(directory, &options, &[]))
}

fn finished((mut child, stdout, stderr): (Child, Output, Output)) -> Finished {
    let mut status = None;
    let ended = holds_within(PATIENCE, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
    }
    stdout.await_end();
    stderr.await_end();
    assert!(ended, "pikv goes on: {}{}", stdout.text(), stderr.text());
    Finished { code: status.unwrap().code(), stdout: stdout.text(), stderr: stderr.text() }
}

/// As [`run_to_end`], with `input` on standard input and more environment.
pub fn run_with_input(
    directory: &Path,
    args: &[&str],
    input: &str,
    environment: &[(&str, &str)],
) -> Finished {
    let mut command = bare_command(Path::new(env!("CARGO_BIN_EXE_pikv")), directory);
    command.args(args).envs(environment.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that needs no input may have ended before it could be given some.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs `serve` with the config.json of `directory`, where it is expected to refuse.
pub fn refused_start(directory: &Path) -> Finished {
    let config = directory.join("config.json");
    run_to_end(directory, &["serve", "--config", config.to_str().unwrap(), "--port", "0"])
}

fn spawn(directory: &Path, options: &Options, wrapper: &[String]) -> (Child, Output, Output) {
    let program = Path::new(env!("CARGO_BIN_EXE_pikv"));
    let mut command = match options.descriptors_max {
        None => match wrapper.split_first() {
            None => bare_command(program, directory),
            Some((first, more)) => {
                let mut wrapped = bare_command(Path::new(first), directory);
                wrapped.args(more).arg(program);
                wrapped
            }
        },
        Some(count) => {
            let mut shell = bare_command(Path::new("sh"), directory);
            shell.arg("-c").arg(format!("ulimit -n {count} && exec \"$0\" \"$@\"")).arg(program);
            shell
        }
    };
    command.arg("serve").arg("--config").arg(directory.join("config.json")).args(["--port", "0"]);
    command.args(&options.args).envs(options.environment.iter().cloned());
    spawn_captured(&mut command)
}

fn bare_command(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for name in ["CONFIG", "HOST", "PORT", "LOG_LEVEL", "LOG_FORMAT", "GLOBAL_KEY"] {
        command.env_remove(format!("PIKV_{name}"));
    }
    command
}

fn spawn_captured(command: &mut Command) -> (Child, Output, Output) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = Output::collect(child.stdout.take().unwrap());
    let stderr = Output::collect(child.stderr.take().unwrap());
    (child, stdout, stderr)
}

/// The key in the line of `printed` that begins with `owner`.
pub fn key_in(printed: &str, owner: &str) -> Option<String> {
    let line = printed.lines().find(|line| line.trim_start().starts_with(owner))?;
    line.split_whitespace().find(|word| word.starts_with("pikv_")).map(str::to_owned)
}

fn listening_port(stdout: &str) -> Option<u16> {
    let whole_lines = stdout.rsplit_once('\n')?.0;
    let address = whole_lines.lines().find_map(|line| line.trim().strip_prefix("listening on"))?;
    let address = address.trim_start().strip_prefix("http://")?;
    address.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
}

/// What a process writes, collected while it runs.
struct Output {
    collected: Arc<Mutex<Collected>>,
}

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Output {
    fn collect(mut pipe: impl Read + Send + 'static) -> Output {
        let collected = Arc::new(Mutex::new(Collected::default()));
        let output = Output { collected: Arc::clone(&collected) };
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut collected = collected.lock().unwrap();
                collected.bytes.extend_from_slice(&buffer[..count]);
                collected.is_over = count == 0;
                if collected.is_over {
                    return;
                }
            }
        });
        output
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.collected.lock().unwrap().bytes).into_owned()
    }

    fn await_end(&self) {
        wait_until("a pipe ends", || self.collected.lock().unwrap().is_over);
    }
}
