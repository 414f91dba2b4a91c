//! axum on tokio with as many threads as cores and a `Mutex<BTreeMap>`: what PiKV answers, byte for byte
//! but for the case of header names and the date, without its authentication, journal and log.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::routing::get;
use axum::serve::ListenerExt as _;

use super::announce;
use crate::failure::{Outcome, failure};
use crate::records;

#[derive(Debug)]
struct Shelf {
    bodies: Mutex<BTreeMap<String, Bytes>>,
    fields: Vec<(HeaderName, HeaderValue)>,
}

/// Serves. `file` has the answer of PiKV to repeat.
///
/// # Errors
/// The file is not an answer, or there is no address to listen on.
pub fn serve(file: &FilePath) -> Outcome<()> {
    let answer = fs::read_to_string(file)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failure("no answer to repeat"))?;
    let mut fields = Vec::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or_else(|| failure("no header field"))?;
        // hyper writes these two itself.
        if !["date", "content-length"].contains(&name) {
            let name = name.parse().map_err(|_| failure("no name of a header field"))?;
            fields.push((name, HeaderValue::from_str(value).map_err(|_| failure("no header value"))?));
        }
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    let bodies = (0..records::LOAD_KEYS).map(|number| (records::key(number), body.clone())).collect();
    let shelf = Arc::new(Shelf { bodies: Mutex::new(bodies), fields });
    let routes =
        Router::new().route("/api/v1/projects/{project}/keys/{key}", get(read).put(write)).with_state(shelf);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        announce(listener.local_addr()?)?;
        let listener = listener.tap_io(|stream| {
            // As PiKV does; without it nothing changes but the delay of small answers.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, routes).await?;
        Ok(())
    })
}

async fn read(
    State(shelf): State<Arc<Shelf>>,
    Path((_project, key)): Path<(String, String)>,
) -> Response<Body> {
    let body = shelf.bodies.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let mut answer = Response::new(Body::empty());
    match body {
        Some(body) => *answer.body_mut() = Body::from(body),
        None => *answer.status_mut() = StatusCode::NOT_FOUND,
    }
    for (name, value) in &shelf.fields {
        answer.headers_mut().insert(name.clone(), value.clone());
    }
    answer
}

async fn write(
    State(shelf): State<Arc<Shelf>>,
    Path((_project, key)): Path<(String, String)>,
    body: Bytes,
) -> StatusCode {
    shelf.bodies.lock().unwrap_or_else(PoisonError::into_inner).insert(key, body);
    StatusCode::OK
}
