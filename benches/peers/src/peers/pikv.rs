//! PiKV, as a user starts it: release build, default settings, request log on and written to a file,
//! authentication on.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Instant;

use super::{Target, key_path};
use crate::failure::{Outcome, failure};
use crate::http::{self, Connection, Request};
use crate::process::Process;
use crate::records;

/// The project that the first start makes.
pub const PROJECT: &str = "first_project";
/// Operations of one batch, the most that the server takes.
const BATCH_OPERATIONS: u64 = 1_000;

/// Where a PiKV keeps its things, and its key. Made by [`Home::create`]; servers start in it.
#[derive(Clone, Debug)]
pub struct Home {
    program: PathBuf,
    directory: PathBuf,
    key: String,
}

/// A running PiKV.
#[derive(Debug)]
pub struct Pikv {
    home: Home,
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// When the process was started.
    pub started_at: Instant,
    // Open, so that the server can go on printing.
    _output: BufReader<ChildStdout>,
}

impl Home {
    /// Has `program` write its configuration and keys into the new directory `directory`.
    ///
    /// # Errors
    /// It does not.
    pub fn create(program: &Path, directory: &Path) -> Outcome<Self> {
        fs::create_dir_all(directory)?;
        let config = directory.join("config.json");
        let output = Command::new(program).arg("init").arg("--config").arg(&config).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.starts_with(&format!("{PROJECT} key")));
        let key = line.and_then(|line| line.split_whitespace().nth(2)).map(str::to_owned);
        let key = key.ok_or_else(|| {
            failure(format!("pikv init: {text}{}", String::from_utf8_lossy(&output.stderr)))
        })?;
        Ok(Self { program: program.to_owned(), directory: directory.to_owned(), key })
    }

    /// Keeps values on disk only (`cache_in_memory: false`) from the next start on.
    ///
    /// # Errors
    /// The configuration cannot be read or written.
    pub fn keep_values_on_disk(&self) -> Outcome<()> {
        let path = self.directory.join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        config["default"]["storage"]["cache_in_memory"] = false.into();
        for project in config["projects"].as_array_mut().into_iter().flatten() {
            project["storage"]["cache_in_memory"] = false.into();
        }
        fs::write(&path, serde_json::to_vec_pretty(&config)?)?;
        Ok(())
    }

    /// The project's file of values.
    pub fn json_path(&self) -> PathBuf {
        self.directory.join("storage_data").join(format!("{PROJECT}.json"))
    }

    /// The project's journal.
    pub fn journal_path(&self) -> PathBuf {
        self.directory.join("storage_data").join(format!("{PROJECT}.journal"))
    }

    /// Puts a file with `keys` keys in place of the project's; the next start takes it over.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_keys(&self, keys: u64) -> Outcome<()> {
        fs::create_dir_all(self.directory.join("storage_data"))?;
        // Without a journal beside it the file is taken as it is.
        let _ = fs::remove_file(self.journal_path());
        let mut file = std::io::BufWriter::new(File::create(self.json_path())?);
        let value = records::value(0);
        file.write_all(b"{\n")?;
        for number in 0..keys {
            let comma = if number + 1 < keys { "," } else { "" };
            writeln!(file, "\"{}\": {value}{comma}", records::key(number))?;
        }
        file.write_all(b"}\n")?;
        file.into_inner().map_err(|error| failure(error.to_string()))?.sync_all()?;
        Ok(())
    }

    /// Starts the server.
    ///
    /// # Errors
    /// It does not say that it listens.
    pub fn start(&self) -> Outcome<Pikv> {
        self.start_under(&[])
    }

    /// Starts the server as the last argument of another program, such as strace, that ends with it.
    ///
    /// # Errors
    /// As [`Home::start`].
    pub fn start_under(&self, wrapper: &[String]) -> Outcome<Pikv> {
        let mut words: Vec<&std::ffi::OsStr> = wrapper.iter().map(std::ffi::OsStr::new).collect();
        words.push(self.program.as_os_str());
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("--config").arg(self.directory.join("config.json"));
        command.args(["--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let log_path = self.directory.join("log.txt");
        command.stderr(File::options().create(true).append(true).open(&log_path)?);
        let started_at = Instant::now();
        let mut process = Process::start("pikv", &mut command)?;
        let output = process.child().stdout.take().ok_or_else(|| failure("pikv has no output"))?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let address = loop {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                let log = fs::read_to_string(&log_path)?;
                return Err(failure(format!("pikv did not start: {log}")));
            }
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim().parse().map_err(|_| failure(format!("no address: {line}")))?;
            }
        };
        Ok(Pikv { home: self.clone(), process, address, started_at, _output: output })
    }
}

impl Pikv {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its files and its key.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Stops it. Its files stay.
    pub fn stop(mut self) {
        self.process.stop();
    }

    /// What to ask it where `stored` keys are there.
    pub fn target(&self, stored: u64) -> Target {
        let put = |number| self.request("PUT", key_path(number), records::value(1));
        Target {
            name: "PiKV".to_owned(),
            address: self.address,
            get: self.request("GET", key_path(0), String::new()),
            puts: records::load_keys(stored).map(put).collect(),
        }
    }

    /// Whether writes are synced before they are answered, and what was written is in the files.
    ///
    /// # Errors
    /// It is not so.
    pub fn check_stored(&self, value: &str) -> Outcome<()> {
        let path = format!("/api/v1/projects/{PROJECT}");
        let settings = http::ask(self.address, &self.request("GET", path, String::new()))?.success("PiKV")?;
        if !settings.body.contains(r#""sync":"always""#) {
            return Err(failure(format!("PiKV does not sync every write: {}", settings.body)));
        }
        let has_value = |path: &Path| {
            let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            text.is_ok_and(|text| {
                text.lines().any(|line| line.contains(&records::key(0)) && line.contains(value))
            })
        };
        if has_value(&self.home.journal_path()) || has_value(&self.home.json_path()) {
            Ok(())
        } else {
            Err(failure("what PiKV acknowledged is not in its files"))
        }
    }

    /// Writes the keys `from..to`, a thousand in one request.
    ///
    /// # Errors
    /// One was refused.
    pub fn put_batches(&self, from: u64, to: u64) -> Outcome<()> {
        let mut connection = Connection::open(self.address)?;
        let value = records::value(1);
        let mut next = from;
        while next < to {
            let end = to.min(next + BATCH_OPERATIONS);
            let operations: Vec<String> = (next..end)
                .map(|number| format!(r#"{{"op":"set","key":"{}","value":{value}}}"#, records::key(number)))
                .collect();
            let body = format!(r#"{{"operations":[{}]}}"#, operations.join(","));
            let path = format!("/api/v1/projects/{PROJECT}/batch");
            connection.ask(&self.request("POST", path, body))?.success("PiKV")?;
            next = end;
        }
        Ok(())
    }

    fn request(&self, method: &'static str, path: String, body: String) -> Request {
        Request { method, path, headers: vec![("X-API-Key".to_owned(), self.home.key.clone())], body }
    }
}
