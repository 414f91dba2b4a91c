//! What a soak has seen, as Markdown tables.

use super::samples::Life;
use super::work::Tally;
use crate::harness::grouped;
use std::fmt::Write;
use std::time::Duration;

/// Everything that was counted.
#[derive(Default)]
pub struct Summary {
    pub seed: u64,
    pub elapsed: Duration,
    pub kills: u64,
    pub recoveries: u64,
    pub failed_starts: u64,
    pub hangups: u64,
    /// Acknowledged writes of `sync: interval` that a kill took, as it may.
    pub lost_as_allowed: u64,
    /// What was wrong, if something was.
    pub failure: Option<String>,
    pub lives: Vec<Life>,
    pub tally: Tally,
}

impl Tally {
    pub fn add(&mut self, other: &mut Tally) {
        self.requests += other.requests;
        self.connections += other.connections;
        self.writes_acknowledged += other.writes_acknowledged;
        self.reads_micros.append(&mut other.reads_micros);
        self.writes_micros.append(&mut other.writes_micros);
        *other = Tally::default();
    }
}

impl Summary {
    /// Two tables: the whole, and one row for each life.
    pub fn render(&mut self) -> String {
        let mut out = String::from("\n| What | Figure |\n|---|---|\n");
        let mut row = |what: &str, figure: String| writeln!(out, "| {what} | {figure} |").unwrap();
        let tally = &mut self.tally;
        row("time, seed", format!("{} s, {}", grouped(self.elapsed.as_secs()), self.seed));
        row("requests; connections", format!("{}; {}", grouped(tally.requests), grouped(tally.connections)));
        row("writes acknowledged", grouped(tally.writes_acknowledged));
        row("`kill -9`, recoveries checked", format!("{}, {}", self.kills, self.recoveries));
        row("reloads (SIGHUP)", self.hangups.to_string());
        let lost = self.failure.clone().unwrap_or_else(|| "0".to_owned());
        row("lost, invented or wrongly answered", lost);
        row("taken by a kill if `sync` is `interval`", grouped(self.lost_as_allowed));
        row("failed starts", self.failed_starts.to_string());
        row("reads, p50 / p99 / worst", quantiles(&mut tally.reads_micros));
        row("writes, p50 / p99 / worst", quantiles(&mut tally.writes_micros));
        let resident = |life: Option<&Life>| life.map_or(0, Life::resident_kib_at_end);
        let most = self.lives.iter().map(Life::resident_kib_max).max().unwrap_or_default();
        let (first, last) = (resident(self.lives.first()), resident(self.lives.last()));
        row(
            "memory at the end of the first life / of the last / most",
            format!("{} / {} / {} KiB", grouped(first), grouped(last), grouped(most)),
        );
        let descriptors = self.lives.iter().map(|life| life.maximum(|sample| sample.descriptors)).max();
        row("descriptors, most", descriptors.unwrap_or_default().to_string());
        self.render_lives(&mut out);
        out
    }

    fn render_lives(&self, out: &mut String) {
        out.push_str(
            "\n| Life | Start | Memory at the end, KiB | Most | Growth in the second half, KiB a minute \
             | Descriptors | Threads | Data directory, KiB |\n|---|---|---|---|---|---|---|---|\n",
        );
        for (number, life) in self.lives.iter().enumerate() {
            writeln!(
                out,
                "| {} | {} ms | {} | {} | {:+.1} | {} | {} | {} |",
                number + 1,
                life.start.as_millis(),
                grouped(life.resident_kib_at_end()),
                grouped(life.resident_kib_max()),
                life.resident_kib_per_minute(),
                life.maximum(|sample| sample.descriptors),
                life.maximum(|sample| sample.threads),
                grouped(life.maximum(|sample| sample.data_bytes) / 1_024),
            )
            .unwrap();
        }
    }
}

fn quantiles(micros: &mut [u32]) -> String {
    micros.sort_unstable();
    let ms = |percent: usize| {
        let at = (micros.len() * percent / 100).min(micros.len().saturating_sub(1));
        f64::from(micros.get(at).copied().unwrap_or_default()) / 1_000.0
    };
    format!("{:.2} / {:.2} / {:.1} ms", ms(50), ms(99), ms(100))
}
