//! Real proxies before a server: nginx and haproxy, each with a configuration of the test.
//!
//! A proxy listens on a free port of 127.0.0.1, has a directory of its own and ends when it is dropped.
//! If the program is not installed the test is skipped.

use super::tool::{Tool, runs};
use super::{PATIENCE, holds_within};
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Another process may take the free port first; then the proxy ends and gets another port.
const STARTS_MAX: usize = 5;

/// A proxy program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Nginx,
    Haproxy,
}

/// A running proxy. Dropped, it is killed and its directory goes.
pub struct Proxy {
    /// The port of 127.0.0.1 that it listens on.
    pub port: u16,
    child: Child,
    directory: TempDir,
}

impl Program {
    fn tool(self) -> Tool {
        match self {
            Program::Nginx => Tool::Nginx,
            Program::Haproxy => Tool::Haproxy,
        }
    }

    /// Debian has both in a directory that is not on the path of every user.
    fn path(self) -> Option<String> {
        let paths = [self.tool().name().to_owned(), format!("/usr/sbin/{}", self.tool().name())];
        paths.into_iter().find(|path| runs(path, "-v"))
    }

    /// The program in the foreground, with `configuration` as its part for one server.
    fn command(self, path: &str, directory: &Path, configuration: &str) -> Command {
        let file = directory.join("proxy.conf");
        let mut command = Command::new(path);
        match self {
            Program::Nginx => {
                fs::write(&file, nginx_file(directory, configuration)).unwrap();
                command.arg("-e").arg(directory.join("error.log")).arg("-c").arg(&file);
            }
            Program::Haproxy => {
                fs::write(&file, configuration).unwrap();
                command.arg("-db").arg("-f").arg(&file);
            }
        }
        command
    }
}

impl Proxy {
    /// Starts `program` with what `configuration` gives for the port to listen on: the contents of `http`
    /// for nginx, the whole file for haproxy. Returns `None` if the program is not installed.
    pub fn start(program: Program, configuration: impl Fn(u16) -> String) -> Option<Proxy> {
        let path = program.path();
        let missing = format!("{0} is not installed; apt-get install {0}", program.tool().name());
        if !program.tool().is_usable(path.is_none().then_some(missing)) {
            return None;
        }
        let path = path?;
        for _ in 0..STARTS_MAX {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let mut command = program.command(&path, directory.path(), &configuration(port));
            let log = fs::File::create(directory.path().join("output.log")).unwrap();
            let output = log.try_clone().unwrap();
            let child = command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().unwrap();
            let mut proxy = Proxy { port, child, directory };
            if proxy.listens() {
                return Some(proxy);
            }
            let _ = writeln!(std::io::stderr(), "{program:?} ended: {}", proxy.log());
        }
        panic!("{program:?} did not start {STARTS_MAX} times");
    }

    /// What it wrote to its error log.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        format!("{}{}", read("output.log"), read("error.log"))
    }

    /// Waits until it accepts connections; false if it ends.
    fn listens(&mut self) -> bool {
        let (port, child) = (self.port, &mut self.child);
        let mut has_ended = false;
        let decided = holds_within(PATIENCE, || {
            has_ended = child.try_wait().unwrap().is_some();
            has_ended || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        decided && !has_ended
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// nginx as one process, so that killing it ends it, with all its files in `directory`.
fn nginx_file(directory: &Path, http: &str) -> String {
    let directory = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nevents {{}}\n\
         http {{\n    access_log off;\n{temporary}{http}\n}}\n"
    )
}
