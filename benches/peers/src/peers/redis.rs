//! Redis, with every write synced before it is acknowledged (`appendfsync always`).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Outcome, failure};
use crate::http::free_port;
use crate::process::{Process, wait_until};
use crate::records;

/// Commands that are sent before their answers are read.
const PIPELINED_MAX: u64 = 1_000;
/// Loading and rewriting a million keys takes seconds.
const READY_SECONDS_MAX: u64 = 120;

/// A running redis-server.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    directory: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// When the process was started.
    pub started_at: Instant,
}

impl Redis {
    /// Starts it on what is in `directory`. It listens at once, but may still be loading.
    ///
    /// # Errors
    /// It does not listen.
    pub fn start(directory: &Path) -> Outcome<Self> {
        fs::create_dir_all(directory)?;
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", "--dir"]);
        command.arg(directory).args(["--logfile", "redis.log"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started_at = Instant::now();
        let mut process = Process::start("redis-server", &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        process.wait_until(READY_SECONDS_MAX, || TcpStream::connect(address).is_ok())?;
        Ok(Self { process, directory: directory.to_owned(), address, started_at })
    }

    /// As [`Redis::start`], and waits until it answers.
    ///
    /// # Errors
    /// It does not, or does not sync every write.
    pub fn start_ready(directory: &Path) -> Outcome<Self> {
        let redis = Self::start(directory)?;
        redis.wait_until_loaded(0)?;
        let mut client = Client::open(redis.address)?;
        let setting = client.ask(&["CONFIG", "GET", "appendfsync"])?;
        if !setting.contains("always") {
            return Err(failure(format!("redis-server does not sync every write: {setting}")));
        }
        Ok(redis)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it. Its files stay.
    pub fn stop(mut self) {
        self.process.stop();
    }

    /// Waits until it reads key `number` instead of saying that it is loading; the key need not be there.
    ///
    /// # Errors
    /// It takes too long.
    pub fn wait_until_loaded(&self, number: u64) -> Outcome<()> {
        let key = records::key(number);
        wait_until("redis-server loading its keys", READY_SECONDS_MAX, || {
            let answer = Client::open(self.address).and_then(|mut client| client.ask(&["GET", &key]));
            answer.is_ok_and(|answer| !answer.starts_with('-'))
        })
    }

    /// Writes the keys `from..to`, many in flight.
    ///
    /// # Errors
    /// One was refused.
    pub fn put(&self, from: u64, to: u64) -> Outcome<()> {
        let mut client = Client::open(self.address)?;
        let value = records::value(1);
        let mut next = from;
        while next < to {
            let end = to.min(next + PIPELINED_MAX);
            let mut commands = Vec::new();
            for number in next..end {
                encode(&["SET", &records::key(number), &value], &mut commands);
            }
            client.stream.get_mut().write_all(&commands)?;
            for _ in next..end {
                let answer = client.answer()?;
                if !answer.starts_with("+OK") {
                    return Err(failure(format!("redis-server answered {answer}")));
                }
            }
            next = end;
        }
        Ok(())
    }

    /// Has it write its append-only file anew, in its compact form, and waits for the end.
    ///
    /// # Errors
    /// It does not end, or fails.
    pub fn rewrite(&self) -> Outcome<()> {
        let mut client = Client::open(self.address)?;
        client.ask(&["BGREWRITEAOF"])?;
        let mut last = String::new();
        wait_until("redis-server writing its file anew", READY_SECONDS_MAX, || {
            last = client.ask(&["INFO", "persistence"]).unwrap_or_default();
            last.contains("aof_rewrite_in_progress:0") && last.contains("aof_rewrite_scheduled:0")
        })?;
        if last.contains("aof_last_bgrewrite_status:ok") {
            Ok(())
        } else {
            Err(failure(format!("redis-server did not write {} anew", self.directory.display())))
        }
    }
}

/// A connection that speaks the protocol of Redis.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(READY_SECONDS_MAX)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one command. Returns the answer as text: its first line, and what that announces.
    ///
    /// # Errors
    /// The connection ended.
    pub fn ask(&mut self, words: &[&str]) -> Outcome<String> {
        let mut command = Vec::new();
        encode(words, &mut command);
        self.stream.get_mut().write_all(&command)?;
        self.answer()
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut text = String::new();
        let mut parts_left = 1;
        while parts_left > 0 {
            parts_left -= 1;
            let start = text.len();
            if self.stream.read_line(&mut text)? == 0 {
                return Err(failure("redis-server closed the connection"));
            }
            let line = text[start..].trim_end().to_owned();
            if let Some(parts) = line.strip_prefix('*') {
                parts_left += parts.parse::<usize>().unwrap_or(0);
            } else if let Some(length) = line.strip_prefix('$').and_then(|length| length.parse().ok()) {
                let mut bytes: Vec<u8> = vec![0; length];
                self.stream.read_exact(&mut bytes)?;
                self.stream.read_exact(&mut [0; 2])?;
                text.push_str(&String::from_utf8_lossy(&bytes));
                text.push('\n');
            }
        }
        Ok(text)
    }
}

fn encode(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}
