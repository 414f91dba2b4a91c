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

/// User and system time that the processes have used so far, seconds.
///
/// # Errors
/// One of them does not exist.
pub fn processor_seconds(process_ids: &[u32]) -> Outcome<f64> {
    let mut ticks = 0.0;
    for id in process_ids {
        let fields = stat_fields(*id)?;
        // utime and stime, the fields 14 and 15 of proc_pid_stat(5); the list begins with the third.
        for place in [11, 12] {
            let number = fields.get(place).and_then(|text| text.parse::<f64>().ok());
            ticks += number.ok_or_else(|| failure(format!("process {id} without times")))?;
        }
    }
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// `process_id` and the ids of its children.
///
/// # Errors
/// The processes cannot be listed.
pub fn with_children(process_id: u32) -> Outcome<Vec<u32>> {
    let mut ids = vec![process_id];
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Another process may end meanwhile.
        let Ok(fields) = stat_fields(id) else { continue };
        if fields.get(1).is_some_and(|parent| *parent == process_id.to_string()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The fields of `/proc/PID/stat` after the name, which may have spaces and parentheses in it.
fn stat_fields(process_id: u32) -> Outcome<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or_else(|| failure("a process without a name"))?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
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
    fn processor_time_grows_while_this_process_works() {
        let own = std::process::id();
        let before = processor_seconds(&[own]).unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < std::time::Duration::from_secs(20) {
            if processor_seconds(&[own]).unwrap() > before {
                return;
            }
        }
        panic!("no processor time");
    }

    #[test]
    fn children_are_found_by_their_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let ids = with_children(std::process::id()).unwrap();
        assert!(ids.contains(&std::process::id()) && ids.contains(&child.id()), "{ids:?}");
        child.kill().unwrap();
        child.wait().unwrap();
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
