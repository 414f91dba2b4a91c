//! Access tokens: taken are those that this server made, and what is signed with its key is read as
//! strictly as docs/SECURITY.md says.
//!
//! The first byte of the input decides: `{` begins a payload that is signed with the key, with a
//! header of its own before it where there is a line end; `#` begins claims and changes to the token
//! that is issued for them; everything else is a token as it came.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pikv::testing::auth::jwt::{Claims, SigningKey, TokenError, issue, looks_like_token, verify};
use pikv::testing::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_SECONDS_MAX};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;

const KEY: [u8; 32] = [7; 32];
const HEADER: &[u8] = br#"{"alg":"HS256","typ":"JWT"}"#;
const PURPOSE: &str = "jwt";
/// Moments that tokens are looked at: never, in between, at the end of all times.
const NOW_S: [u64; 5] = [0, 1_700_000_000, 1_700_003_600, u64::MAX - 1, u64::MAX];

/// Takes `data` as the module says.
pub fn check(data: &[u8]) {
    match data {
        [b'{', ..] => check_signed(data),
        [b'#', script @ ..] => check_issued(script),
        token => check_stranger(token),
    }
    check_key_text(data);
}

fn key() -> SigningKey {
    SigningKey::new(KEY)
}

/// A token from outside: nobody makes a signature by chance.
fn check_stranger(token: &[u8]) {
    for now_s in NOW_S {
        let result = verify(&key(), token, now_s);
        let is_whole = parts(token).is_some();
        match result {
            Err(TokenError::TooLong) => assert!(token.len() > TOKEN_BYTES_MAX),
            Err(TokenError::Malformed) => assert!(!is_whole),
            Err(TokenError::Signature) => assert!(is_whole),
            taken => panic!("{taken:?}"),
        }
        assert!(!is_whole || token.len() > TOKEN_BYTES_MAX || result == Err(TokenError::Signature));
    }
    if looks_like_token(token) {
        assert!(token.starts_with(b"eyJ") && token.is_ascii() && token.split(|b| *b == b'.').count() == 3);
    }
}

/// The three parts of a token decoded, where each is the only text for its bytes.
fn parts(token: &[u8]) -> Option<[Vec<u8>; 3]> {
    let parts: Vec<Vec<u8>> =
        token.split(|byte| *byte == b'.').map(decode_base64url).collect::<Option<_>>()?;
    parts.try_into().ok().filter(|parts: &[Vec<u8>; 3]| parts[2].len() == 32)
}

/// base64url (RFC 4648, section 5) bit by bit. No padding, no bits that are left over.
fn decode_base64url(text: &[u8]) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut bit_count) = (Vec::new(), 0_u32, 0);
    for byte in text {
        bits = bits << 6 | DIGITS.iter().position(|digit| digit == byte)? as u32;
        bit_count += 6;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push((bits >> bit_count) as u8);
            bits &= (1 << bit_count) - 1;
        }
    }
    (bits == 0 && bit_count < 6).then_some(bytes)
}

/// What somebody could make who has the key.
fn signed(header: &[u8], payload: &[u8]) -> String {
    let parts = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key().mac(PURPOSE, parts.as_bytes()));
    format!("{parts}.{signature}")
}

fn check_signed(data: &[u8]) {
    let (header, payload) = match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (HEADER, data),
    };
    let token = signed(header, payload);
    for now_s in NOW_S {
        let expected = if token.len() > TOKEN_BYTES_MAX {
            Err(TokenError::TooLong)
        } else {
            judge(header, payload, now_s)
        };
        assert_eq!(verify(&key(), token.as_bytes(), now_s), expected, "at {now_s}: {token}");
    }
    let other_key = SigningKey::new([8; 32]);
    assert!(verify(&other_key, token.as_bytes(), NOW_S[1]).is_err(), "another key's");
}

/// What has to come of a payload, by the members that it has.
fn judge(header: &[u8], payload: &[u8], now_s: u64) -> Result<Claims, TokenError> {
    let header = members(header).ok_or(TokenError::Claims)?;
    let payload = members(payload).ok_or(TokenError::Claims)?;
    let is_header = header.len() == 2
        && header.contains(&("alg".to_owned(), Value::from("HS256")))
        && header.contains(&("typ".to_owned(), Value::from("JWT")));
    let known = ["iss", "aud", "sub", "cid", "iat", "exp", "nbf"];
    if !is_header || !payload.iter().all(|(name, _)| known.contains(&name.as_str())) {
        return Err(TokenError::Claims);
    }
    let value = |name: &str| payload.iter().find(|member| member.0 == name).map(|member| &member.1);
    let text = |name| value(name).and_then(Value::as_str).ok_or(TokenError::Claims);
    let number = |name| value(name).and_then(Value::as_u64).ok_or(TokenError::Claims);
    let (issued_s, expires_s) = (number("iat")?, number("exp")?);
    let not_before_s = if value("nbf").is_some() { number("nbf")? } else { 0 };
    let claims =
        Claims { subject: text("sub")?.to_owned(), credential: text("cid")?.to_owned(), issued_s, expires_s };
    let leeway_s = i128::from(TOKEN_LEEWAY_SECONDS_MAX);
    let [now, issued, expires] = [now_s, issued_s.max(not_before_s), expires_s].map(i128::from);
    if text("iss")? != "pikv" || text("aud")? != "pikv" || expires_s <= issued_s {
        Err(TokenError::Claims)
    } else if issued > now + leeway_s {
        Err(TokenError::NotYetValid)
    } else if expires <= (now - leeway_s).max(0) {
        Err(TokenError::Expired)
    } else {
        Ok(claims)
    }
}

/// The members of an object with nothing around it and no name twice.
fn members(json: &[u8]) -> Option<Vec<(String, Value)>> {
    let is_bare = json.starts_with(b"{") && json.ends_with(b"}");
    let members = serde_json::from_slice::<Members>(json).ok().filter(|_| is_bare)?.0;
    let is_twice = |name: &str| members.iter().filter(|member| member.0 == name).count() > 1;
    let has_twice = members.iter().any(|member| is_twice(&member.0));
    (!has_twice).then_some(members)
}

/// An object as it is written, with members that are there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct EveryMember;
        impl<'de> Visitor<'de> for EveryMember {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(EveryMember)
    }
}

/// Issues a token for the claims that `script` begins with, then changes it as the rest says.
fn check_issued(script: &[u8]) {
    let Some((numbers, rest)) = script.split_at_checked(9) else { return };
    let (text, changes) = rest.split_at(rest.len() / 2);
    let issued_s = numbers[..8].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let lifetime_s = u64::from(numbers[8]) + 1;
    let claims = Claims {
        subject: String::from_utf8_lossy(text).into_owned(),
        credential: format!("c{}", text.len()),
        issued_s: issued_s.min(u64::MAX - lifetime_s),
        expires_s: issued_s.min(u64::MAX - lifetime_s) + lifetime_s,
    };
    let issued = issue(&key(), &claims);
    let token = issued.reveal();
    if token.len() > TOKEN_BYTES_MAX {
        assert_eq!(verify(&key(), token.as_bytes(), claims.issued_s), Err(TokenError::TooLong));
        return;
    }
    for now_s in [claims.issued_s, claims.expires_s - 1] {
        assert_eq!(verify(&key(), token.as_bytes(), now_s).as_ref(), Ok(&claims), "at {now_s}");
    }
    let late_s = claims.expires_s.checked_add(TOKEN_LEEWAY_SECONDS_MAX);
    if let Some(late_s) = late_s {
        assert_eq!(verify(&key(), token.as_bytes(), late_s), Err(TokenError::Expired));
    }
    if let Some(early_s) = claims.issued_s.checked_sub(TOKEN_LEEWAY_SECONDS_MAX + 1) {
        assert_eq!(verify(&key(), token.as_bytes(), early_s), Err(TokenError::NotYetValid));
    }
    assert!(looks_like_token(token.as_bytes()));
    check_changed(token, changes, claims.issued_s);
}

/// Fails where a token is still taken after a byte of it was changed, put in or taken out.
fn check_changed(token: &str, changes: &[u8], now_s: u64) {
    let mut changed = token.as_bytes().to_vec();
    for change in changes.chunks_exact(4) {
        let at = (usize::from(change[0]) << 8 | usize::from(change[1])) % changed.len().max(1);
        let byte = change[3];
        match change[2] % 4 {
            0 if at < changed.len() => changed[at] = byte,
            1 => changed.insert(at, byte),
            2 if at < changed.len() => drop(changed.remove(at)),
            3 => changed.truncate(at),
            _ => {}
        }
        if changed != token.as_bytes() {
            assert!(verify(&key(), &changed, now_s).is_err(), "{}", changed.escape_ascii());
        }
    }
}

/// Key files have one form.
fn check_key_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(key) = SigningKey::parse(text) {
        assert_eq!(key.encode().reveal(), text.strip_suffix('\n').unwrap_or(text));
    }
}
