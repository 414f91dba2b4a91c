//! Disk errors injected into the real binary, once and for good, in each call of each thread.

use super::crowd::{Crowd, PROJECTS, keys_of, options};
use super::every_operation::{killed_while_writing, strike_everywhere};
use super::strace::{self, Attached};
use super::{Tally, sampled};
use crate::harness::{GLOBAL_KEY, Server, grouped, wait_until};

/// What is injected where: thread, call, errors.
const FAULTS: [(&str, &str, &[&str]); 9] = [
    ("writer", "pwrite64", &["EIO", "ENOSPC", "EDQUOT"]),
    ("writer", "fdatasync", &["EIO", "ENOSPC"]),
    ("maintenance", "openat", &["EIO", "ENOSPC", "EMFILE"]),
    ("maintenance", "pwrite64", &["EIO", "ENOSPC"]),
    ("maintenance", "fdatasync", &["EIO", "ENOSPC"]),
    ("maintenance", "fsync", &["EIO"]),
    ("maintenance", "/^rename", &["EIO", "ENOSPC"]),
    ("maintenance", "/^unlink", &["EIO"]),
    ("admin-0", "fdatasync", &["EIO"]),
];

/// A thread and the fault as behind strace's `inject=`.
struct Case {
    thread: &'static str,
    fault: String,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (thread, call, errors) in FAULTS {
        // A checkpoint has three or four of each; the writer's are all alike.
        let nths: &[usize] = if thread == "maintenance" { &[1, 2, 3, 4, 6] } else { &[1, 7] };
        for error in errors {
            for nth in nths {
                for when in [format!("{nth}"), format!("{nth}+")] {
                    cases.push(Case { thread, fault: format!("{call}:error={error}:when={when}") });
                }
            }
        }
    }
    cases
}

/// Answers to writers in which there are some checkpoints of each project.
const ANSWERS: usize = 2_500;
/// Answers in which there is none, which would write again what is missing in a journal.
const ANSWERS_BEFORE_CHECKPOINTS: usize = 300;

fn put_status(server: &Server, project: &str) -> u16 {
    let target = format!("{}/after", keys_of(project));
    server.request("PUT", &target, Some(GLOBAL_KEY), &[], b"1").status
}

/// Once the disk is well a project takes writes again by itself, or says 503 until a restart.
fn check_that_it_continues(server: &Server, case: &Case) -> usize {
    let ready = server.request("GET", "/readyz", None, &[], b"").status;
    let mut failed = 0;
    for project in PROJECTS {
        let mut status = 0;
        wait_until("a write is taken or refused for good", || {
            status = put_status(server, project);
            status != 507
        });
        failed += usize::from(status == 503);
        assert!(matches!(status, 200 | 201 | 503), "{}: {project}: {status}", case.fault);
        if status == 503 {
            assert_eq!(ready, 503, "{}: /readyz names a project that failed", case.fault);
        } else {
            let target = format!("{}/after", keys_of(project));
            let deleted = server.request("DELETE", &target, Some(GLOBAL_KEY), &[], b"");
            assert_eq!(deleted.status, 204, "{}", case.fault);
        }
    }
    failed
}

#[test]
fn disk_errors_lose_no_acknowledged_change_and_stop_no_reads() {
    if !strace::is_usable() {
        return;
    }
    let mut tally = Tally::of("EIO, ENOSPC, EDQUOT, EMFILE in each call of writer and checkpoints");
    let mut server = Server::start_as(options());
    let mut crowd = Crowd::new(8, 3, 11).with_large_values();
    let cases = sampled(cases(), 9);
    let mut stopped = 0;
    for case in &cases {
        let attached = Attached::to(&server, case.thread, Some(&case.fault));
        let answers = if case.thread == "writer" { ANSWERS_BEFORE_CHECKPOINTS } else { ANSWERS };
        crowd.perform(server.port, |stage| stage.end_after(answers));
        drop(attached);
        assert!(!server.has_ended(), "{}: {}", case.fault, server.stderr_text());
        stopped += usize::from(check_that_it_continues(&server, case) > 0);
        server.kill();
        server.start_again();
        crowd.check(&server, &mut tally);
    }
    assert!(crowd.failed_reads.is_empty(), "reads failed: {:?}", crowd.failed_reads);
    let (full, failed) = crowd.refused();
    assert!(full + failed > 0, "some writes met the errors");
    tally.cycles = cases.len();
    tally.notes = format!(
        "{} writes answered 507, {failed} answered 503; {stopped} times a project took no more writes until the \
         restart; {} reads, none failed",
        grouped(full),
        grouped(crowd.reads)
    );
    tally.finish();
}

#[test]
fn a_start_that_meets_an_error_at_any_operation_loses_nothing() {
    if !strace::is_usable() {
        return;
    }
    for (error, name) in [
        ("EIO", "EIO at every operation of a start after a crash, and of a clean shutdown"),
        ("ENOSPC", "ENOSPC at every operation of a start after a crash, and of a clean shutdown"),
    ] {
        let (mut server, crowd) = killed_while_writing(12);
        strike_everywhere(
            &|point| format!("{}:error={error}:when={}", point.call, point.nth),
            name,
            &mut server,
            &crowd,
            6,
        );
    }
}

/// The writer's first write that is cut short by a limit on the size of files, and what follows. The server
/// survives SIGXFSZ, cuts off what was written and answers as on a full disk.
#[test]
fn a_short_write_is_cut_off_and_answered_507() {
    let mut tally = Tally::of("short writes (a limit on the size of files, then EFBIG)");
    let sizes: Vec<u32> = (0..24).map(|step| 3 + step * 2).collect();
    let sizes = sampled(sizes, 3);
    let (mut full, mut torn, mut ended) = (0, 0, 0);
    for size in &sizes {
        let mut server = Server::start_as(options());
        server.kill();
        let mut crowd = Crowd::new(8, 0, u64::from(*size));
        // POSIX: in units of 512 bytes.
        let limited = format!("ulimit -f {}; exec \"$0\" \"$@\"", size * 2);
        let wrapper = ["sh", "-c", &limited].map(str::to_owned);
        assert!(server.start_again_through(&wrapper), "{}", server.stderr_text());
        crowd.perform(server.port, |stage| stage.end_after(ANSWERS));
        let refused = crowd.refused();
        assert!(refused.0 > 0 && refused.1 == 0, "507 only: {refused:?}");
        full += refused.0;
        ended += usize::from(server.has_ended());
        server.kill();
        server.start_again();
        torn += server.stderr_text().matches("torn end").count();
        crowd.check(&server, &mut tally);
    }
    tally.cycles = sizes.len();
    tally.notes = format!(
        "{} writes answered 507; {torn} torn ends were left for the next start; {ended} processes ended",
        grouped(full)
    );
    assert_eq!((torn, ended), (0, 0));
    tally.finish();
}
