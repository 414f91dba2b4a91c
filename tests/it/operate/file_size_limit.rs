//! The file-size limit of the process: a write above it is refused, and the server lives.

use crate::harness::{PATIENCE, Server, holds_within};

#[test]
fn write_above_the_file_size_limit_is_507_and_later_ones_work() {
    let mut server = Server::start_known();
    server.terminate();
    let limited = ["sh", "-c", "ulimit -f 64 && exec \"$0\" \"$@\""].map(str::to_owned);
    assert!(server.start_again_through(&limited));
    let large = format!("\"{}\"", "x".repeat(200_000));
    for _ in 0..3 {
        server.put_demo("large", &large).problem(507, "disk_full");
    }
    server.await_stderr("file-size limit");
    assert_eq!(server.put_demo("small", "1").status, 201);
    assert_eq!(server.get_demo("large").status, 404);
    let ready = || server.request("GET", "/readyz", None, &[], b"").status == 200;
    assert!(holds_within(PATIENCE, ready), "{}", server.stderr_text());
    assert_eq!(server.terminate().code(), Some(0));
    server.start_again();
    assert_eq!(server.get_demo("small").text(), "1");
}

#[test]
fn the_processor_time_limit_causes_a_clean_shutdown() {
    let mut server = Server::start_known();
    server.signal("XCPU");
    assert_eq!(server.await_exit().code(), Some(0));
    assert!(server.stderr_text().contains("processor-time limit"), "{}", server.stderr_text());
}
