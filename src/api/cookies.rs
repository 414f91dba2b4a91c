//! The session cookie of browsers.
//!
//! Cookies have no port, so each installation has its own name: two servers on one host do not log out each other's
//! users. Over TLS it begins with `__Host-`, so that no other host and no plain connection can set it (RFC 6265bis,
//! section 4.1.3.2).

use crate::accounts::Accounts;
use crate::auth::client::Client;
use crate::http::request::Head;
use crate::limits::SESSION_SECONDS;

const BASE_NAME: &str = "pikv_session";
const HOST_PREFIX: &str = "__Host-";

/// The name of the session cookie of this installation, for `client`.
fn name(accounts: &Accounts, client: Client) -> String {
    let prefix = if client.is_tls { HOST_PREFIX } else { "" };
    format!("{prefix}{BASE_NAME}_{}", accounts.installation)
}

/// The `Set-Cookie` field that gives the browser of `client` the session `token`.
pub(crate) fn set(accounts: &Accounts, client: Client, token: &str) -> String {
    field(accounts, client, token, SESSION_SECONDS)
}

/// The `Set-Cookie` field that removes the cookie.
pub(crate) fn clear(accounts: &Accounts, client: Client) -> String {
    field(accounts, client, "", 0)
}

fn field(accounts: &Accounts, client: Client, value: &str, seconds: u64) -> String {
    let secure = if client.is_tls { "; Secure" } else { "" };
    let name = name(accounts, client);
    format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

/// The token in the session cookie of this installation; `None` if there is none, or more than one: it is unknown
/// which of them is ours.
pub(crate) fn session<'h>(head: &'h Head<'_>, accounts: &Accounts, client: Client) -> Option<&'h str> {
    let name = name(accounts, client);
    single(pairs(head).filter(|(other, _)| *other == name))
}

/// The token in a session cookie of another name, if there is exactly one and none of our own: it may be from before
/// the signing key was replaced, or from a version that had one name for all. A token of another server matches no
/// session of ours.
pub(crate) fn former_session<'h>(head: &'h Head<'_>, accounts: &Accounts, client: Client) -> Option<&'h str> {
    let name = name(accounts, client);
    if pairs(head).any(|(other, _)| other == name) {
        return None;
    }
    let is_former = |other: &str| {
        let other = if client.is_tls { other.strip_prefix(HOST_PREFIX) } else { Some(other) };
        other.is_some_and(|other| other.starts_with(BASE_NAME))
    };
    single(pairs(head).filter(|(other, _)| is_former(other)))
}

/// The name and value of every cookie that has a value.
fn pairs<'h>(head: &'h Head<'_>) -> impl Iterator<Item = (&'h str, &'h str)> {
    let fields = head.fields("cookie").filter_map(|field| str::from_utf8(field).ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(_, value)| !value.is_empty())
}

fn single<'b>(mut cookies: impl Iterator<Item = (&'b str, &'b str)>) -> Option<&'b str> {
    let (_, value) = cookies.next()?;
    cookies.next().is_none().then_some(value)
}
