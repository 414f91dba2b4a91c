//! What a process uses, from `/proc`.

use std::fs;
use std::io::{self, ErrorKind};

use crate::failure::{Outcome, failure};

/// Memory that is resident, bytes (`VmRSS`).
///
/// # Errors
/// There is no such process.
pub fn resident_bytes(process_id: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process_id}/status"))?;
    let kibibytes = field(&status, "VmRSS:").ok_or_else(|| failure("a process without VmRSS"))?;
    Ok(kibibytes * 1024.0)
}

/// How often all threads of the process together were taken off a processor so far, by waiting or
/// otherwise. A thread that wakes up and waits again is counted; one that ends meanwhile is not.
///
/// # Errors
/// There is no such process.
pub fn context_switches(process_id: u32) -> Outcome<f64> {
    let mut switches = 0.0;
    for thread in fs::read_dir(format!("/proc/{process_id}/task"))? {
        let status = match fs::read_to_string(thread?.path().join("status")) {
            Err(error) if has_ended(&error) => continue,
            status => status?,
        };
        for name in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            switches += field(&status, name).ok_or_else(|| failure("a thread without switches"))?;
        }
    }
    Ok(switches)
}

/// Whether a thread was gone when its status was opened (no such file) or read (no such process).
fn has_ended(error: &io::Error) -> bool {
    const NO_SUCH_PROCESS: i32 = 3;
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}

fn field(status: &str, name: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSS:\t    4321 kB\nnonvoluntary_ctxt_switches:\t2\nvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(4321.0));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(7.0));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches:"), Some(2.0));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_memory_and_switches() {
        let own = std::process::id();
        assert!(resident_bytes(own).unwrap() > 100_000.0);
        let before = context_switches(own).unwrap();
        for _ in 0..100 {
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_micros(10));
        }
        assert!(context_switches(own).unwrap() > before);
    }
}
