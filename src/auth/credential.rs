//! The credential of a request: an API key or a token, in any of the header fields that may carry one.
//!
//! `Authorization: Basic` (RFC 7617) carries it as the password. But a proxy in front of this server may ask for
//! Basic too, and pass it on: if there is another credential, Basic is the proxy's.

use super::access::Denied;
use super::api_key;
use crate::http::request::Head;
use crate::secret::KeyHash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// What a client sent to authenticate itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential<'b> {
    /// An API key or a token. Empty if a field has none, as from a variable that is not set.
    pub text: Cow<'b, [u8]>,
    pub sent_as: SentAs,
}

/// How a credential was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAs {
    /// In a field that only a program sets. A page of another site cannot make a browser send it.
    Explicit,
    /// As the password of `Authorization: Basic`, which a browser adds to the requests of any page.
    Basic,
}

enum Authorization<'b> {
    Key(&'b [u8]),
    Basic(&'b [u8]),
}

impl Credential<'_> {
    /// The hash of the credential, read as an API key.
    pub fn key_hash(&self) -> Result<KeyHash, Denied> {
        api_key::hash_sent(&self.text)
    }
}

/// The credential of a request. `has_session` states whether the request has a session cookie.
pub(crate) fn credential<'h>(
    head: &'h Head<'_>,
    has_session: impl Fn() -> bool,
) -> Result<Option<Credential<'h>>, Denied> {
    let mut found: Option<Credential<'h>> = None;
    let mut add = |text: Cow<'h, [u8]>, sent_as| match &found {
        Some(before) if before.text != text => Err(Denied::Conflict),
        Some(_) => Ok(()),
        None => {
            found = Some(Credential { text, sent_as });
            Ok(())
        }
    };
    let mut has_key_field = false;
    for key in head.fields("x-api-key").chain(head.fields("api-key")) {
        has_key_field = true;
        add(Cow::Borrowed(key), SentAs::Explicit)?;
    }
    for value in head.fields("authorization") {
        match parse(value)? {
            Authorization::Key(key) => add(Cow::Borrowed(key), SentAs::Explicit)?,
            Authorization::Basic(_) if has_key_field || has_session() => {}
            Authorization::Basic(encoded) => add(Cow::Owned(decode_password(encoded)?), SentAs::Basic)?,
        }
    }
    Ok(found)
}

/// Whether the fields show that a program sent this request: browsers do not add keys by themselves.
pub(crate) fn is_from_program(head: &Head<'_>) -> bool {
    let is_basic = |value| matches!(parse(value), Ok(Authorization::Basic(_)));
    head.fields("x-api-key").chain(head.fields("api-key")).next().is_some()
        || head.fields("authorization").any(|value| !is_basic(value))
}

/// `Bearer K`, `Basic …` or just `K`.
fn parse(value: &[u8]) -> Result<Authorization<'_>, Denied> {
    let space = value.iter().position(|&byte| byte == b' ');
    match space.and_then(|space| value.split_at_checked(space)) {
        None if value.eq_ignore_ascii_case(b"bearer") => Ok(Authorization::Key(b"")),
        None if value.eq_ignore_ascii_case(b"basic") => Ok(Authorization::Basic(b"")),
        None => Ok(Authorization::Key(value)),
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer") => {
            Ok(Authorization::Key(key.trim_ascii()))
        }
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case(b"basic") => {
            Ok(Authorization::Basic(encoded.trim_ascii()))
        }
        Some(_) => Err(Denied::SchemeUnknown),
    }
}

/// The text after the first colon: a user name has no colon.
fn decode_password(encoded: &[u8]) -> Result<Vec<u8>, Denied> {
    let mut password = STANDARD.decode(encoded).map_err(|_| Denied::BasicMalformed)?;
    let colon = password.iter().position(|&byte| byte == b':').ok_or(Denied::BasicMalformed)?;
    password.drain(..=colon);
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::parse_complete;

    fn found(fields: &[&str], has_session: bool) -> Result<Option<(String, SentAs)>, Denied> {
        let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = parse_complete(wire.as_bytes()).unwrap();
        let credential = credential(&head, || has_session)?;
        Ok(credential.map(|c| (String::from_utf8(c.text.into_owned()).unwrap(), c.sent_as)))
    }

    fn basic(text: &str) -> String {
        format!("Authorization: Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_carries_the_credential_as_its_password() {
        for (text, password) in [("a:K", "K"), (":K", "K"), ("a:K:L", "K:L"), ("a:", ""), (":", "")] {
            assert_eq!(
                found(&[&basic(text)], false),
                Ok(Some((password.to_owned(), SentAs::Basic))),
                "{text}"
            );
        }
        let lower = basic("a:K").replace("Basic", "basic ");
        assert_eq!(found(&[&lower], false), Ok(Some(("K".to_owned(), SentAs::Basic))));
    }

    #[test]
    fn malformed_basic_is_refused() {
        for value in ["Basic", "Basic %%%", "Basic YQ", "Basic YQ==", "Basic YTpL YTpL"] {
            let field = format!("Authorization: {value}");
            assert_eq!(found(&[&field], false), Err(Denied::BasicMalformed), "{value}");
        }
    }

    #[test]
    fn a_scheme_alone_is_no_key() {
        for field in ["Authorization: Bearer", "Authorization: bearer  ", "Authorization:", "X-API-Key:"] {
            assert_eq!(found(&[field], false), Ok(Some((String::new(), SentAs::Explicit))), "{field}");
        }
    }

    #[test]
    fn basic_next_to_a_key_field_or_a_session_belongs_to_a_proxy() {
        let proxys = basic("pi:raspberry");
        let explicit = Ok(Some(("K".to_owned(), SentAs::Explicit)));
        assert_eq!(found(&[&proxys, "X-API-Key: K"], false), explicit);
        assert_eq!(found(&["Api-Key: K", &proxys], false), explicit);
        assert_eq!(found(&[&proxys], true), Ok(None));
        assert_eq!(found(&["Authorization: Basic %", "X-API-Key: K"], false), explicit);
        assert_eq!(found(&["Authorization: Bearer K"], true), explicit, "only Basic is the proxy's");
        assert_eq!(found(&["Authorization: Bearer L", "X-API-Key: K"], false), Err(Denied::Conflict));
    }

    #[test]
    fn requests_with_a_key_or_a_token_are_from_programs() {
        let is_program = |field: &str| {
            let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
            is_from_program(&parse_complete(wire.as_bytes()).unwrap())
        };
        for field in [
            "X-API-Key: K",
            "Api-Key:",
            "Authorization: K",
            "Authorization: Bearer K",
            "Authorization: Digest x",
        ] {
            assert!(is_program(field), "{field}");
        }
        assert!(!is_program(&basic("pi:raspberry")) && !is_program("Cookie: a=b"));
    }
}
