//! The way of every request: route, credential, handler, and the form of a failure.

use super::authority::{self, Principal, SentKey};
use super::context::Context;
use super::cors::{self, Permission};
use super::credentials;
use super::cross_site::{self, Trusted};
use super::error::style::{Dialect, Style};
use super::error::{ApiError, Part};
use super::negotiation::{self, ResponseFormat};
use super::reply::Reply;
use super::routes::{self, Found, Route};
use super::site::pages::Viewer;
use super::state::{App, Arrival};
use crate::auth::client::{self, Client};
use crate::catalog::Registry;
use crate::clock;
use crate::http::request::{Head, Method, Request};
use crate::http::response::Response;
use crate::http::target::Target;
use crate::router::CaptureOffsets;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What an answer and the log need of a request, whatever it is.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client, also if a trusted proxy is between.
    pub client: Client,
    /// What the answer states to scripts of other origins.
    pub permission: Permission,
}

/// A head that was routed and authorized, once: against one state of the registry.
pub struct Routed {
    /// Who sent it.
    pub caller: Caller,
    dialect: Dialect,
    registry: Arc<Registry>,
    /// Why the request fails, if it does.
    decision: Result<Decision, ApiError>,
}

/// What a head alone leads to.
enum Decision {
    Answer(Response),
    Run(&'static Route, CaptureOffsets, Principal),
}

impl App {
    /// Routes and authorizes a request with this head from `peer`.
    pub fn route(&self, head: &Head<'_>, peer: IpAddr) -> Routed {
        let registry = self.catalog.registry();
        let client = client::client(head, peer, &registry.trusted_proxies);
        let caller = Caller { client, permission: Permission::of(head, &registry) };
        let (path, found) = match head.target() {
            Ok(Target::Origin { path, .. }) => (path.as_bytes(), Some(routes::find(head.method, path))),
            Ok(Target::Asterisk | Target::Authority) => (&b""[..], None),
            Err(_) => (head.target_text(), None),
        };
        let dialect = match &found {
            Some(Ok(found)) => found.route.dialect,
            Some(Err(_)) | None => routes::dialect_of(path),
        };
        // A panic here would end the event loop. It holds no lock and leaves nothing half changed.
        let decide = AssertUnwindSafe(|| self.decide(head, peer, &caller, found, &registry));
        let decision = catch_unwind(decide).unwrap_or(Err(ApiError::Internal));
        Routed { caller, dialect, registry, decision }
    }

    /// Answers a request that `routed` is of.
    pub fn handle(self: &Arc<Self>, request: &Request<'_>, routed: Routed, arrival: Arrival) -> Reply {
        self.catalog.look_at_clock(arrival.wall_ms, arrival.at);
        let (route, offsets, principal) = match routed.decision {
            Ok(Decision::Run(route, offsets, principal)) => (route, offsets, principal),
            Ok(Decision::Answer(response)) => return Reply::now(response),
            Err(error) => return Reply::failed(error),
        };
        let Ok(Target::Origin { path, query }) = request.head.target() else {
            return Reply::failed(ApiError::Internal);
        };
        let captures = offsets.of(path);
        let context = Context {
            app: self,
            request,
            registry: &routed.registry,
            needs: route.needs,
            query,
            segment: captures.segment,
            rest: captures.rest,
            principal: &principal,
            arrival,
        };
        let reply = Reply::of_result((route.handler)(&context));
        debug_assert!(route.jobs_in.has(&reply), "the route table names the lane of a route's jobs");
        reply
    }

    /// How the client that sent this head, and `body` if that has arrived already, is told of a failure.
    pub fn failure_style(&self, head: &Head<'_>, body: Option<&[u8]>, routed: &Routed) -> Style {
        let is_page = routed.dialect == Dialect::Site
            && negotiation::response_format(head, body) == ResponseFormat::Page;
        Style { dialect: routed.dialect, viewer: is_page.then(|| self.viewer(head, routed)) }
    }

    fn decide(
        &self,
        head: &Head<'_>,
        peer: IpAddr,
        caller: &Caller,
        found: Option<Result<Found<'_>, ApiError>>,
        registry: &Arc<Registry>,
    ) -> Result<Decision, ApiError> {
        let path = match head.target()? {
            Target::Asterisk => "*",
            Target::Origin { path, .. } => path,
            Target::Authority => return Err(allowed_nowhere()),
        };
        cross_site::check_host(head, path, peer, registry)?;
        match head.method {
            Method::Unknown => return Err(ApiError::MethodUnknown),
            Method::Trace => return Err(allowed_nowhere()),
            Method::Get | Method::Head | Method::Post | Method::Put | Method::Delete => {}
            Method::Options | Method::Patch | Method::Connect => {}
        }
        let found = match found {
            Some(Ok(found)) => found,
            Some(Err(ApiError::MethodNotAllowed { allow })) if head.method == Method::Options => {
                let response = Response::new(204).field("allow", &allow);
                return Ok(Decision::Answer(cors::preflight(head, &caller.permission, response)));
            }
            Some(Err(error)) => return Err(error),
            None => return Ok(Decision::Answer(Response::new(204))), // OPTIONS *
        };
        let needs = found.route.needs;
        let client = caller.client;
        let sent = needs.is_key().then(|| SentKey::of(self.credential(head, client, registry), head));
        let authority = authority::authorize(
            needs,
            sent.as_ref(),
            || cross_site::check(head, peer, registry, Trusted::Configured),
            registry,
            found.captures.segment,
        )?;
        if is_partial_write(head) {
            let detail = "The field Content-Range asks to write a part; send the whole value without it.";
            return Err(Part::ContentRange.invalid(detail));
        }
        let offsets = found.captures.offsets_in(path);
        Ok(Decision::Run(found.route, offsets, Principal { client, sent, authority }))
    }

    /// Who looks at a page.
    fn viewer(&self, head: &Head<'_>, routed: &Routed) -> Viewer {
        let registry = &routed.registry;
        let account = self.accounts(registry).ok().and_then(|accounts| {
            let session = self.session(head, routed.caller.client, registry)?;
            credentials::account_of_session(accounts, session, clock::wall_ms()).ok()
        });
        let signed_in_as = account.map(|account| account.username.as_str().to_owned());
        Viewer { signed_in_as, auth_links: self.auth_links(registry) }
    }
}

impl Routed {
    /// Takes out why the request fails, if the head tells that already. Otherwise its body is worth waiting for: the
    /// route is good, and so is the credential unless the handler looks at that
    /// ([`super::authority::Needs::Account`]).
    pub fn take_failure(&mut self) -> Option<ApiError> {
        if self.decision.is_ok() {
            // An answer that needs no body waits for it, too: it is read and dropped, so that the connection is kept.
            return None;
        }
        std::mem::replace(&mut self.decision, Err(ApiError::Internal)).err()
    }

    /// Whether it was routed against the registry as it is now. A key may have been replaced while the body came.
    pub fn is_current(&self, app: &App) -> bool {
        Arc::ptr_eq(&self.registry, &app.catalog.registry())
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
