//! The media types that a client prefers, from its `Accept` fields (RFC 9110, section 12.5.1).

use crate::http::request::Head;

/// The weights, in thousandths, of the media ranges that decide between a page and JSON. `None` for an absent range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept {
    html: Option<u16>,
    json: Option<u16>,
    any: Option<u16>,
}

/// The weight of a range without one.
const WEIGHT_MAX: u16 = 1_000;

impl Accept {
    pub(crate) fn of(head: &Head<'_>) -> Accept {
        let mut accept = Accept::default();
        for field in head.fields("accept") {
            let field = String::from_utf8_lossy(field).to_ascii_lowercase();
            for range in field.split(',') {
                accept.add(range);
            }
        }
        accept
    }

    fn add(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let weight = match parts.next() {
            Some("text/html") => &mut self.html,
            Some("application/json") => &mut self.json,
            // Java's default has `*` instead of `*/*`.
            Some("*/*" | "*") => &mut self.any,
            Some(_) | None => return,
        };
        let written = parts.find_map(|parameter| parameter.strip_prefix("q=")).and_then(parse_weight);
        *weight = (*weight).max(Some(written.unwrap_or(WEIGHT_MAX)));
    }

    /// Whether it names HTML, and with a higher weight than JSON and than any other type.
    pub(crate) fn prefers_html(self) -> bool {
        self.html.is_some_and(|html| html > self.json.unwrap_or(0).max(self.any.unwrap_or(0)))
    }

    /// Whether it names JSON, and not HTML with a higher weight.
    pub(crate) fn names_json(self) -> bool {
        self.json.is_some_and(|json| json > 0 && json >= self.html.unwrap_or(0))
    }
}

/// `0.8`, `1`, or `.2` as Java writes it, in thousandths; `None` for an invalid weight.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if text.is_empty() || !matches!(whole, "" | "0" | "1") || fraction.len() > 3 || !is_number(fraction) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    let whole = if whole == "1" { WEIGHT_MAX } else { 0 };
    Some((whole + thousandths).min(WEIGHT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::parse_complete;

    fn accept(field: &str) -> Accept {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {field}\r\n\r\n");
        Accept::of(&parse_complete(wire.as_bytes()).unwrap())
    }

    #[test]
    fn html_with_the_highest_weight_is_preferred() {
        for field in [
            "text/html",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            "TEXT/HTML;level=1;Q=0.5, */*;q=0.4",
            "application/json;q=0.5, text/html",
            "image/png,text/html",
        ] {
            assert!(accept(field).prefers_html(), "{field}");
        }
        for field in [
            "",
            "*/*",
            "text/html;q=0",
            "text/html;q=0.0",
            "text/html, */*",
            "text/html;q=0.1, */*",
            "text/html, application/json",
            "text/html;q=0.9, application/json",
            "text/*",
            "text/htm",
            "application/xhtml+xml",
        ] {
            assert!(!accept(field).prefers_html(), "{field}");
        }
    }

    #[test]
    fn json_is_named_unless_html_weighs_more() {
        for field in ["application/json", "application/json, text/plain, */*", "application/json, text/html"]
        {
            assert!(accept(field).names_json(), "{field}");
        }
        for field in
            ["", "*/*", "application/json;q=0", "application/json;q=0.5, text/html", "application/ld+json"]
        {
            assert!(!accept(field).names_json(), "{field}");
        }
    }

    #[test]
    fn weights_are_thousandths() {
        for (text, weight) in [
            ("1", Some(1_000)),
            ("0", Some(0)),
            ("0.8", Some(800)),
            (".2", Some(200)),
            ("0.125", Some(125)),
            ("1.000", Some(1_000)),
            ("1.9", Some(1_000)),
            ("0.", Some(0)),
            ("", None),
            ("2", None),
            ("0.1234", None),
            ("-1", None),
            ("0.x", None),
        ] {
            assert_eq!(parse_weight(text), weight, "{text:?}");
        }
    }
}
