//! nginx with two workers, answering a constant, its access log on.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Target;
use crate::campaign::find_program;
use crate::failure::{Outcome, failure};
use crate::http::{Request, free_port};
use crate::process::Process;
use crate::resources;

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    /// Starts it in `directory`, where its log is written. It answers every request with `body`.
    ///
    /// # Errors
    /// It is not installed or not ready, or `body` does not fit its file.
    pub fn start(directory: &Path, body: &str) -> Outcome<Self> {
        let program = find_program("nginx")?;
        if body.contains(['\'', '\\', '$']) {
            return Err(failure(format!("nginx cannot return {body}")));
        }
        let port = free_port()?;
        let home = directory.display();
        let config = format!(
            "daemon off;\nworker_processes 2;\npid {home}/nginx.pid;\nerror_log {home}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log {home}/access.log;\n  keepalive_requests 1000000000;\n  \
             client_body_temp_path {home}/body;\n  proxy_temp_path {home}/proxy;\n  \
             fastcgi_temp_path {home}/fastcgi;\n  uwsgi_temp_path {home}/uwsgi;\n  scgi_temp_path {home}/scgi;\n  \
             server {{\n    listen 127.0.0.1:{port};\n    \
             location / {{ default_type application/json; return 200 '{body}'; }}\n  }}\n}}\n"
        );
        let path = directory.join("nginx.conf");
        fs::write(&path, config)?;
        let mut command = Command::new(program);
        command.arg("-e").arg(directory.join("error.log")).arg("-c").arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start("nginx", &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        process.wait_until(20, || TcpStream::connect(address).is_ok())?;
        Ok(Self { process, address })
    }

    /// The ids of the master and of its workers.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn process_ids(&self) -> Outcome<Vec<u32>> {
        resources::with_children(self.process.id())
    }

    /// A read of the constant.
    pub fn target(&self, path: &str) -> Target {
        let get = Request { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() };
        Target { name: "nginx".to_owned(), address: self.address, get, puts: Vec::new() }
    }
}
