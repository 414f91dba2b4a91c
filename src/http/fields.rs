//! The fields of a head: their grammar (by `httparse`) and the meaning of those that decide how a connection continues:
//! Host, Content-Length, Transfer-Encoding, Connection, Expect. Here is also the check that Content-Type appears once.

use crate::digits;
use crate::http::field_name::FieldName;
use crate::http::refusal::{Malformed, Refusal};
use crate::http::request::{Field, Framing, Span, Version};
use crate::http::target::is_authority;
use crate::limits::FIELDS_MAX;

/// Most requests have no more fields. Only for the others is space for [`FIELDS_MAX`] initialized.
const FIELDS_USUAL: usize = 24;
const _: () = assert!(FIELDS_USUAL < FIELDS_MAX);

/// Parses the fields of `head`, which begin at `start` and end with the empty line, each line ended by CR LF.
pub(super) fn parse(head: &[u8], start: usize) -> Result<Vec<Field>, Refusal> {
    let parsed = match parse_up_to::<FIELDS_USUAL>(head, start) {
        Err(httparse::Error::TooManyHeaders) => parse_up_to::<FIELDS_MAX>(head, start),
        usual => usual,
    };
    parsed.map_err(|error| match error {
        httparse::Error::TooManyHeaders => Refusal::FieldsTooMany,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => Refusal::Malformed(diagnose(head.get(start..).unwrap_or_default())),
    })
}

fn parse_up_to<const COUNT: usize>(head: &[u8], start: usize) -> Result<Vec<Field>, httparse::Error> {
    let mut slots = [httparse::EMPTY_HEADER; COUNT];
    let span = |part| Span::of(part, head);
    let bytes = head.get(start..).unwrap_or_default();
    match httparse::parse_headers(bytes, &mut slots)? {
        httparse::Status::Complete((end, fields)) if end == bytes.len() => Ok(fields
            .iter()
            .map(|field| Field { name: span(field.name.as_bytes()), value: span(field.value) })
            .collect()),
        httparse::Status::Complete(_) | httparse::Status::Partial => Err(httparse::Error::NewLine),
    }
}

/// Finds what `httparse` refused: the first line that is not a field.
fn diagnose(bytes: &[u8]) -> Malformed {
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).find_map(diagnose_line).unwrap_or(Malformed::FieldColonMissing)
}

fn diagnose_line(line: &[u8]) -> Option<Malformed> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Some(Malformed::FieldFolded);
    }
    let Some((name, value)) =
        line.split_at_checked(line.iter().position(|&b| b == b':').unwrap_or(usize::MAX))
    else {
        return Some(Malformed::FieldColonMissing);
    };
    if name.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Some(Malformed::FieldSpaceBeforeColon);
    }
    if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
        return Some(Malformed::FieldName);
    }
    let byte = value.iter().copied().find(|&byte| byte != b'\t' && byte.is_ascii_control())?;
    Some(Malformed::FieldValue { name: FieldName::of(name), byte })
}

/// The error of a field line that ends with LF alone; `line` has no line end.
pub(super) fn diagnose_bare_lf(line: &[u8]) -> Malformed {
    let name = line.split(|&byte| byte == b':').next().filter(|name| name.len() < line.len());
    match name.filter(|name| !name.is_empty() && name.iter().copied().all(is_token_byte)) {
        Some(name) => Malformed::FieldValue { name: FieldName::of(name), byte: b'\n' },
        None => Malformed::BareLf,
    }
}

/// A byte of a token (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(super) struct Meaning<'b> {
    pub host: Option<&'b str>,
    pub framing: Framing,
    pub persistent: bool,
    pub expects_continue: bool,
}

/// Reads the fields that decide how the connection continues. Ambiguous fields are refused, because a proxy before this
/// server may have understood them in another way.
pub(super) fn interpret<'b>(
    fields: &[Field],
    head: &'b [u8],
    version: Version,
) -> Result<Meaning<'b>, Refusal> {
    let mut host = None;
    let mut length = None;
    let mut codings = Codings::default();
    let (mut has_close, mut has_keep_alive, mut expects_continue) = (false, false, false);
    let mut has_type = false;
    for field in fields {
        let (name, value) = (field.name.in_bytes(head), field.value.in_bytes(head));
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is(b"host") => {
                let first = host.replace(parse_host(value)?).is_none();
                first.then_some(()).ok_or(Malformed::HostTwice)?;
            }
            6 if is(b"expect") => expects_continue = parse_expect(value, version)?,
            10 if is(b"connection") => {
                for option in elements(value) {
                    has_close |= option.eq_ignore_ascii_case(b"close");
                    has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            12 if is(b"content-type") => {
                let first = !std::mem::replace(&mut has_type, true);
                first.then_some(()).ok_or(Malformed::TypeTwice)?;
            }
            14 if is(b"content-length") => {
                let first = length.replace(parse_length(value)?).is_none();
                first.then_some(()).ok_or(Malformed::LengthTwice)?;
            }
            17 if is(b"transfer-encoding") => codings.add(value)?,
            _ => {}
        }
    }
    if host.is_none() && version == Version::Http11 {
        return Err(Malformed::HostMissing.into());
    }
    let framing = decide_framing(length, &codings, version)?;
    let persistent = match version {
        Version::Http11 => !has_close,
        Version::Http10 => has_keep_alive && !has_close,
    };
    let expects_continue = expects_continue && !matches!(framing, Framing::None | Framing::Length(0));
    Ok(Meaning { host, framing, persistent, expects_continue })
}

fn decide_framing(length: Option<u64>, codings: &Codings, version: Version) -> Result<Framing, Refusal> {
    match (length, codings.present, version) {
        (None, false, _) => Ok(Framing::None),
        (Some(bytes), false, _) => Ok(Framing::Length(bytes)),
        (Some(_), true, _) => Err(Malformed::LengthAndCoding.into()),
        (None, true, Version::Http10) => Err(Malformed::CodingInHttp10.into()),
        (None, true, Version::Http11) if codings.unknown => Err(Refusal::CodingUnknown),
        (None, true, Version::Http11) => Ok(Framing::Chunked),
    }
}

/// The transfer codings of all `Transfer-Encoding` fields together.
#[derive(Default)]
struct Codings {
    present: bool,
    chunked: bool,
    unknown: bool,
}

impl Codings {
    fn add(&mut self, value: &[u8]) -> Result<(), Malformed> {
        self.present = true;
        for coding in elements(value) {
            if coding.is_empty() {
                return Err(Malformed::CodingEmpty);
            }
            if self.chunked {
                return Err(Malformed::CodingAfterChunked);
            }
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.chunked |= is_chunked;
            self.unknown |= !is_chunked;
        }
        Ok(())
    }
}

/// The elements of a comma-separated list, without the white space around them.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn parse_host(value: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(value).ok().filter(|text| is_authority(text)).ok_or(Malformed::Host)
}

fn parse_length(value: &[u8]) -> Result<u64, Malformed> {
    digits::decode_u64(value).ok_or(Malformed::Length)
}

/// An expectation of an HTTP/1.0 client is ignored (RFC 9110, section 10.1.1).
fn parse_expect(value: &[u8], version: Version) -> Result<bool, Refusal> {
    match version {
        Version::Http10 => Ok(false),
        Version::Http11 if elements(value).all(|one| one.eq_ignore_ascii_case(b"100-continue")) => Ok(true),
        Version::Http11 => Err(Refusal::ExpectationUnknown),
    }
}
