use super::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc;

const LINE: RequestLine<'_> = RequestLine {
    wall_ms: 951_782_400_000,
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    method: "PUT",
    path: "/api/v1/projects/a/keys/b",
    status: 201,
    bytes: 123,
    micros: 85,
    request_id: "4f2a91c0-17",
};

fn request(line: &RequestLine<'_>, format: Format) -> String {
    let mut out = Vec::new();
    render_request(line, format, &mut out);
    String::from_utf8(out).unwrap()
}

fn word(path: &str) -> String {
    let text = request(&RequestLine { path, ..LINE }, Format::TextUntimed);
    assert_eq!(text.matches('\n').count(), 1);
    text.split(' ').nth(2).unwrap().to_owned()
}

fn diagnostic(text: &str, format: Format) -> String {
    let mut out = Vec::new();
    render_diagnostic(951_782_400_000, Level::Warn, format_args!("{text}"), format, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn requests_are_rendered_in_each_format() {
    let untimed = "127.0.0.1 PUT /api/v1/projects/a/keys/b 201 123 85us 4f2a91c0-17\n";
    assert_eq!(request(&LINE, Format::TextUntimed), untimed);
    assert_eq!(request(&LINE, Format::Text), format!("2000-02-29T00:00:00.000Z {untimed}"));
    assert_eq!(
        request(&LINE, Format::Json),
        "{\"time\":\"2000-02-29T00:00:00.000Z\",\"address\":\"127.0.0.1\",\"method\":\"PUT\",\
         \"path\":\"/api/v1/projects/a/keys/b\",\"status\":201,\"bytes\":123,\"micros\":85,\
         \"request_id\":\"4f2a91c0-17\"}\n"
    );
}

#[test]
fn addresses_are_rendered_as_people_write_them() {
    for (address, text) in [
        ("0.0.0.0", "0.0.0.0"),
        ("255.20.3.1", "255.20.3.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:0:0::1", "2001:db8::1"),
    ] {
        let line = RequestLine { address: address.parse().unwrap(), ..LINE };
        assert!(request(&line, Format::TextUntimed).starts_with(&format!("{text} PUT ")), "{address}");
    }
}

#[test]
fn a_request_is_one_line_without_control_characters() {
    assert_eq!(word("/a b"), "/a\\x20b");
    assert_eq!(word("/a\"b"), "/a\\\"b");
    assert_eq!(word("/a\\b"), "/a\\\\b");
    assert_eq!(word("/a\r\nb\x1b[31m\0\x7f"), "/a\\r\\nb\\u{1b}[31m\\0\\u{7f}");
    assert_eq!(word("/\"'\\"), "/\\\"'\\\\");
    assert_eq!(word("/é🔑"), "/é🔑");
    assert_eq!(word("/\u{9b}\u{202e}\u{2028}\u{a0}"), "/\\u{9b}\\u{202e}\\u{2028}\\u{a0}");
    let all: String = ('\0'..='\u{2fff}').collect();
    for format in [Format::Text, Format::TextUntimed, Format::Json] {
        for part in all.chars().map(String::from) {
            let line = RequestLine { method: &part, path: &part, request_id: &part, ..LINE };
            let text = request(&line, format);
            assert!(
                text.ends_with('\n') && !text.trim_end_matches('\n').contains(char::is_control),
                "{part:?}"
            );
            if format == Format::Json {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["path"], part);
            } else {
                assert_eq!(text.split(' ').count(), request(&LINE, format).split(' ').count(), "{part:?}");
            }
        }
    }
}

#[test]
fn json_lines_contain_the_given_values() {
    let path: String = ('\0'..='\u{bf}').chain(['\u{202e}', '🔑', '\u{e0001}']).collect();
    let text = request(&RequestLine { path: &path[..250], ..LINE }, Format::Json);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["path"], path[..250]);
    let value: serde_json::Value = serde_json::from_str(&diagnostic(&path, Format::Json)).unwrap();
    assert_eq!((&value["message"], &value["level"]), (&path.into(), &"WARN".into()));
}

#[test]
fn long_paths_are_cut_between_characters() {
    assert_eq!(word(&"x".repeat(256)), "x".repeat(256));
    assert_eq!(word(&"x".repeat(257)), format!("{}…", "x".repeat(256)));
    assert_eq!(word(&format!("{}é", "x".repeat(255))), format!("{}…", "x".repeat(255)));
}

#[test]
fn messages_are_one_line_in_each_format() {
    assert_eq!(
        diagnostic("a \"b\"\n\x1b", Format::Text),
        "2000-02-29T00:00:00.000Z WARN a \"b\"\\n\\u{1b}\n"
    );
    assert_eq!(diagnostic("it's C:\\", Format::TextUntimed), "WARN it's C:\\\n");
    assert_eq!(
        diagnostic("a \"b\"\n", Format::Json),
        "{\"time\":\"2000-02-29T00:00:00.000Z\",\"level\":\"WARN\",\"message\":\"a \\\"b\\\"\\u000a\"}\n"
    );
}

#[test]
fn lines_that_do_not_fit_are_dropped_and_counted() {
    let queue = Queue::new(10);
    let (mut batch, now) = (Vec::new(), clock::monotonic());
    queue.append(b"one\ntwo\nthree\nfour\n");
    queue.append(b"5\n6\n");
    assert_eq!(queue.take(&mut batch, now), 3);
    assert_eq!(batch, b"one\ntwo\n5\n");
    queue.append(b"seven\n");
    assert_eq!((queue.take(&mut batch, now), batch.as_slice()), (0, &b"seven\n"[..]));
    queue.append(b"longer than all the space\n");
    assert_eq!(
        (queue.take(&mut batch, now), batch.as_slice()),
        (1, &b""[..]),
        "the count alone is worth a line"
    );
}

#[test]
fn flushing_waits_for_the_batch_that_is_being_written() {
    let queue = Queue::new(10);
    let moment = Duration::from_millis(1);
    assert!(queue.flush(moment), "nothing to wait for");
    queue.append(b"one\n");
    assert!(!queue.flush(moment), "queued");
    queue.take(&mut Vec::new(), clock::monotonic());
    assert!(!queue.flush(moment), "being written");
}

#[test]
fn lines_are_collected_until_half_the_space_is_used_or_a_thread_waits_for_them() {
    let queue = Queue::new(20);
    let never = clock::monotonic() + Duration::from_secs(1_000);
    let mut batch = Vec::new();
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| {
            queue.take(&mut batch, never);
            batch.clone()
        });
        queue.append(b"one\n");
        queue.append(b"two\n");
        queue.append(b"three\n");
        assert_eq!(taken.join().unwrap(), b"one\ntwo\nthree\n", "ten bytes of twenty and more");
        let taken = scope.spawn(|| {
            let mut batch = Vec::new();
            queue.take(&mut batch, never);
            batch
        });
        queue.append(b"four\n");
        assert!(!queue.flush(Duration::from_millis(1)), "it is not written yet");
        assert_eq!(taken.join().unwrap(), b"four\n");
    });
}

/// A standard error that takes one piece for each permit, and none before.
struct Gate {
    permits: mpsc::Receiver<()>,
    pieces: mpsc::Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.permits.recv().is_err() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let piece = &bytes[..bytes.len().min(7)];
        self.pieces.send(piece.to_owned()).map_err(|_| ErrorKind::BrokenPipe)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_standard_error_loses_lines_and_blocks_no_caller() {
    let queue = std::sync::Arc::new(Queue::new(100));
    let (permits, permits_taken) = mpsc::channel();
    let (pieces_sent, pieces) = mpsc::channel();
    let mut gate = Gate { permits: permits_taken, pieces: pieces_sent };
    let queue_of_thread = queue.clone();
    std::thread::spawn(move || write_forever(&queue_of_thread, Format::TextUntimed, &mut gate));
    for number in 0..1_000 {
        queue.append(format!("line {number:04}\n").as_bytes());
    }
    for _ in 0..1_000 {
        permits.send(()).unwrap();
    }
    assert!(queue.flush(Duration::from_secs(20)));
    let text = String::from_utf8(pieces.try_iter().flatten().collect()).unwrap();
    let written = text.lines().filter(|line| line.starts_with("line ")).count();
    let is_note = |line: &&str| line.ends_with(" log lines dropped: standard error is too slow");
    let dropped =
        text.lines().filter(is_note).map(|line| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap());
    assert!((10..=30).contains(&written), "{text}");
    assert_eq!(written + dropped.sum::<usize>(), 1_000, "{text}");
    assert!(text.starts_with("line 0000\n"));
}

#[test]
fn a_broken_standard_error_drops_the_batch() {
    struct Broken {
        attempts: usize,
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.attempts += 1;
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut broken = Broken { attempts: 0 };
    write_batch(b"one\ntwo\n", &mut broken);
    assert_eq!(broken.attempts, 1);
}

#[test]
fn a_second_start_does_nothing() {
    start(LevelFilter::Warn, Format::Text).unwrap();
    start(LevelFilter::Off, Format::Json).unwrap();
    assert_eq!(::log::max_level(), LevelFilter::Off);
    append(b"");
    flush(Duration::from_secs(20));
}
