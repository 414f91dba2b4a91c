//! Access tokens: JSON Web Tokens that this server issues and accepts, and the key that signs them.
//!
//! ```text
//! token = base64url(header) "." base64url(payload) "." base64url(HMAC-SHA256 of all before this dot)
//! ```
//! The signature is verified before anything in a token is read: the algorithm in its header decides
//! nothing. The JSON is then read strictly, as if someone else had the key.
//!
//! Not here: whether the account exists and the credential is its current one.
//! Source: RFC 7515, RFC 7519 with the cautions of RFC 8725; base64url of RFC 4648 without padding.

use crate::json;
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_SECONDS_MAX};
use crate::secret::{MASK, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ctutils::CtEq;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::borrow::Cow;
use std::fmt;

const ALGORITHM: &str = "HS256";
const TYPE: &str = "JWT";
const ISSUER: &str = "pikv";
const AUDIENCE: &str = "pikv";
/// See [`SigningKey::mac`].
const PURPOSE: &str = "jwt";

/// 32 random bytes that sign what this server issues and later accepts. Shows as `***`.
pub struct SigningKey([u8; 32]);

/// The content of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user name.
    pub subject: String,
    /// The id of the credential of the account when the token was issued (claim `cid`). A new password
    /// has a new id.
    pub credential: String,
    /// Seconds since 1970.
    pub issued_s: u64,
    /// The first second at which it is invalid, since 1970; later than `issued_s`.
    pub expires_s: u64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not three parts of base64url with two dots between.
    Malformed,
    /// It was not signed with this key.
    Signature,
    /// It was signed with this key, but is not an access token of this server.
    Claims,
    Expired,
    NotYetValid,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: Cow<'a, str>,
    typ: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    iss: Cow<'a, str>,
    aud: Cow<'a, str>,
    sub: Cow<'a, str>,
    cid: Cow<'a, str>,
    iat: u64,
    exp: u64,
    #[serde(default, deserialize_with = "json::present", skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
}

impl SigningKey {
    pub fn new(bytes: [u8; 32]) -> SigningKey {
        SigningKey(bytes)
    }

    /// The text of the key file, 43 characters of base64url without a line end.
    pub fn encode(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Parses the text of [`SigningKey::encode`], which may have one `\n` at its end.
    pub fn parse(text: &str) -> Option<SigningKey> {
        let digits = text.strip_suffix('\n').unwrap_or(text);
        let bytes = URL_SAFE_NO_PAD.decode(digits).ok()?;
        Some(SigningKey(bytes.try_into().ok()?))
    }

    /// HMAC-SHA256 of `message` under a key that is derived for `purpose`, so that a signature for one
    /// purpose is never valid for another. To be compared in constant time.
    pub fn mac(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&hmac_sha256(&self.0, purpose.as_bytes()), message)
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    hmac.chain_update(message).finalize().into_bytes().into()
}

/// A token with `claims`. [`verify`] accepts it if `expires_s` is later than `issued_s` and the names are short
/// enough for [`TOKEN_BYTES_MAX`].
pub fn issue(key: &SigningKey, claims: &Claims) -> Secret {
    let header = Header { alg: ALGORITHM.into(), typ: TYPE.into() };
    let payload = Payload {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: claims.subject.as_str().into(),
        cid: claims.credential.as_str().into(),
        iat: claims.issued_s,
        exp: claims.expires_s,
        nbf: None,
    };
    let mut token = format!("{}.{}", encode(&header), encode(&payload));
    let signature = key.mac(PURPOSE, token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Secret::new(token)
}

fn encode(part: &impl Serialize) -> String {
    let Ok(json) = serde_json::to_vec(part) else { unreachable!("text and numbers are always JSON") };
    URL_SAFE_NO_PAD.encode(json)
}

/// The claims of `token`, if it was signed with `key` and is valid at `now_s` (seconds since 1970), with a leeway of
/// [`TOKEN_LEEWAY_SECONDS_MAX`].
pub fn verify(key: &SigningKey, token: &[u8], now_s: u64) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let parts = split(token).ok_or(TokenError::Malformed)?;
    if !key.mac(PURPOSE, parts.signed).ct_eq(&parts.signature).to_bool() {
        return Err(TokenError::Signature);
    }
    check_header(&parts.header)?;
    let payload: Payload<'_> = parse_object(&parts.payload)?;
    check_payload(&payload, now_s)?;
    Ok(Claims {
        subject: payload.sub.into_owned(),
        credential: payload.cid.into_owned(),
        issued_s: payload.iat,
        expires_s: payload.exp,
    })
}

/// The beginning of every token: `{"` in base64url, because the header is an object.
const TOKEN_START: &[u8] = b"eyJ";

/// Whether a credential has the form of a token rather than of an API key: [`TOKEN_START`], two dots, and otherwise
/// only digits of base64url.
pub fn looks_like_token(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.starts_with(TOKEN_START)
        && text.iter().filter(|byte| **byte == b'.').count() == 2
        && text.iter().all(|byte| *byte == b'.' || is_digit(byte))
}

struct Parts<'a> {
    /// The token up to its second dot.
    signed: &'a [u8],
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: [u8; 32],
}

/// Splits and decodes a token; the crate refuses padding, white space and bits after the last byte.
fn split(token: &[u8]) -> Option<Parts<'_>> {
    let mut dots = (0..).zip(token).filter(|(_, byte)| **byte == b'.').map(|(index, _)| index);
    let (first, second, None) = (dots.next()?, dots.next()?, dots.next()) else { return None };
    let decode = |part: Option<&[u8]>| URL_SAFE_NO_PAD.decode(part?).ok();
    Some(Parts {
        signed: token.get(..second)?,
        header: decode(token.get(..first))?,
        payload: decode(token.get(first + 1..second))?,
        signature: decode(token.get(second + 1..))?.try_into().ok()?,
    })
}

/// Only `alg` and `typ` are allowed: `kid`, `jku`, `jwk`, `x5u`, `x5c` would name another key, and `crit` demands
/// extensions, of which this server has none.
fn check_header(json: &[u8]) -> Result<(), TokenError> {
    let header: Header<'_> = parse_object(json)?;
    if header.alg == ALGORITHM && header.typ == TYPE { Ok(()) } else { Err(TokenError::Claims) }
}

fn check_payload(payload: &Payload<'_>, now_s: u64) -> Result<(), TokenError> {
    if payload.iss != ISSUER || payload.aud != AUDIENCE || payload.exp <= payload.iat {
        return Err(TokenError::Claims);
    }
    let earliest_s = payload.nbf.unwrap_or(0).max(payload.iat);
    if now_s.saturating_add(TOKEN_LEEWAY_SECONDS_MAX) < earliest_s {
        return Err(TokenError::NotYetValid);
    }
    // Subtracted, because adding to `exp` may overflow.
    if now_s.saturating_sub(TOKEN_LEEWAY_SECONDS_MAX) >= payload.exp {
        return Err(TokenError::Expired);
    }
    Ok(())
}

/// An object with nothing around it. serde alone would also accept an array of the members in their order.
fn parse_object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, TokenError> {
    match json {
        [b'{', .., b'}'] => serde_json::from_slice(json).map_err(|_| TokenError::Claims),
        _ => Err(TokenError::Claims),
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
