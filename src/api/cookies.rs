//! The two cookies that browsers keep for us: who is signed in, and whose form it is.
//!
//! Behind TLS their names begin with `__Host-`, so that no other host and no plain connection can
//! set them (RFC 6265bis, section 4.1.3.2).

use crate::auth::client::Client;
use crate::http::request::Head;
use crate::limits::SESSION_SECONDS;

/// Which cookie is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The token of a session.
    Session,
    /// What the forms of a browser without a session are tied to.
    Form,
}

impl Cookie {
    fn name(self, client: Client) -> &'static str {
        match (self, client.is_tls) {
            (Cookie::Session, false) => "pikv_session",
            (Cookie::Session, true) => "__Host-pikv_session",
            (Cookie::Form, false) => "pikv_form",
            (Cookie::Form, true) => "__Host-pikv_form",
        }
    }

    /// The `Set-Cookie` field that gives the browser of `client` this value.
    pub fn set(self, client: Client, value: &str) -> String {
        self.field(client, value, SESSION_SECONDS)
    }

    /// The `Set-Cookie` field that takes the cookie away.
    pub fn clear(self, client: Client) -> String {
        self.field(client, "", 0)
    }

    fn field(self, client: Client, value: &str, seconds: u64) -> String {
        let secure = if client.is_tls { "; Secure" } else { "" };
        let name = self.name(client);
        format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }

    /// Its value in a request; `None` where there is none, or more than one.
    pub fn value<'b>(self, head: &Head<'b>, client: Client) -> Option<&'b str> {
        let name = self.name(client);
        let fields = head.fields("cookie").filter_map(|field| str::from_utf8(field).ok());
        let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(other, value)| *other == name && !value.is_empty());
        let (_, value) = values.next()?;
        // Somebody else has put a second one there; nobody knows which is ours.
        values.next().is_none().then_some(value)
    }
}

/// The token of the browser's session.
pub fn session<'b>(head: &Head<'b>, client: Client) -> Option<&'b str> {
    Cookie::Session.value(head, client)
}
