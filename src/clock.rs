//! The two clocks: wall time for expiry and dates, monotonic time for deadlines.
//!
//! Nothing else asks the operating system for the time; everything below `server` takes it as
//! an argument, so that tests decide what time it is.

#![expect(clippy::disallowed_methods, reason = "this file is where the clocks are read")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z. A clock before 1970 reads as 0.
pub fn wall_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A point on the clock that never goes back.
pub fn monotonic() -> Instant {
    Instant::now()
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
}
