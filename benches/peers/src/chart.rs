//! The chart: throughput as bars, the cost of a write against the number of keys as curves on
//! logarithmic scales. An SVG with a background of its own, readable on light and dark pages.

use std::fmt::Write as _;

use crate::campaign::Curve;
use crate::table::{Figure, Row, Unit, render};

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const NAMES_WIDTH: f64 = 275.0;
const FIGURES_WIDTH: f64 = 90.0;
const BAR_HEIGHT: f64 = 22.0;
const BAR_DISTANCE: f64 = 30.0;
const TITLE_HEIGHT: f64 = 44.0;
const PLOT_HEIGHT: f64 = 300.0;
const PLOT_LEFT: f64 = 90.0;
/// Right of the plot, for the names of the curves.
const PLOT_RIGHT: f64 = 210.0;
/// Between the names of two curves that end beside each other.
const LINE_HEIGHT: f64 = 18.0;
const AXIS_HEIGHT: f64 = 60.0;

const OURS: &str = "#b3470b";
const THEIRS: &str = "#7d8ca3";
const CURVES: [&str; 4] = [OURS, "#2b6cb0", "#5b6470", "#2f855a"];
const TEXT: &str = "#1c2530";
const FAINT: &str = "#dfe4ea";

/// Draws what there is: a group of bars for each name in `groups` that rows have, and the curves.
pub fn render_chart(groups: &[&str], rows: &[Row], curves: &[Curve]) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for group in groups {
        let bars = bars_of(group, rows);
        if !bars.is_empty() {
            top = draw_bars(&mut body, top, group, &bars);
        }
    }
    if curves.iter().any(|curve| !curve.points.is_empty()) {
        top = draw_curves(&mut body, top, curves);
    }
    let height = top + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, sans-serif\" font-size=\"14\" fill=\"{TEXT}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Ours first, then theirs in the order of the table.
fn bars_of<'a>(group: &str, rows: &'a [Row]) -> Vec<(&'a str, f64)> {
    let median = |figure: &Figure| match figure {
        Figure::Measured(spread) => Some(spread.median),
        Figure::Missing(_) | Figure::None => None,
    };
    let rows = || rows.iter().filter(|row| row.what == group);
    let ours: Vec<f64> = rows().filter_map(|row| median(&row.ours)).collect();
    let ours = crate::statistics::Spread::of(&ours).map(|spread| ("PiKV", spread.median));
    let theirs = rows().filter_map(|row| Some((row.against.as_str(), median(&row.theirs)?)));
    ours.into_iter().chain(theirs).collect()
}

/// Returns where the next thing may begin.
fn draw_bars(body: &mut String, top: f64, title: &str, bars: &[(&str, f64)]) -> f64 {
    draw_title(body, top, &format!("{title}: answers a second"));
    let longest = bars.iter().map(|bar| bar.1).fold(1.0, f64::max);
    let room = WIDTH - 2.0 * MARGIN - NAMES_WIDTH - FIGURES_WIDTH;
    let mut y = top + TITLE_HEIGHT;
    for (index, (name, value)) in bars.iter().enumerate() {
        let (color, weight) = if index == 0 { (OURS, "bold") } else { (THEIRS, "normal") };
        let (x, width) = (MARGIN + NAMES_WIDTH, (value / longest * room).max(1.0));
        let baseline = y + BAR_HEIGHT * 0.72;
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{baseline:.1}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\n\
             <rect x=\"{x}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" rx=\"2\" \
             fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{baseline:.1}\" font-weight=\"{weight}\">{}</text>",
            x - 10.0,
            escape(name),
            x + width + 8.0,
            render(*value, Unit::Count),
        );
        y += BAR_DISTANCE;
    }
    y + MARGIN
}

fn draw_curves(body: &mut String, top: f64, curves: &[Curve]) -> f64 {
    draw_title(
        body,
        top,
        "Time per durable PUT against keys stored, 64 connections (both scales logarithmic)",
    );
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let decades = |values: &mut dyn Iterator<Item = f64>| {
        let exponents: Vec<f64> = values.map(f64::log10).collect();
        let low = exponents.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        (low, high.max(low + 1.0))
    };
    let (x_low, x_high) = decades(&mut points().map(|point| count(point.0)));
    let (y_low, y_high) = decades(&mut points().map(|point| point.1));
    let plot_top = top + TITLE_HEIGHT;
    let plot_width = WIDTH - PLOT_LEFT - PLOT_RIGHT;
    let x_of = |exponent: f64| PLOT_LEFT + (exponent - x_low) / (x_high - x_low) * plot_width;
    let y_of = |exponent: f64| plot_top + (y_high - exponent) / (y_high - y_low) * PLOT_HEIGHT;
    let mut exponent = x_low;
    while exponent <= x_high {
        let (x, bottom) = (x_of(exponent), plot_top + PLOT_HEIGHT);
        let label = render(10f64.powf(exponent), Unit::Count);
        let _ = writeln!(
            body,
            "<path d=\"M{x:.1} {plot_top:.1}V{bottom:.1}\" stroke=\"{FAINT}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 20.0,
        );
        exponent += 1.0;
    }
    exponent = y_low;
    while exponent <= y_high {
        let y = y_of(exponent);
        let label = escape(&duration(10f64.powf(exponent)));
        let _ = writeln!(
            body,
            "<path d=\"M{PLOT_LEFT} {y:.1}H{:.1}\" stroke=\"{FAINT}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            PLOT_LEFT + plot_width,
            PLOT_LEFT - 8.0,
            y + 5.0,
        );
        exponent += 1.0;
    }
    let places: Vec<Vec<(f64, f64)>> = curves
        .iter()
        .map(|curve| curve.points.iter().map(|p| (x_of(count(p.0).log10()), y_of(p.1.log10()))).collect())
        .collect();
    draw_lines(body, curves, &places);
    let middle = PLOT_LEFT + plot_width / 2.0;
    let _ = writeln!(
        body,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">keys stored</text>",
        plot_top + PLOT_HEIGHT + 44.0
    );
    plot_top + PLOT_HEIGHT + AXIS_HEIGHT
}

/// Each with its name beside its last point, or a line below where another's is there.
fn draw_lines(body: &mut String, curves: &[Curve], places: &[Vec<(f64, f64)>]) {
    let mut names = Vec::new();
    for ((curve, places), color) in curves.iter().zip(places).zip(CURVES.iter().cycle()) {
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2.5\"/>",
            line.join(" ")
        );
        for (x, y) in places {
            let _ = writeln!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>");
        }
        if let (Some((x, y)), Some((_, last))) = (places.last(), curve.points.last()) {
            names.push((*x, *y, format!("{} {}", curve.name, duration(*last)), color));
        }
    }
    names.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut lowest: Vec<(f64, f64)> = Vec::new();
    for (x, y, name, color) in names {
        let above = lowest.iter().filter(|place| place.0 == x).map(|place| place.1 + LINE_HEIGHT);
        let y = above.fold(y, f64::max);
        lowest.push((x, y));
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\" font-weight=\"bold\">{}</text>",
            x + 12.0,
            y + 5.0,
            escape(&name),
        );
    }
}

fn draw_title(body: &mut String, top: f64, title: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{MARGIN}\" y=\"{:.1}\" font-size=\"16\" font-weight=\"bold\">{}</text>",
        top + 18.0,
        escape(title)
    );
}

/// `microseconds` in the unit that makes it short.
fn duration(microseconds: f64) -> String {
    if microseconds < 1000.0 {
        render(microseconds, Unit::Microseconds)
    } else if microseconds < 1_000_000.0 {
        render(microseconds / 1000.0, Unit::Milliseconds)
    } else {
        render(microseconds / 1_000_000.0, Unit::Seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of keys are far below 2 to the power of 52")]
fn count(keys: u64) -> f64 {
    keys as f64
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Spread;
    use crate::table::Bar;

    fn row(against: &str, ours: f64, theirs: Figure) -> Row {
        Row {
            what: "GET".to_owned(),
            against: against.to_owned(),
            unit: Unit::PerSecond,
            ours: Figure::Measured(Spread::single(ours)),
            theirs,
            bar: Bar::Shown,
            note: String::new(),
        }
    }

    #[test]
    fn bars_are_ours_and_every_rival_that_was_measured() {
        let rows = [
            row("axum, Mutex<BTreeMap>", 30.0, Figure::Measured(Spread::single(20.0))),
            row("webdis", 50.0, Figure::Missing("not there".to_owned())),
            row("whole file", 40.0, Figure::Measured(Spread::single(5.0))),
        ];
        let expected = vec![("PiKV", 40.0), ("axum, Mutex<BTreeMap>", 20.0), ("whole file", 5.0)];
        assert_eq!(bars_of("GET", &rows), expected);
        assert_eq!(bars_of("PUT", &rows), Vec::new());
        let svg = render_chart(&["GET", "PUT"], &rows, &[]);
        assert!(svg.contains("axum, Mutex&lt;BTreeMap&gt;") && !svg.contains("PUT"), "{svg}");
    }

    #[test]
    fn curves_lie_within_the_drawing() {
        let curve =
            |name: &str, points: &[(u64, f64)]| Curve { name: name.to_owned(), points: points.to_vec() };
        let curves = [
            curve("PiKV", &[(10, 27.0), (1_000_000, 31.0)]),
            curve("whole file", &[(10, 900.0), (100_000, 61_000.0)]),
        ];
        let svg = render_chart(&[], &[], &curves);
        let circles: Vec<&str> = svg.lines().filter(|line| line.starts_with("<circle")).collect();
        assert_eq!(circles.len(), 4);
        for circle in circles {
            let numbers: Vec<f64> = circle.split('"').filter_map(|part| part.parse().ok()).collect();
            assert!((PLOT_LEFT..=WIDTH - PLOT_RIGHT).contains(&numbers[0]), "{circle}");
            assert!((0.0..=PLOT_HEIGHT + TITLE_HEIGHT + MARGIN).contains(&numbers[1]), "{circle}");
        }
        assert!(
            svg.contains("whole file 61 ms") && svg.contains("PiKV 31 µs") && svg.contains(">1,000,000<")
        );
    }
}
