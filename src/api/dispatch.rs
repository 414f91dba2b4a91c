//! The way of every request: route, credential, handler, and the form of a failure.

use super::authority::{self, SentKey};
use super::context::Context;
use super::cors::{self, Permission};
use super::credentials;
use super::cross_site::{self, Trusted};
use super::error::ApiError;
use super::error::style::Style;
use super::reply::Reply;
use super::routes::{self, Found};
use super::site::pages::Viewer;
use super::state::{App, Arrival};
use crate::auth::client;
use crate::catalog::Served;
use crate::clock;
use crate::http::request::{Head, Method, Request};
use crate::http::response::Response;
use crate::http::target::Target;
use std::net::IpAddr;
use std::sync::Arc;

/// Who sent a request, as far as its answer and the log need it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client, also behind a trusted proxy.
    pub address: IpAddr,
    /// What the answer says to scripts of other origins.
    pub permission: Permission,
}

/// A request whose route and credential were found good.
struct Admitted<'r> {
    found: Found<'r>,
    query: Option<&'r str>,
    served: Option<Arc<Served>>,
}

/// What a head alone leads to.
enum Decision<'r> {
    Answer(Response),
    Run(Admitted<'r>),
}

impl App {
    /// Answers a request.
    pub fn handle(self: &Arc<Self>, request: &Request<'_>, arrival: Arrival) -> Reply {
        self.catalog.look_at_clock(arrival.wall_ms, arrival.at);
        let failure_style = || self.failure_style(&request.head, Some(request.body), arrival.peer);
        let admitted = match self.decide(&request.head, arrival.peer) {
            Ok(Decision::Run(admitted)) => admitted,
            Ok(Decision::Answer(response)) => return Reply::now(response),
            Err(error) => return Reply::now(error.response_in(&failure_style())),
        };
        let Admitted { found, query, served } = admitted;
        let context = Context {
            app: self,
            request,
            access: found.access,
            query,
            segment: found.captures.segment,
            rest: found.captures.rest,
            served,
            arrival,
        };
        (found.handler)(&context).unwrap_or_else(|error| Reply::now(error.response_in(&failure_style())))
    }

    /// Whether the body of a request is worth waiting for: the route is good, and so is the credential
    /// where that is not the handler's to look at ([`Access::Account`]).
    ///
    /// # Errors
    /// The answer, where they are not.
    pub fn admit(&self, head: &Head<'_>, peer: IpAddr) -> Result<(), Response> {
        match self.decide(head, peer) {
            // Its answer needs no body; the body is read and dropped first, so that the connection can go on.
            Ok(Decision::Run(_) | Decision::Answer(_)) => Ok(()),
            Err(error) => Err(error.response_in(&self.failure_style(head, None, peer))),
        }
    }

    /// How the client that sent this head from `peer`, and `body` if that has arrived already, is told of
    /// a failure.
    pub fn failure_style(&self, head: &Head<'_>, body: Option<&[u8]>, peer: IpAddr) -> Style {
        Style::of(head, body, || self.viewer(head, peer))
    }

    /// Who sent this head over a connection from `peer`.
    pub fn caller(&self, head: &Head<'_>, peer: IpAddr) -> Caller {
        let registry = self.catalog.registry();
        Caller {
            address: client::client(head, peer, &registry.trusted_proxies).address,
            permission: Permission::of(head, &registry),
        }
    }

    fn decide<'r>(&self, head: &Head<'r>, peer: IpAddr) -> Result<Decision<'r>, ApiError> {
        let registry = self.catalog.registry();
        let (path, query) = match head.target? {
            Target::Asterisk => ("*", None),
            Target::Origin { path, query } => (path, query),
            Target::Authority => return Err(allowed_nowhere()),
        };
        cross_site::check_host(head, path, peer, &registry)?;
        if head.target == Ok(Target::Asterisk) {
            return Ok(Decision::Answer(Response::new(204)));
        }
        match head.method {
            Method::Unknown => return Err(ApiError::MethodUnknown),
            Method::Trace => return Err(allowed_nowhere()),
            Method::Get | Method::Head | Method::Post | Method::Put | Method::Delete => {}
            Method::Options | Method::Patch | Method::Connect => {}
        }
        let found = match routes::find(head.method, path) {
            Ok(found) => found,
            Err(ApiError::MethodNotAllowed { allow }) if head.method == Method::Options => {
                let response = Response::new(204).field("allow", &allow);
                return Ok(Decision::Answer(cors::preflight(head, &self.permission(head), response)));
            }
            Err(error) => return Err(error),
        };
        let authority = authority::authorize(
            found.access,
            || SentKey::of(self.credential(head, peer), head),
            || cross_site::check(head, peer, &registry, Trusted::Configured),
            &registry,
            found.captures.segment,
        )?;
        if is_partial_write(head) {
            return Err(ApiError::ContentRange);
        }
        Ok(Decision::Run(Admitted { found, query, served: authority.served }))
    }

    /// Who looks at a page.
    fn viewer(&self, head: &Head<'_>, peer: IpAddr) -> Viewer {
        let account = self.accounts().ok().and_then(|accounts| {
            let session = self.session(head, peer)?;
            credentials::account_of_session(accounts, session, clock::wall_ms()).ok()
        });
        let signed_in_as = account.map(|account| account.username.as_str().to_owned());
        Viewer { signed_in_as, ways_in: self.ways_in() }
    }

    /// Whether scripts of the origin that sent this head may read the answer.
    pub fn permission(&self, head: &Head<'_>) -> Permission {
        Permission::of(head, &self.catalog.registry())
    }
}

/// Whether a request asks to write a part of something. Taken for a write of the whole, it would
/// destroy the rest (RFC 9110, section 14.5).
fn is_partial_write(head: &Head<'_>) -> bool {
    let writes = match head.method {
        Method::Post | Method::Put | Method::Patch | Method::Delete => true,
        Method::Get | Method::Head | Method::Options => false,
        Method::Trace | Method::Connect | Method::Unknown => false,
    };
    writes && head.fields("content-range").next().is_some()
}

/// For the methods that no path takes: CONNECT and TRACE.
fn allowed_nowhere() -> ApiError {
    ApiError::MethodNotAllowed { allow: "GET, HEAD, POST, PUT, DELETE".to_owned() }
}
