//! The load generator `wrk`: one thread, kept-alive connections.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Outcome, failure};
use crate::http::Request;
use crate::process::Process;

/// A request that takes longer counts as an error, seconds.
const TIMEOUT_SECONDS: u32 = 10;

/// What to load a server with.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections open at once.
    pub connections: u32,
    /// For how long, seconds.
    pub seconds: u32,
    /// Sent one after the other, over and over. At least one.
    pub requests: &'a [Request],
    /// Requests that a connection sends before it reads the first answer; 1 without pipelining.
    pub pipelined: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Answers that came.
    pub answers: u64,
    /// Answers a second.
    pub per_second: f64,
    /// The time that 99 of 100 answers took at most, milliseconds.
    pub p99_ms: f64,
    /// Answers that were no success.
    pub refused: u64,
    /// Connections that failed, and answers that did not come in time.
    pub broken: u64,
}

impl Figures {
    /// What was wrong with the answers, `None` where nothing was.
    pub fn complaint(&self) -> Option<String> {
        match (self.refused, self.broken) {
            (0, 0) => None,
            (0, broken) => Some(format!("{broken} connections failed or timed out")),
            (refused, broken) => {
                Some(format!("{refused} answers were no success, {broken} connections failed"))
            }
        }
    }
}

/// A load that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
}

impl Running {
    /// Starts `wrk`. Its script goes into `directory`.
    ///
    /// # Errors
    /// `wrk` cannot be started, or the script not be written.
    pub fn start(load: &Load<'_>, directory: &Path) -> Outcome<Self> {
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--latency"]);
        command.args(["--connections", &load.connections.to_string()]);
        command.args(["--duration", &load.seconds.to_string()]);
        command.args(["--timeout", &TIMEOUT_SECONDS.to_string()]);
        let mut path = "/";
        match load.requests {
            // Without a script: nothing is asked of Lua for each request.
            [request] if request.method == "GET" && load.pipelined == 1 => {
                for (name, value) in &request.headers {
                    command.args(["--header", &format!("{name}: {value}")]);
                }
                path = &request.path;
            }
            requests => {
                let script = tempfile::Builder::new().suffix(".lua").tempfile_in(directory)?;
                fs::write(script.path(), render_script(requests, load.pipelined))?;
                command.arg("--script").arg(script.path());
                // wrk reads it when it starts; it goes with the directory.
                script.keep().map_err(|error| failure(error.to_string()))?;
            }
        }
        command.arg(format!("http://{}{path}", load.address));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { process: Process::start("wrk", &mut command)? })
    }

    /// Ends before the time is over.
    ///
    /// # Errors
    /// As [`Running::finish`].
    pub fn interrupt(self) -> Outcome<Figures> {
        self.process.interrupt()?;
        self.finish()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// `wrk` failed or printed something else than figures.
    pub fn finish(mut self) -> Outcome<Figures> {
        let mut text = String::new();
        if let Some(mut output) = self.process.child().stdout.take() {
            std::io::Read::read_to_string(&mut output, &mut text)?;
        }
        parse(&text).ok_or_else(|| failure(format!("wrk printed no figures: {text}")))
    }
}

/// Loads a server and waits for the end.
///
/// # Errors
/// As [`Running::start`] and [`Running::finish`].
pub fn run(load: &Load<'_>, directory: &Path) -> Outcome<Figures> {
    Running::start(load, directory)?.finish()
}

/// All requests are made before the first is sent, so that Lua only hands them out.
fn render_script(requests: &[Request], pipelined: u32) -> String {
    let mut script = String::from(
        "local list = {}\nlocal at = 0\n\
         local function add(method, path, headers, body)\n  \
         headers['Host'] = 'localhost'\n  \
         list[#list + 1] = wrk.format(method, path, headers, body)\nend\n\
         function init(args)\n",
    );
    for request in requests {
        let mut headers = String::new();
        for (name, value) in &request.headers {
            let _ = write!(headers, "['{name}'] = '{value}', ");
        }
        let body = if request.body.is_empty() { "nil".to_owned() } else { format!("[[{}]]", request.body) };
        let _ = writeln!(script, "add('{}', '{}', {{{headers}}}, {body})", request.method, request.path);
    }
    // What is sent at once begins with each of the requests in turn.
    let _ = writeln!(
        script,
        "local single = list\nlist = {{}}\nfor start = 1, #single do\n  local parts = {{}}\n  \
         for i = 0, {pipelined} - 1 do parts[#parts + 1] = single[(start - 1 + i) % #single + 1] end\n  \
         list[start] = table.concat(parts)\nend"
    );
    script.push_str("end\nfunction request()\n  at = at % #list + 1\n  return list[at]\nend\n");
    script
}

fn parse(text: &str) -> Option<Figures> {
    let after = |start: &str| text.lines().find_map(|line| line.trim().strip_prefix(start));
    let answers = text.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let per_second = after("Requests/sec:")?.trim().parse().ok()?;
    let p99_ms = parse_ms(after("99%")?.trim())?;
    let refused = match after("Non-2xx or 3xx responses:") {
        Some(count) => count.trim().parse().ok()?,
        None => 0,
    };
    let mut broken = 0;
    if let Some(kinds) = after("Socket errors:") {
        for kind in kinds.split(',') {
            broken += kind.split_whitespace().last()?.parse::<u64>().ok()?;
        }
    }
    Some(Figures { answers, per_second, p99_ms, refused, broken })
}

fn parse_ms(text: &str) -> Option<f64> {
    let number_ends = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(number_ends);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "Running 1s test @ http://127.0.0.1:38131/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.68ms    1.70ms  11.31ms   84.56%
    Req/Sec    36.68k    20.78k   74.80k    80.00%
  Latency Distribution
     50%  753.00us
     75%    2.69ms
     90%    4.20ms
     99%    7.63ms
  36712 requests in 1.01s, 14.79MB read
Requests/sec:  36329.56
Transfer/sec:     14.63MB
";

    #[test]
    fn figures_of_a_clean_run_are_read() {
        let figures = parse(CLEAN).unwrap();
        let expected = Figures { answers: 36712, per_second: 36329.56, p99_ms: 7.63, refused: 0, broken: 0 };
        assert_eq!(figures, expected);
        assert_eq!(figures.complaint(), None);
    }

    #[test]
    fn answers_that_were_no_success_are_counted() {
        let text = CLEAN.replace(
            "Requests/sec:",
            "  Socket errors: connect 1, read 20, write 300, timeout 4000\n  \
             Non-2xx or 3xx responses: 17\nRequests/sec:",
        );
        let figures = parse(&text).unwrap();
        assert_eq!((figures.refused, figures.broken), (17, 4321));
        assert!(figures.complaint().is_some());
    }

    #[test]
    fn times_are_read_in_every_unit() {
        assert_eq!(parse_ms("753.00us"), Some(0.753));
        assert_eq!(parse_ms("1.50s"), Some(1500.0));
        assert_eq!(parse_ms("2.00m"), Some(120_000.0));
        assert_eq!(parse_ms("fast"), None);
    }

    #[test]
    fn text_without_figures_is_no_measurement() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
        assert_eq!(parse(""), None);
    }
}
