//! The simplest durable server: tiny_http, four workers, a `Mutex<HashMap>`. Each write writes the whole file again
//! under a temporary name, syncs it, and renames it over the old one.
//!
//! It syncs, because a rename alone promises less than the other servers do: after a power cut the file could exist
//! and be empty.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::value::RawValue;
use tiny_http::{Method, Request, Response, Server};

use super::announce;
use crate::failure::{Outcome, failure};

const WORKERS: usize = 4;

/// Everything, and where it is kept.
#[derive(Debug)]
struct Store {
    path: PathBuf,
    entries: Mutex<HashMap<String, Box<RawValue>>>,
}

/// Serves. `file` has the keys and values.
///
/// # Errors
/// The file is not JSON, or there is no address to listen on.
pub fn serve(file: &Path) -> Outcome<()> {
    let entries = serde_json::from_slice(&fs::read(file)?)?;
    let store = Arc::new(Store { path: file.to_owned(), entries: Mutex::new(entries) });
    let server = Server::http("127.0.0.1:0").map_err(|error| failure(error.to_string()))?;
    let address = server.server_addr().to_ip().ok_or_else(|| failure("no address"))?;
    let server = Arc::new(server);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (server, store) = (Arc::clone(&server), Arc::clone(&store));
            thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    answer(request, &store);
                }
            })
        })
        .collect();
    announce(address)?;
    for worker in workers {
        let _ = worker.join();
    }
    Ok(())
}

fn answer(mut request: Request, store: &Store) {
    let key = request.url().rsplit('/').next().unwrap_or_default().to_owned();
    let (status, body) = if request.method() == &Method::Get {
        match store.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            Some(value) => (200, format!("{{\"key\":\"{key}\",\"value\":{value}}}")),
            None => (404, String::new()),
        }
    } else {
        let mut body = String::new();
        let read = request.as_reader().read_to_string(&mut body);
        match read.map_err(Into::into).and_then(|_| store.put(&key, body)) {
            Ok(()) => (200, format!("{{\"key\":\"{key}\"}}")),
            Err(error) => (500, error.to_string()),
        }
    };
    // A client that is gone is none of the server's business.
    let _ = request.respond(Response::from_string(body).with_status_code(status));
}

impl Store {
    fn put(&self, key: &str, value: String) -> Outcome<()> {
        let value = RawValue::from_string(value)?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(key.to_owned(), value);
        let temporary = self.path.with_extension("tmp");
        let mut file = BufWriter::new(File::create(&temporary)?);
        serde_json::to_writer(&mut file, &*entries)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&temporary, &self.path)?;
        Ok(())
    }
}
