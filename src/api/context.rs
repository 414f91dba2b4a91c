//! The input of a handler, and how it reads parameters and bodies.

use super::authority::{Claim, Needs, Principal};
use super::body::minified_to;
use super::cross_site::{self, Trusted};
use super::error::{ApiError, Part, shown};
use super::parameters::{Parameters, unknown_parameter};
use super::reply::{Reply, Share, Standing};
use super::state::{App, RequestOrigin};
use crate::accounts::Accounts;
use crate::auth::access::Denied;
use crate::auth::client::{self, Client};
use crate::auth::credential::{Credential, SentAs};
use crate::catalog::{Registry, Served};
use crate::http::request::{Framing, Request};
use crate::http::response::Response;
use crate::http::target;
use crate::limits::BODY_DEPTH_MAX;
use crate::names::Key;
use crate::storage::{Keyspace, Read};
use std::borrow::Cow;
use std::sync::Arc;

/// A request that was routed and authorized.
pub struct Context<'r> {
    pub app: &'r Arc<App>,
    pub request: &'r Request<'r>,
    /// The settings and projects for all of this request.
    pub registry: &'r Arc<Registry>,
    pub needs: Needs,
    /// Percent-encoded.
    pub query: Option<&'r str>,
    /// The part of the path for `{}` of the route, percent-encoded; empty if it has none.
    pub segment: &'r str,
    /// The part of the path for `{...}` of the route, percent-encoded.
    pub rest: &'r str,
    pub principal: &'r Principal,
    pub origin: RequestOrigin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// JSON, and the types that clients send by default.
    Json,
    /// Text that is stored as a JSON string.
    Text,
}

impl<'r> Context<'r> {
    /// The project of a route that has one.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if the route has none, which is a bug of the route table.
    pub fn served(&self) -> Result<&Arc<Served>, ApiError> {
        self.principal.authority.project()
    }

    pub fn accounts(&self) -> Result<&'r Arc<Accounts>, ApiError> {
        self.app.accounts(self.registry)
    }

    pub fn client(&self) -> Client {
        self.principal.client
    }

    pub fn share(&self, standing: Standing) -> Share {
        Share { standing, address: client::counted_address(self.client().address) }
    }

    /// The share of a request from an operator. Without authentication any client may send it, so it has no
    /// precedence.
    pub fn operator_share(&self) -> Share {
        let has_key = self.registry.authentication_enabled;
        self.share(if has_key { Standing::Operator } else { Standing::Unknown })
    }

    /// The credential in the header fields.
    pub fn credential(&self) -> Result<Option<Credential<'r>>, Denied> {
        self.app.credential(&self.request.head, self.client(), self.registry)
    }

    /// To check again later that the request is authorized.
    pub fn claim(&self) -> Result<Claim, ApiError> {
        // A route without a key would be a bug of the route table.
        let sent = self.principal.sent.ok_or(ApiError::Internal)?;
        let (segment, address) = (self.segment.to_owned(), self.client().address);
        Ok(Claim { needs: self.needs, sent, segment, address })
    }

    /// Refuses a request that a page of another site sent, unless that is `trusted`.
    pub fn check_site(&self, trusted: Trusted) -> Result<(), ApiError> {
        cross_site::check(&self.request.head, self.origin.peer, self.registry, trusted)
    }

    /// The same for a request with a credential: only one that browsers add by themselves is checked.
    pub fn check_sender(&self, sent_as: SentAs) -> Result<(), ApiError> {
        match sent_as {
            SentAs::Explicit => Ok(()),
            SentAs::Basic => self.check_site(Trusted::Configured),
        }
    }

    /// The key in the path, decoded.
    pub fn key_text(&self) -> Result<Cow<'r, str>, ApiError> {
        Ok(target::decode(self.rest)?)
    }

    /// Answers with the result of `respond` for the key `key_text` in `keyspace` and its value.
    pub fn value_of(
        &self,
        keyspace: &Keyspace,
        key_text: &str,
        respond: impl FnOnce(&str, &[u8]) -> Response + Send + 'static,
    ) -> Result<Reply, ApiError> {
        let (key, shown) = (Key::parse(key_text)?, key_text.to_owned());
        let found = keyspace.get(self.origin.wall_ms, key, move |read| match read {
            Read::Found(found) => Ok(respond(&shown, found.value)),
            Read::Absent | Read::Refused(_) => Err(ApiError::KeyMissing),
        })?;
        Ok(Reply::of(found))
    }

    /// The query parameters. Refuses any that is not in `allowed`, or repeated.
    pub fn parameters(&self, allowed: &[&'static str]) -> Result<Parameters<'r>, ApiError> {
        self.parameters_or(allowed, |name| Err(Part::Query.invalid(unknown_parameter(name, allowed))))
    }

    /// The query parameters of a page. Those not in `known` are ignored: links from other sites have them
    /// (`?utm_source=`), and forms of clients of the form API.
    pub fn page_parameters(&self, known: &[&'static str]) -> Result<Parameters<'r>, ApiError> {
        self.parameters_or(known, |_| Ok(()))
    }

    fn parameters_or(
        &self,
        allowed: &[&'static str],
        unknown: impl Fn(&str) -> Result<(), ApiError>,
    ) -> Result<Parameters<'r>, ApiError> {
        let mut found: Vec<(&'static str, Cow<'r, str>)> = Vec::new();
        for (name, value) in self.query.into_iter().flat_map(target::pairs) {
            let name = target::decode_query(name)?;
            let Some(known) = allowed.iter().find(|known| **known == name) else {
                unknown(&name)?;
                continue;
            };
            if found.iter().any(|(other, _)| other == known) {
                return Err(
                    Part::Query.invalid(format!("The parameter `{known}` is repeated. Send it once."))
                );
            }
            found.push((known, target::decode_query(value.unwrap_or_default())?));
        }
        Ok(Parameters { found })
    }

    pub fn media_type(&self) -> Result<MediaType, ApiError> {
        let head = &self.request.head;
        if head.framing == Framing::None {
            return Err(Part::BodyLength
                .invalid("The body is missing. Send it with Content-Length (curl: -d or -T)."));
        }
        // A list, perhaps in several fields (RFC 9110, section 8.4).
        let mut codings = head.fields("content-encoding").flat_map(|value| value.split(|&byte| byte == b','));
        let mut codings = codings.by_ref().map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
        if let Some(coding) = codings.find(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            let coding = String::from_utf8_lossy(coding);
            return Err(Part::MediaType.invalid(format!(
                "Content-Encoding `{}` is not supported; send the body without compression.",
                shown(&coding)
            )));
        }
        let Some(value) = head.fields("content-type").next() else { return Ok(MediaType::Json) };
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        let (name, parameters) = text.split_once(';').unwrap_or((&text, ""));
        let charset = parameters.split(';').find_map(|p| p.trim().strip_prefix("charset="));
        if let Some(charset) = charset.filter(|c| !matches!(c.trim_matches('"'), "utf-8" | "us-ascii")) {
            return Err(Part::MediaType.invalid(format!("Charset `{charset}` is not supported; send UTF-8.")));
        }
        match name.trim() {
            "application/json" | "text/json" | "" => Ok(MediaType::Json),
            // curl sends the first for -d, Home Assistant and aiohttp send the second for bytes. Their users
            // mean JSON.
            "application/x-www-form-urlencoded" | "application/octet-stream" => Ok(MediaType::Json),
            json if json.ends_with("+json") => Ok(MediaType::Json),
            "text/plain" => Ok(MediaType::Text),
            other => Err(Part::MediaType.invalid(format!(
                "Content-Type `{}` is not supported; send application/json, or text/plain for a string.",
                shown(other)
            ))),
        }
    }

    pub fn json_body(&self) -> Result<Vec<u8>, ApiError> {
        match self.media_type()? {
            MediaType::Json => minified_to(BODY_DEPTH_MAX, self.request.body),
            MediaType::Text => {
                Err(Part::MediaType.invalid("The body must be a JSON object; send application/json."))
            }
        }
    }
}
