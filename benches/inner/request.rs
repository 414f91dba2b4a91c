//! Whole requests, from their bytes to the bytes of the answer: parsed, routed, key checked, looked up
//! or applied, rendered.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use pikv::testing::api::reply::Reply;
use pikv::testing::api::state::{App, RequestOrigin};
use pikv::testing::catalog::keys;
use pikv::testing::catalog::{Catalog, FileCatalog};
use pikv::testing::clock;
use pikv::testing::config::file;
use pikv::testing::disk::RealDisk;
use pikv::testing::entropy;
use pikv::testing::http::exchange::{Bounds, Exchange, Step};
use pikv::testing::http::request::Request;
use pikv::testing::http::response::{self, BodySize};
use pikv::testing::limits::{BODY_BYTES_MAX_DEFAULT, HEAD_BYTES_MAX, MEMORY_BYTES_MAX_DEFAULT};
use pikv::testing::memory::Memory;
use pikv::testing::persist::live::worker_threads::ProjectQueues;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

const CONFIG: &str = r#"{"version":1,"server_port":0,
    "default":{"storage":{"persistent_file_path":"./","on_disk":false,"cache_in_memory":true},
        "authentication":{"enabled":true,"save_api_key_to_file":true,"api_key":"global-key-0123456789abcdef"}},
    "projects":[{"id":"demo","storage":{},
        "authentication":{"enabled":true,"api_key":"demo-key-0123456789abcdef"}}]}"#;
const BOUNDS: Bounds = Bounds { head_bytes_max: HEAD_BYTES_MAX, body_bytes_max: BODY_BYTES_MAX_DEFAULT };

/// A server without sockets, whose only project is in memory. `directory` has the watermark of its revisions.
fn app(directory: &Path) -> Arc<App> {
    let mut config = file::parse(CONFIG.as_bytes()).unwrap();
    keys::ensure_keys(&mut config, &mut entropy::random_bytes).unwrap();
    let engine = ProjectQueues::new(Box::new(|| ()));
    let catalog = FileCatalog::open(Arc::new(RealDisk), engine, directory.join("config.json"), config);
    Arc::new(App::new(Catalog::Files(catalog.unwrap()), None, Memory::new(MEMORY_BYTES_MAX_DEFAULT)))
}

fn request(method: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} /api/v1/projects/demo/keys/users/42/profile HTTP/1.1\r\nHost: 127.0.0.1:23849\r\n\
         User-Agent: curl/8.14.1\r\nAccept: */*\r\nX-API-Key: demo-key-0123456789abcdef\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers `wire`, one whole request, at the end of `out`. Returns the status.
fn answer(app: &Arc<App>, wire: &[u8], date: &str, out: &mut Vec<u8>) -> u16 {
    let mut exchange = Exchange::new(BOUNDS);
    let (_, Step::Request(head, body)) = exchange.step(wire) else { panic!("no whole request") };
    let request = Request { head, body: &body };
    let arrival = RequestOrigin {
        wall_ms: clock::wall_ms(),
        at: clock::monotonic(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_repeated: false,
    };
    let routed = app.route(&request.head, arrival.peer);
    black_box((&routed.caller, app.failure_style(&request.head, Some(request.body), &routed)));
    let handled = app.handle(&request, routed, arrival);
    let Reply::Ready(Ok(response), None) = handled else { panic!("it has to wait") };
    let reply = response::Reply {
        method: request.head.method,
        version: request.head.version,
        persistent: request.head.persistent,
        body: BodySize::Known(response.body_bytes().len() as u64),
        date,
    };
    response::encode_head(&response, &reply, &[], out);
    out.extend_from_slice(response.body_bytes());
    response.status()
}

/// A value of 100 bytes.
#[divan::bench(args = ["GET", "PUT"], sample_size = 1_000)]
fn whole(bencher: Bencher<'_, '_>, method: &str) {
    let directory = tempfile::tempdir().unwrap();
    let app = app(directory.path());
    let date = clock::render_http_date(clock::wall_ms() / 1_000);
    let put = request("PUT", &format!("\"{}\"", "x".repeat(98)));
    let mut out = Vec::new();
    assert_eq!(answer(&app, &put, &date, &mut out), 201);
    let wire = if method == "PUT" { put } else { request(method, "") };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        out.clear();
        assert_eq!(answer(&app, black_box(&wire), &date, &mut out), 200);
    });
}
