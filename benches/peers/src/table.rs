//! The table: one row per bar, as Markdown and as JSON.

use serde_json::{Value, json};

use crate::statistics::Spread;

/// What a row has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Ours is at least this many times theirs.
    RatioMin(f64),
    /// Ours is at most this many times theirs.
    RatioMax(f64),
    /// Ours is at least this.
    OursMin(f64),
    /// Ours is at most this.
    OursMax(f64),
    /// Only shown beside.
    Shown,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Answers a second.
    PerSecond,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// 1024 * 1024 bytes.
    Mebibytes,
    /// 1024 bytes.
    Kibibytes,
    /// A plain number.
    Count,
}

/// A figure, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// What the rounds came to.
    Measured(Spread),
    /// Why it was not measured.
    Missing(String),
    /// The row has no such figure.
    None,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Beside what.
    pub against: String,
    /// Of both figures.
    pub unit: Unit,
    /// PiKV.
    pub ours: Figure,
    /// The other one.
    pub theirs: Figure,
    /// What the row has to reach.
    pub bar: Bar,
    /// What a reader has to know, may be empty.
    pub note: String,
}

impl Row {
    /// A row that could not be measured, because of `reason`.
    pub fn missing(what: &str, against: &str, bar: Bar, reason: &str) -> Self {
        Self {
            what: what.to_owned(),
            against: against.to_owned(),
            unit: Unit::Count,
            ours: Figure::Missing(reason.to_owned()),
            theirs: Figure::None,
            bar,
            note: String::new(),
        }
    }

    /// Ours divided by theirs, of the medians.
    pub fn ratio(&self) -> Option<f64> {
        match (&self.ours, &self.theirs) {
            (Figure::Measured(ours), Figure::Measured(theirs)) => Some(ours.median / theirs.median),
            _ => None,
        }
    }

    /// Whether the bar holds, `None` where there is none or nothing to compare.
    pub fn holds(&self) -> Option<bool> {
        let ours = match &self.ours {
            Figure::Measured(ours) => Some(ours.median),
            Figure::Missing(_) | Figure::None => None,
        };
        match self.bar {
            Bar::RatioMin(min) => self.ratio().map(|ratio| ratio >= min),
            Bar::RatioMax(max) => self.ratio().map(|ratio| ratio <= max),
            Bar::OursMin(min) => ours.map(|ours| ours >= min),
            Bar::OursMax(max) => ours.map(|ours| ours <= max),
            Bar::Shown => None,
        }
    }

    /// The bar, in words.
    pub fn bar_text(&self) -> String {
        match self.bar {
            Bar::RatioMin(min) => format!("≥ {min} ×"),
            Bar::RatioMax(max) => format!("≤ {max} ×"),
            Bar::OursMin(min) => format!("≥ {}", render(min, self.unit)),
            Bar::OursMax(max) => format!("≤ {}", render(max, self.unit)),
            Bar::Shown => "shown beside".to_owned(),
        }
    }
}

/// The table as Markdown.
pub fn render_markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| What | Against | PiKV (min to max) | Theirs (min to max) | Ratio | Bar | Holds |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let holds = match (row.holds(), row.bar) {
            (Some(true), _) => "yes",
            (Some(false), _) => "**no**",
            (None, Bar::Shown) => "",
            (None, _) => "not measured",
        };
        let ratio = row.ratio().map_or(String::new(), render_ratio);
        let what =
            if row.note.is_empty() { row.what.clone() } else { format!("{} ({})", row.what, row.note) };
        let cells = [
            what,
            row.against.clone(),
            render_figure(&row.ours, row.unit),
            render_figure(&row.theirs, row.unit),
            ratio,
            row.bar_text(),
            holds.to_owned(),
        ];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// The rows as JSON.
pub fn encode_rows(rows: &[Row]) -> Value {
    let figure = |figure: &Figure| match figure {
        Figure::Measured(spread) => {
            json!({"median": spread.median, "min": spread.min, "max": spread.max})
        }
        Figure::Missing(reason) => json!({"not_measured": reason}),
        Figure::None => Value::Null,
    };
    let row = |row: &Row| {
        json!({
            "what": row.what, "against": row.against, "unit": unit_name(row.unit), "note": row.note,
            "ours": figure(&row.ours), "theirs": figure(&row.theirs), "ratio": row.ratio(),
            "bar": row.bar_text(), "holds": row.holds(),
        })
    };
    rows.iter().map(row).collect()
}

fn render_figure(figure: &Figure, unit: Unit) -> String {
    match figure {
        Figure::Measured(spread) if spread.min == spread.max => render(spread.median, unit),
        Figure::Measured(spread) => format!(
            "{} ({} to {})",
            render(spread.median, unit),
            render(spread.min, unit),
            render(spread.max, unit)
        ),
        Figure::Missing(reason) => format!("not measured: {reason}"),
        Figure::None => String::new(),
    }
}

fn render_ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.4} ×") } else { format!("{ratio:.2} ×") }
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::PerSecond => "per second",
        Unit::Microseconds => "µs",
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::Mebibytes => "MiB",
        Unit::Kibibytes => "KiB",
        Unit::Count => "",
    }
}

/// A figure with its unit, three digits or thousands with commas.
pub fn render(value: f64, unit: Unit) -> String {
    let number = if value >= 1000.0 { group(&format!("{value:.0}")) } else { short(value) };
    match unit {
        Unit::PerSecond => format!("{number}/s"),
        Unit::Count => number,
        Unit::Microseconds | Unit::Milliseconds | Unit::Seconds | Unit::Mebibytes | Unit::Kibibytes => {
            format!("{number} {}", unit_name(unit))
        }
    }
}

fn short(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number with commas.
pub fn group_thousands(number: u64) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, theirs: f64, bar: Bar) -> Row {
        Row {
            what: "GET".to_owned(),
            against: "them".to_owned(),
            unit: Unit::PerSecond,
            ours: Figure::Measured(Spread::single(ours)),
            theirs: Figure::Measured(Spread::single(theirs)),
            bar,
            note: String::new(),
        }
    }

    #[test]
    fn a_bar_holds_or_does_not() {
        assert_eq!(row(20.0, 10.0, Bar::RatioMin(2.0)).holds(), Some(true));
        assert_eq!(row(19.9, 10.0, Bar::RatioMin(2.0)).holds(), Some(false));
        assert_eq!(row(10.0, 10.0, Bar::RatioMax(1.0)).holds(), Some(true));
        assert_eq!(row(10.1, 10.0, Bar::RatioMax(1.0)).holds(), Some(false));
        assert_eq!(row(5.0, 0.0, Bar::OursMax(5.0)).holds(), Some(true));
        assert_eq!(row(5.1, 0.0, Bar::OursMax(5.0)).holds(), Some(false));
        assert_eq!(row(24.0, 0.0, Bar::OursMin(25.0)).holds(), Some(false));
        assert_eq!(row(1.0, 1.0, Bar::Shown).holds(), None);
        assert_eq!(Row::missing("GET", "them", Bar::RatioMin(2.0), "no wrk").holds(), None);
    }

    #[test]
    fn a_missing_peer_is_named_in_the_table() {
        let missing = Row::missing("GET", "etcd", Bar::RatioMin(4.0), "install etcd-server");
        let text = render_markdown(&[missing, row(36_329.56, 12_345.0, Bar::RatioMin(2.0))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[2],
            "| GET | etcd | not measured: install etcd-server |  |  | ≥ 4 × | not measured |"
        );
        assert_eq!(lines[3], "| GET | them | 36,330/s | 12,345/s | 2.94 × | ≥ 2 × | yes |");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(render(1_234_567.4, Unit::PerSecond), "1,234,567/s");
        assert_eq!(render(0.5, Unit::Milliseconds), "0.5 ms");
        assert_eq!(render(100.0, Unit::Count), "100");
        assert_eq!(render(12.34, Unit::Mebibytes), "12.3 MiB");
        assert_eq!(render(0.0, Unit::Count), "0");
        assert_eq!(render_ratio(2.36), "2.36 ×");
        assert_eq!(render_ratio(0.00012), "0.0001 ×");
    }
}
