//! Access tokens: JSON Web Tokens that this server made for itself, and the key that signs them.
//!
//! ```text
//! token = base64url(header) "." base64url(payload) "." base64url(HMAC-SHA256 of all before this dot)
//! ```
//! Nothing of a token is looked into before its signature is found right: what a token says of its
//! algorithm decides nothing. Even so the JSON is then read strictly, as if somebody else had the key.
//!
//! Not here: whether the account is still there and the credential still its present one.
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
/// What the signing key is used for here.
const PURPOSE: &str = "jwt";

/// 32 random bytes that sign what this server gives out and wants back. Shows as `***`.
pub struct SigningKey([u8; 32]);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is, the user name.
    pub subject: String,
    /// The id of the credential generation that it was made under (claim `cid`): another password
    /// is another generation.
    pub credential: String,
    /// When it was made, seconds since 1970.
    pub issued_s: u64,
    /// From when on it is no longer good, seconds since 1970; later than `issued_s`.
    pub expires_s: u64,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not three parts of base64url with two dots between.
    Malformed,
    /// Its signature is not what this key makes of it.
    Signature,
    /// It was signed with this key, and is no access token of this server all the same.
    Claims,
    /// It is past its time.
    Expired,
    /// Its time is still to come.
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
    /// Takes 32 random bytes as the key.
    pub fn new(bytes: [u8; 32]) -> SigningKey {
        SigningKey(bytes)
    }

    /// The text of the key file, 43 characters of base64url without a line end.
    pub fn encode(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads what [`SigningKey::encode`] gives, with at most one `\n` behind it, and nothing else.
    pub fn parse(text: &str) -> Option<SigningKey> {
        let digits = text.strip_suffix('\n').unwrap_or(text);
        let bytes = URL_SAFE_NO_PAD.decode(digits).ok()?;
        Some(SigningKey(bytes.try_into().ok()?))
    }

    /// HMAC-SHA256 of `message` under a key that is derived for `purpose`, so that what was signed
    /// for one purpose is never good for another. To be compared in constant time.
    pub fn mac(&self, purpose: &str, message: &[u8]) -> [u8; 32] {
        hmac_sha256(&hmac_sha256(&self.0, purpose.as_bytes()), message)
    }
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    hmac.chain_update(message).finalize().into_bytes().into()
}

/// A token with `claims`. One that [`verify`] takes where `expires_s` is later than `issued_s`, and
/// the names are short enough for [`TOKEN_BYTES_MAX`].
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

/// What `token` says, where it was made with `key` and `now_s` (seconds since 1970) is within its
/// time, give or take [`TOKEN_LEEWAY_SECONDS_MAX`].
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

/// What tokens begin with: `{"` in base64url, as the header is an object.
const TOKEN_START: &[u8] = b"eyJ";

/// Whether a credential is meant to be a token rather than an API key: a header that may be one,
/// two dots, and between and around them only digits of base64url.
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

/// Takes a token apart; the crate refuses padding, white space and bits behind the last byte.
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

/// `alg` and `typ` and nothing beside them: `kid`, `jku`, `jwk`, `x5u`, `x5c` would be another
/// key's name, and `crit` asks for what is not there.
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
    // Not added to `exp`, which may be as large as can be.
    if now_s.saturating_sub(TOKEN_LEEWAY_SECONDS_MAX) >= payload.exp {
        return Err(TokenError::Expired);
    }
    Ok(())
}

/// An object with nothing around it. serde alone would take an array for the members in their order.
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
