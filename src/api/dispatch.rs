//! Every request: route, authorization, handler, and the form of a failure.

use super::authority::{self, Principal, SentKey};
use super::context::Context;
use super::cors::{self, Permission};
use super::credentials;
use super::cross_site::{self, Trusted};
use super::error::style::{Dialect, Style};
use super::error::{ApiError, Part};
use super::negotiation::{self, ResponseFormat};
use super::reply::{Lane, Reply};
use super::routes::{self, Found, Route};
use super::site::pages::Viewer;
use super::state::{App, RequestOrigin};
use crate::auth::client::{self, Client};
use crate::catalog::{HOME, Registry};
use crate::clock;
use crate::http::request::{Head, Method, Request};
use crate::http::response::Response;
use crate::http::target::Target;
use crate::router::CaptureOffsets;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What the response and the log need of every request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client, also if a trusted proxy is in between.
    pub client: Client,
    pub permission: Permission,
}

/// A head that was routed and authorized against one state of the registry.
pub struct Routed {
    pub caller: Caller,
    dialect: Dialect,
    /// Whether the request is to write keys and nothing else.
    writes_keys: bool,
    registry: Arc<Registry>,
    /// An error if the head alone is refused.
    decision: Result<Decision, ApiError>,
}

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
        let writes_keys = matches!(&found, Some(Ok(found)) if found.route.writes_keys());
        // A panic here would end the event loop. Nothing is locked or half changed here.
        let decide = AssertUnwindSafe(|| self.decide(head, peer, &caller, found, &registry));
        let decision = catch_unwind(decide).unwrap_or(Err(ApiError::Internal));
        Routed { caller, dialect, writes_keys, registry, decision }
    }

    /// Answers a request whose head was `routed`.
    pub fn handle(self: &Arc<Self>, request: &Request<'_>, routed: Routed, origin: RequestOrigin) -> Reply {
        self.catalog.look_at_clock(origin.wall_ms, origin.at);
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
            origin,
        };
        let reply = Reply::of_result((route.handler)(&context));
        debug_assert!(route.jobs_in.has(&reply), "the route table names the lane of a route's jobs");
        reply
    }

    /// The form of a failure for a request with this head, and with `body` if that has arrived.
    /// On a page it names the visitor, unless that would block.
    pub fn failure_style(&self, head: &Head<'_>, body: Option<&[u8]>, routed: &Routed) -> Style {
        let may_look = self.catalog.cells().is_none();
        self.failure_style_for(head, body, routed, may_look)
    }

    pub(super) fn failure_style_for(
        &self,
        head: &Head<'_>,
        body: Option<&[u8]>,
        routed: &Routed,
        may_look: bool,
    ) -> Style {
        let is_page = routed.dialect == Dialect::Site
            && negotiation::response_format(head, body) == ResponseFormat::Page;
        let signed_in_as = || may_look.then(|| self.signed_in_as(head, routed)).flatten();
        let viewer =
            || Viewer { signed_in_as: signed_in_as(), auth_links: self.auth_links(&routed.registry) };
        Style { dialect: routed.dialect, viewer: is_page.then(viewer), writes_keys: routed.writes_keys }
    }

    /// The lane in which a request that was `routed` runs as a whole, because its storage blocks; `None`: on the event
    /// loop.
    pub fn lane_of(&self, routed: &Routed) -> Option<Lane> {
        self.catalog.cells()?;
        let cell = match &routed.decision {
            Ok(Decision::Run(route, _, principal)) if route.uses_storage() => {
                principal.authority.served.as_ref().map_or(HOME, |served| served.cell())
            }
            Ok(Decision::Run(..) | Decision::Answer(_)) => return None,
            Err(error) if error.may_be_outdated() || routed.dialect == Dialect::Site => HOME,
            Err(_) => return None,
        };
        Some(Lane::Cell(cell))
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
            Target::Authority => return Err(allowed_nowhere(head.method)),
        };
        cross_site::check_host(head, path, peer, registry)?;
        match head.method {
            Method::Unknown => {
                let detail = "Unknown method. Supported: GET, HEAD, POST, PUT, DELETE.";
                return Err(Part::Method.invalid(detail));
            }
            Method::Trace => return Err(allowed_nowhere(head.method)),
            Method::Get | Method::Head | Method::Post | Method::Put | Method::Delete => {}
            Method::Options | Method::Patch | Method::Connect => {}
        }
        let found = match found {
            Some(Ok(found)) => found,
            Some(Err(ApiError::MethodNotAllowed { allow, .. })) if head.method == Method::Options => {
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
        )
        .map_err(|error| error.for_method(head.method))?;
        if is_partial_write(head) {
            let detail = "The field Content-Range asks to write a part; send the whole value without it.";
            return Err(Part::ContentRange.invalid(detail));
        }
        let offsets = found.captures.offsets_in(path);
        Ok(Decision::Run(found.route, offsets, Principal { client, sent, authority }))
    }

    /// The name of the account of the browser's session.
    fn signed_in_as(&self, head: &Head<'_>, routed: &Routed) -> Option<String> {
        let accounts = self.accounts(&routed.registry).ok()?;
        let session = self.session(head, routed.caller.client, &routed.registry)?;
        let account = credentials::account_of_session(accounts, session, clock::wall_ms()).ok()?;
        Some(account.username.as_str().to_owned())
    }
}

impl Routed {
    /// Returns the error if the head alone is refused. Otherwise the body is worth waiting for: the route is valid, and
    /// so is the credential unless the handler checks that ([`super::authority::Needs::Account`]).
    pub fn take_failure(&mut self, app: &App) -> Option<ApiError> {
        if self.decision.is_ok() || app.lane_of(self).is_some() {
            // An answer that needs no body waits too: the body is read and dropped, so that the connection is kept.
            return None;
        }
        std::mem::replace(&mut self.decision, Err(ApiError::Internal)).err()
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Whether the registry is still the same. A key may have been replaced while the body arrived.
    pub fn is_current(&self, app: &App) -> bool {
        Arc::ptr_eq(&self.registry, &app.catalog.registry())
    }
}

/// Whether a request asks to write only a part of a value. As a write of the whole it would destroy the rest
/// (RFC 9110, section 14.5).
fn is_partial_write(head: &Head<'_>) -> bool {
    let writes = match head.method {
        Method::Post | Method::Put | Method::Patch | Method::Delete => true,
        Method::Get | Method::Head | Method::Options => false,
        Method::Trace | Method::Connect | Method::Unknown => false,
    };
    writes && head.fields("content-range").next().is_some()
}

/// For CONNECT and TRACE, which no path supports.
fn allowed_nowhere(method: Method) -> ApiError {
    ApiError::MethodNotAllowed { method: method.as_str(), allow: "GET, HEAD, POST, PUT, DELETE".to_owned() }
}
