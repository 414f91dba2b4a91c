//! What the server takes of the machine, sampled while it works, and whether that stays flat.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What a process takes at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the start of the process.
    pub age: Duration,
    pub resident_kib: u64,
    pub descriptors: u64,
    pub threads: u64,
    pub data_bytes: u64,
}

impl Sample {
    /// Looks at the process `pid` and its data directory; `None` where the system does not tell.
    pub fn take(pid: u32, data: &Path, age: Duration) -> Option<Sample> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        let files = fs::read_dir(data).ok()?;
        // A file may go between being listed and being looked at.
        let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
        Some(Sample {
            age,
            resident_kib: figure("VmRSS:")?,
            descriptors,
            threads: figure("Threads:")?,
            data_bytes: sizes.sum(),
        })
    }
}

/// From one start to the kill.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub samples: Vec<Sample>,
    /// From spawning the process to its listening.
    pub start: Duration,
}

impl Life {
    /// The samples of the second half: until then caches, buffers and the heaps of the threads fill.
    fn settled(&self) -> &[Sample] {
        &self.samples[self.samples.len() / 2..]
    }

    /// The median of the last fifth, KiB.
    pub fn resident_kib_at_end(&self) -> u64 {
        let mut last: Vec<u64> =
            self.samples[self.samples.len() * 4 / 5..].iter().map(|sample| sample.resident_kib).collect();
        last.sort_unstable();
        last.get(last.len() / 2).copied().unwrap_or_default()
    }

    pub fn resident_kib_max(&self) -> u64 {
        self.samples.iter().map(|sample| sample.resident_kib).max().unwrap_or_default()
    }

    /// Slope of the line through the settled samples by least squares, KiB a minute.
    pub fn resident_kib_per_minute(&self) -> f64 {
        let points =
            self.settled().iter().map(|sample| (sample.age.as_secs_f64(), sample.resident_kib as f64));
        let points: Vec<_> = points.collect();
        let count = points.len().max(1) as f64;
        let mean = |values: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(values).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(&|point| point.0), mean(&|point| point.1));
        let spread = points.iter().map(|point| (point.0 - mean_x).powi(2)).sum::<f64>();
        let common = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum::<f64>();
        if spread > 0.0 { common / spread * 60.0 } else { 0.0 }
    }

    pub fn maximum(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(of).max().unwrap_or_default()
    }
}

/// Lives shorter than this are not judged: their buffers are still filling.
const JUDGED_SECONDS_MIN: f64 = 120.0;
/// Lives shorter than this are compared with one another only, for the same reason: with 13,000 requests
/// a minute it takes a few hundred thousand until the heap of each thread has met its largest load.
const GROWTH_JUDGED_SECONDS_MIN: f64 = 600.0;
/// What a life may grow by in its second half, KiB a minute: five bytes for each of its requests.
const GROWTH_KIB_PER_MINUTE_MAX: f64 = 64.0;
/// What the end of the last life may have more than the end of the first, KiB.
const LAST_BEYOND_FIRST_KIB_MAX: u64 = 2_048;
/// Descriptors that the last life may have more than the first.
const DESCRIPTORS_BEYOND_FIRST_MAX: u64 = 16;

/// Whether memory, descriptors, threads and files stayed flat.
///
/// # Errors
/// What did not.
pub fn judge(lives: &[Life]) -> Result<(), String> {
    let length = |life: &Life| life.samples.last().map_or(0.0, |sample| sample.age.as_secs_f64());
    let (Some(first), Some(last)) = (lives.first(), lives.last()) else { return Ok(()) };
    if lives.iter().any(|life| length(life) < JUDGED_SECONDS_MIN) {
        return Ok(());
    }
    let long = lives.iter().filter(|life| length(life) >= GROWTH_JUDGED_SECONDS_MIN);
    let most = long.map(Life::resident_kib_per_minute).fold(0.0, f64::max);
    if most > GROWTH_KIB_PER_MINUTE_MAX {
        return Err(format!("memory grows by {most:.0} KiB a minute"));
    }
    let (begin, end) = (first.resident_kib_at_end(), last.resident_kib_at_end());
    if end > begin + LAST_BEYOND_FIRST_KIB_MAX {
        return Err(format!("memory grows from life to life: {begin} KiB became {end} KiB"));
    }
    let most = |life: &Life, of: fn(&Sample) -> u64| life.maximum(of);
    let (begin, end) = (most(first, |sample| sample.descriptors), most(last, |sample| sample.descriptors));
    if end > begin + DESCRIPTORS_BEYOND_FIRST_MAX {
        return Err(format!("{begin} descriptors became {end}"));
    }
    if most(first, |sample| sample.threads) != most(last, |sample| sample.threads) {
        return Err("the number of threads is another one".to_owned());
    }
    let (begin, end) = (most(first, |sample| sample.data_bytes), most(last, |sample| sample.data_bytes));
    if end > 2 * begin {
        return Err(format!("the data directory grows: {begin} bytes became {end}"));
    }
    Ok(())
}

/// A life of ten minutes with a sample each 10 seconds.
fn life(resident_kib: impl Fn(u64) -> u64, descriptors: u64, data_bytes: u64) -> Life {
    let sample = |number: u64| Sample {
        age: Duration::from_secs(10 * number),
        resident_kib: resident_kib(number),
        descriptors,
        threads: 9,
        data_bytes,
    };
    Life { samples: (1..=60).map(sample).collect(), start: Duration::ZERO }
}

#[test]
fn constant_memory_passes_after_any_beginning() {
    let flat = |extra| life(move |number| 8_000 + 200 * number.min(25) + number % 3 * 40 + extra, 30, 1_000);
    judge(&[flat(0), flat(300), flat(600)]).unwrap();
    assert!(flat(0).resident_kib_per_minute().abs() < 100.0);
    judge(&[life(|number| 8_000 + number * 1_000, 30, 1_000)].map(|mut short| {
        short.samples.truncate(3);
        short
    }))
    .unwrap();
}

#[test]
fn growth_is_found() {
    let flat = || life(|_| 8_000, 30, 1_000);
    let leaking = life(|number| 8_000 + number * 20, 30, 1_000);
    for (lives, said) in [
        (vec![flat(), leaking, flat()], "memory grows by 120 KiB a minute"),
        (vec![flat(), life(|_| 12_000, 30, 1_000)], "from life to life"),
        (vec![flat(), life(|_| 8_000, 60, 1_000)], "30 descriptors became 60"),
        (vec![flat(), life(|_| 8_000, 30, 3_000)], "the data directory grows"),
    ] {
        let found = judge(&lives).unwrap_err();
        assert!(found.contains(said), "{found} should say {said}");
    }
}
