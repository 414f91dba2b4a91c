//! A second parser of request heads (RFC 9112, sections 2 to 6), for bytes that are all there.

use super::target::{self, Origin};
use pikv::testing::limits::{FIELDS_MAX, LEADING_EMPTY_LINES_MAX, TARGET_BYTES_MAX};

const METHOD_BYTES_MAX: usize = 32;

/// What the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'b> {
    /// A head, and what follows it.
    Complete(Box<Head>, &'b [u8]),
    /// No end of a head. What it may become is not looked into.
    Incomplete,
    /// No head, or one that has to be refused.
    Bad,
}

/// A head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub method: String,
    pub target_text: Vec<u8>,
    pub target: Target,
    pub is_http_1_1: bool,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    pub authority: Option<String>,
    pub persistent: bool,
    pub expects_continue: bool,
    pub framing: Framing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Asterisk,
    Authority,
    Origin(Origin),
    Bad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// Parses the head at the start of `wire`, of `bytes_max` bytes at most.
pub fn parse(wire: &[u8], bytes_max: usize) -> Verdict<'_> {
    let mut rest = wire;
    for _ in 0..LEADING_EMPTY_LINES_MAX {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Verdict::Incomplete;
    };
    let (head, after) = rest.split_at(end + 4);
    match parse_lines(&head[..end]).filter(|_| head.len() <= bytes_max) {
        Some(head) => Verdict::Complete(Box::new(head), after),
        None => Verdict::Bad,
    }
}

fn parse_lines(head: &[u8]) -> Option<Head> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    lines.push(rest);
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return None;
    }
    let (request_line, field_lines) = lines.split_first()?;
    let parts: Vec<&[u8]> = request_line.split(|&byte| byte == b' ').collect();
    let [method, target_text, version] = parts[..] else { return None };
    let is_http_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return None,
    };
    let is_target = !target_text.iter().any(|&byte| byte < 0x20 || byte == 0x7f);
    let length_fits = (1..=TARGET_BYTES_MAX).contains(&target_text.len());
    if method.len() > METHOD_BYTES_MAX || !is_token(method) || !is_target || !length_fits {
        return None;
    }
    let fields = field_lines.iter().map(|line| parse_field(line)).collect::<Option<Vec<_>>>()?;
    let method = String::from_utf8(method.to_vec()).ok()?;
    interpret(method, target_text, is_http_1_1, fields)
}

fn parse_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_value = value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    let name = String::from_utf8(name.to_vec()).ok().filter(|name| is_token(name.as_bytes()))?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let to = value.iter().rposition(|byte| !is_space(byte)).map_or(from, |last| last + 1);
    is_value.then(|| (name.to_ascii_lowercase(), value[from..to].to_vec()))
}

pub(super) fn is_token(text: &[u8]) -> bool {
    let is_token_byte = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    !text.is_empty() && text.iter().all(is_token_byte)
}

/// The elements of all fields of a name together, in lower case.
fn elements(fields: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    let values = fields.iter().filter(|field| field.0 == name).map(|field| &field.1);
    let elements = values.flat_map(|value| value.split(|&byte| byte == b','));
    elements.map(|one| String::from_utf8_lossy(one).trim_matches([' ', '\t']).to_ascii_lowercase()).collect()
}

fn interpret(
    method: String,
    target_text: &[u8],
    is_http_1_1: bool,
    fields: Vec<(String, Vec<u8>)>,
) -> Option<Head> {
    let values = |name: &'static str| {
        fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_slice())
    };
    let hosts = values("host").map(std::str::from_utf8).collect::<Result<Vec<_>, _>>().ok()?;
    let hosts_fit = hosts.len() == 1 || (hosts.is_empty() && !is_http_1_1);
    if !hosts_fit || !hosts.iter().all(|host| target::is_authority(host)) || fields.len() > FIELDS_MAX {
        return None;
    }
    if values("content-type").count() > 1 {
        return None;
    }
    let lengths: Vec<u64> = values("content-length").map(parse_length).collect::<Option<_>>()?;
    let codings = elements(&fields, "transfer-encoding");
    let framing = match (&lengths[..], &codings[..]) {
        ([], []) => Framing::None,
        ([length], []) => Framing::Length(*length),
        ([], [coding]) if coding == "chunked" && is_http_1_1 => Framing::Chunked,
        _ => return None,
    };
    let expectations = elements(&fields, "expect");
    if is_http_1_1 && expectations.iter().any(|one| one != "100-continue") {
        return None;
    }
    let has_body = !matches!(framing, Framing::None | Framing::Length(0));
    let options = elements(&fields, "connection");
    let says = |option: &str| options.iter().any(|one| one == option);
    let target = match (method.as_str(), target_text) {
        ("CONNECT", _) => Target::Authority,
        ("OPTIONS", b"*") => Target::Asterisk,
        (_, b"*") => return None,
        (_, text) => target::parse(text).map_or(Target::Bad, Target::Origin),
    };
    let own_authority = match &target {
        Target::Origin(origin) => origin.authority.clone(),
        Target::Asterisk | Target::Authority | Target::Bad => None,
    };
    Some(Head {
        method,
        target_text: target_text.to_vec(),
        target,
        is_http_1_1,
        authority: own_authority.or_else(|| hosts.first().map(|host| (*host).to_owned())),
        persistent: !says("close") && (is_http_1_1 || says("keep-alive")),
        expects_continue: is_http_1_1 && has_body && !expectations.is_empty(),
        framing,
        fields,
    })
}

/// Digits without sign, space, leading zero or a value beyond 64 bits.
fn parse_length(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}
