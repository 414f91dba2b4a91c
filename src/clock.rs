//! The two clocks: wall time for expiry and dates, monotonic time for deadlines.
//!
//! Nothing else reads the time from the operating system. `store`, `http` and `auth` take it as an argument, so that
//! tests set it; a handler uses the time at which its request arrived.

#![expect(clippy::disallowed_methods, reason = "only this file reads the clocks")]

use crate::limits::{CLOCK_JUMP_MS_MIN, CLOCK_LOOK_INTERVAL_MS, CLOCK_SLEW_DIVISOR};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z. A clock before 1970 reads as 0.
pub fn wall_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

pub fn monotonic() -> Instant {
    Instant::now()
}

/// Detects that the wall clock was set, by comparing it with the monotonic one at each reading.
///
/// Small differences come from slewing. A machine that sleeps causes a jump, too, because the monotonic clock stops in
/// the meantime.
#[derive(Debug)]
pub struct JumpWatch {
    /// The zero of the monotonic readings.
    epoch: Instant,
    /// Wall clock minus monotonic clock at the last reading, milliseconds.
    difference_ms: AtomicU64,
    /// The time of the last reading, milliseconds after `epoch`.
    looked_ms: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Milliseconds; negative if the clock was set back.
    pub by_ms: i64,
    /// The new time, milliseconds since 1970.
    pub to_ms: u64,
}

impl JumpWatch {
    /// A watch whose first readings are these.
    pub fn new(wall_ms: u64, now: Instant) -> JumpWatch {
        JumpWatch { epoch: now, difference_ms: AtomicU64::new(wall_ms), looked_ms: AtomicU64::new(0) }
    }

    /// The jump since the last reading. Of several threads, only one gets it.
    pub fn look(&self, wall_ms: u64, now: Instant) -> Option<Jump> {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let difference_ms = wall_ms.wrapping_sub(elapsed_ms);
        let before_ms = self.difference_ms.load(Ordering::Relaxed);
        let by_ms = difference_ms.wrapping_sub(before_ms).cast_signed();
        let since_ms = elapsed_ms.saturating_sub(self.looked_ms.load(Ordering::Relaxed));
        if since_ms < CLOCK_LOOK_INTERVAL_MS && by_ms.unsigned_abs() < CLOCK_JUMP_MS_MIN {
            return None; // nothing to write, for the loops that look with each request
        }
        let claimed = self.difference_ms.compare_exchange(
            before_ms,
            difference_ms,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        self.looked_ms.store(elapsed_ms, Ordering::Relaxed);
        let is_jump = by_ms.unsigned_abs() >= CLOCK_JUMP_MS_MIN + since_ms / CLOCK_SLEW_DIVISOR;
        (is_jump && claimed.is_ok()).then_some(Jump { by_ms, to_ms: wall_ms })
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.by_ms < 0 { "back" } else { "forward" };
        let seconds = self.by_ms.unsigned_abs() / 1_000;
        let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
        let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
        let mut to = Vec::new();
        render_rfc3339(self.to_ms, &mut to);
        let to = String::from_utf8_lossy(&to);
        write!(f, "the clock jumped {way} by {days} d {hours} h {minutes} min {seconds} s to {to}")
    }
}

/// Renders milliseconds since 1970 as RFC 3339 UTC with milliseconds, `2026-01-31T23:59:59.000Z`.
/// The year has four digits, as RFC 3339 wants.
///
/// Source of the calendar arithmetic: the civil-from-days algorithm of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
pub fn render_rfc3339(ms: u64, out: &mut Vec<u8>) {
    let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, milli) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    render_padded(year, 1_000, b'-', out);
    render_padded(month, 10, b'-', out);
    render_padded(day, 10, b'T', out);
    render_padded(hour, 10, b':', out);
    render_padded(minute, 10, b':', out);
    render_padded(second, 10, b'.', out);
    render_padded(milli, 100, b'Z', out);
}

/// Renders seconds since 1970 as the date of a header field, `Sun, 06 Nov 1994 08:49:37 GMT`
/// (RFC 9110, section 5.6.7). The year has four digits.
pub fn render_http_date(seconds: u64) -> String {
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    let weekday = name_of(&WEEKDAYS, days % 7);
    let month = name_of(&MONTHS, month - 1);
    format!("{weekday}, {day:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", year % 10_000)
}

/// From the weekday of 1970-01-01 on.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn name_of(names: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

/// Renders the digits of `value` from the one worth `scale` down, then `end`. By hand, because this
/// runs for each request and `write!` takes several times as long.
fn render_padded(value: u64, scale: u64, end: u8, out: &mut Vec<u8>) {
    let mut scale = scale;
    while scale > 0 {
        out.push(b'0' + u8::try_from(value / scale % 10).unwrap_or_default());
        scale /= 10;
    }
    out.push(end);
}

/// Days since 1970-01-01 to (year, month 1..=12, day 1..=31) of the proleptic Gregorian calendar.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jump_is_noticed_once_with_its_size_and_slewing_is_none() {
        let (start, wall_ms) = (Instant::now(), 1_700_000_000_000);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let watch = JumpWatch::new(wall_ms, start);
        assert_eq!(watch.look(wall_ms + 10, at(10)), None);
        let two_years_ms = 2 * 365 * 86_400_000;
        let jump = watch.look(wall_ms + two_years_ms + 20, at(20)).unwrap();
        assert_eq!(jump.by_ms, i64::try_from(two_years_ms).unwrap());
        assert_eq!(
            jump.to_string(),
            "the clock jumped forward by 730 d 0 h 0 min 0 s to 2025-11-13T22:13:20.020Z"
        );
        assert_eq!(watch.look(wall_ms + two_years_ms + 30, at(30)), None, "once");
        let back = watch.look(wall_ms + two_years_ms + 40 - 61_000, at(40)).unwrap();
        assert!(back.to_string().starts_with("the clock jumped back by 0 d 0 h 1 min 1 s"), "{back}");
        // A day without a look, slewed by 500 parts in a million.
        let (day_ms, slewed_ms) = (86_400_000, 43_200);
        let slewed = wall_ms + two_years_ms - 61_000 + 40 + day_ms + slewed_ms;
        assert_eq!(watch.look(slewed, at(40 + day_ms)), None);
        assert_eq!(watch.look(slewed + 5_000, at(40 + day_ms + 5_000)), None);
    }

    fn rendered(ms: u64) -> String {
        let mut out = Vec::new();
        render_rfc3339(ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_are_rendered_as_rfc_3339_in_utc() {
        assert_eq!(rendered(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rendered(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(rendered(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(rendered(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    /// Computed apart from this code, with Python's `email.utils.formatdate`.
    #[test]
    fn dates_of_header_fields_have_the_fixed_length_form() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(render_http_date(seconds), expected);
        }
    }

    #[test]
    fn each_day_of_a_leap_year_has_its_weekday_and_its_month() {
        let dates: Vec<String> = (0..366).map(|day| render_http_date(946_684_800 + day * 86_400)).collect();
        let of_month = |month| dates.iter().filter(|date| date.split(' ').nth(2) == Some(month)).count();
        assert_eq!(MONTHS.map(of_month), [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
        for week in dates.windows(8) {
            assert_eq!(week[0][..3], week[7][..3]);
            assert!(week[1..7].iter().all(|date| date[..3] != week[0][..3]));
        }
    }
}
