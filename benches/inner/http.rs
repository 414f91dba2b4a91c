//! Heads and bodies of requests, heads of responses.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use pikv::testing::http::body::BodyDecoder;
use pikv::testing::http::head::{self, Progress};
use pikv::testing::http::request::{Framing, Method, Version};
use pikv::testing::http::response::{
    BodySize, Reply, Response, encode_chunk, encode_head, encode_last_chunk,
};
use pikv::testing::limits::{BODY_BYTES_MAX_DEFAULT, HEAD_BYTES_MAX};

const CURL: &str = "GET /api/v1/projects/first_project/keys/hello HTTP/1.1\r\n\
    Host: 127.0.0.1:23849\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\
    X-API-Key: pikv_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ\r\n\r\n";

const BROWSER: &str = "GET /dashboard HTTP/1.1\r\nHost: pikv.example.org\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"141\", \"Not?A_Brand\";v=\"8\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: https://pikv.example.org/api/login\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdefghijklmnopqrstuvwxyzABCDEFG\r\n\r\n";

#[divan::bench(args = ["curl", "browser"], sample_size = 1_000)]
fn head_parse(bencher: Bencher<'_, '_>, client: &str) {
    let wire = if client == "curl" { CURL } else { BROWSER };
    bencher.counter(BytesCount::of_str(wire)).bench(|| {
        let mut progress = Progress::default();
        head::parse(black_box(wire.as_bytes()), HEAD_BYTES_MAX, &mut progress).is_ok()
    });
}

/// A body of 64 KiB in chunks of so many bytes.
#[divan::bench(args = [16, 1024, 16 * 1024])]
fn chunk_decode(bencher: Bencher<'_, '_>, chunk_bytes: usize) {
    let content = vec![b'x'; 64 * 1024];
    let mut wire = Vec::new();
    content.chunks(chunk_bytes).for_each(|chunk| encode_chunk(chunk, &mut wire));
    encode_last_chunk(&mut wire);
    bencher.counter(BytesCount::of_slice(&wire)).with_inputs(Vec::new).bench_local_refs(|out| {
        let mut decoder = BodyDecoder::new(Framing::Chunked, BODY_BYTES_MAX_DEFAULT).unwrap();
        decoder.decode(black_box(&wire), out).unwrap();
    });
}

#[divan::bench(sample_size = 1_000)]
fn response_head_encode(bencher: Bencher<'_, '_>) {
    let response =
        Response::new(200).field("content-type", "application/json").field("etag", "\"1764000000017\"");
    let reply = Reply {
        method: Method::Get,
        version: Version::Http11,
        persistent: true,
        body: BodySize::Known(152),
        date: "Sun, 06 Nov 1994 08:49:37 GMT",
    };
    let extra = [("x-request-id", "3f6c01aa-0-1")];
    let mut out = Vec::new();
    encode_head(&response, &reply, &extra, &mut out);
    bencher.counter(BytesCount::of_slice(&out)).bench_local(|| {
        out.clear();
        encode_head(black_box(&response), &reply, &extra, &mut out)
    });
}
