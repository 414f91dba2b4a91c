//! A server before a member of etcd that passes its answers on, or does to them what broken software does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request and of the answer of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Both are passed on.
    Honest,
    /// The member does not get the request. The answer is HTML with this status.
    Html(u16),
    /// The member does what is asked for, and its answer is replaced by HTML.
    HtmlAfterwards,
    /// The member does what is asked for, and half of the JSON arrives as a whole answer.
    HalfOfTheJson,
    /// The member does what is asked for, and the connection ends in the middle of its answer.
    HalfOfTheAnswer,
    /// The member does what is asked for, and the connection ends.
    NoAnswer,
    /// The member does what is asked for, and nothing arrives.
    Silence,
}

/// Listens until the process ends.
#[derive(Clone)]
pub struct Impostor {
    pub authority: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    conduct: Conduct,
    /// Whether only writes are treated so.
    only_writes: bool,
    /// Transactions with a put or a deletion since [`Impostor::behave`].
    writes: Vec<Vec<u8>>,
}

impl Shared {
    fn new(conduct: Conduct, only_writes: bool) -> Shared {
        Shared { conduct, only_writes, writes: Vec::new() }
    }
}

impl Impostor {
    /// An honest one before `member`.
    pub fn before(member: &str) -> Impostor {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Mutex::new(Shared::new(Conduct::Honest, false)));
        let (member, known): (SocketAddr, _) = (member.parse().unwrap(), Arc::clone(&shared));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&known);
                std::thread::spawn(move || drop(serve(stream, member, &shared)));
            }
        });
        Impostor { authority, shared }
    }

    /// From now on, `conduct`.
    pub fn behave(&self, conduct: Conduct) {
        *self.shared.lock().unwrap() = Shared::new(conduct, false);
    }

    /// From now on, `conduct` at writes, and honest at reads.
    pub fn behave_at_writes(&self, conduct: Conduct) {
        *self.shared.lock().unwrap() = Shared::new(conduct, true);
    }

    /// How many writes of `key`, a key of etcd, it was sent since then.
    pub fn writes_of(&self, key: &str) -> usize {
        let key = STANDARD.encode(key);
        self.shared.lock().unwrap().writes.iter().filter(|write| contains(write, &key)).count()
    }
}

/// Requests of one connection, one after another, each with its own connection to the member.
fn serve(mut client: TcpStream, member: SocketAddr, shared: &Mutex<Shared>) -> io::Result<()> {
    while let Some(request) = read_request(&mut client)? {
        let conduct = {
            let is_write = contains(&request, "request_put") || contains(&request, "request_delete_range");
            let mut shared = shared.lock().unwrap();
            if is_write {
                shared.writes.push(request.clone());
            }
            if is_write || !shared.only_writes { shared.conduct } else { Conduct::Honest }
        };
        if let Conduct::Html(status) = conduct {
            write!(client, "HTTP/1.1 {status} Very Well\r\ncontent-length: 14\r\n\r\n<html></html>\n")?;
            continue;
        }
        let answer = ask(member, &request)?;
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
        match conduct {
            Conduct::Honest => client.write_all(&answer)?,
            Conduct::Html(_) => {}
            Conduct::HtmlAfterwards => {
                client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n<html></html>\n")?;
            }
            Conduct::HalfOfTheJson => {
                let half = &answer[body..body + (answer.len() - body) / 2];
                write!(client, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", half.len())?;
                client.write_all(half)?;
            }
            Conduct::HalfOfTheAnswer => {
                client.write_all(&answer[..body + (answer.len() - body) / 2])?;
                return client.shutdown(Shutdown::Both);
            }
            Conduct::NoAnswer => return client.shutdown(Shutdown::Both),
            // The client ends the connection at its deadline.
            Conduct::Silence => drop(client.read(&mut [0])),
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A request whose body has a length; `None` at the end of the connection.
fn read_request(client: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return Ok(Some(bytes));
            }
        }
        let mut part = [0; 65_536];
        match client.read(&mut part)? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}

/// The answer of the member to `request`, whose end is that of the connection.
fn ask(member: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(member)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = request.windows(2).position(|window| window == b"\r\n").unwrap_or(0);
    stream.write_all(&request[..head])?;
    stream.write_all(b"\r\nconnection: close")?;
    stream.write_all(&request[head..])?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
