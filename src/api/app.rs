//! The server as handlers see it, and the way of every request: route, credential, handler.

use super::authority::{self, SentKey};
use super::catalog::{Catalog, Served};
use super::context::Context;
use super::cors::{self, Permission};
use super::cross_site::{self, Trusted};
use super::error::style::Style;
use super::error::{AccountError, ApiError};
use super::pages::{Viewer, WaysIn};
use super::reply::Reply;
use super::routes::{self, Found};
use super::{cookies, credentials};
use crate::accounts::{Accounts, OpenError};
use crate::auth::access::Denied;
use crate::auth::client;
use crate::auth::credential::{self, Credential};
use crate::auth::rate_limit::RateLimiter;
use crate::auth::throttle::Throttle;
use crate::clock;
use crate::config::schema::Registration;
use crate::http::request::{Head, Method, Request};
use crate::http::response::Response;
use crate::http::target::Target;
use crate::memory::Memory;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The server.
pub struct App {
    /// Its projects.
    pub catalog: Catalog,
    /// Its accounts; `None` where they were switched off when it started.
    pub accounts: Option<Result<Arc<Accounts>, OpenError>>,
    /// Counts requests to `/item`.
    pub rate_limiter: RateLimiter,
    /// Counts registrations.
    pub registrations: RateLimiter,
    /// Counts failed logins.
    pub throttle: Throttle,
    /// Counts the memory of requests and answers under way.
    pub memory: Memory,
}

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Milliseconds since 1970; what "now" is to the handler.
    pub wall_ms: u64,
    /// On the clock that never goes back.
    pub at: Instant,
    /// The other end of the connection: the client, or a proxy before it.
    pub peer: IpAddr,
    /// Whether it is answered anew, because what its first answer rested on was taken back.
    pub is_repeated: bool,
}

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
    /// A server of these projects and accounts, which has answered nobody yet.
    pub fn new(catalog: Catalog, accounts: Option<Result<Arc<Accounts>, OpenError>>, memory: Memory) -> App {
        let (rate_limiter, registrations) = (RateLimiter::new(), RateLimiter::new());
        App { catalog, accounts, rate_limiter, registrations, throttle: Throttle::new(), memory }
    }

    /// Brings all files up to date and ends writing.
    pub fn close(&self) {
        self.catalog.close();
        if let Some(Ok(accounts)) = &self.accounts {
            accounts.close();
        }
    }

    /// Answers a request.
    pub fn handle(self: &Arc<Self>, request: &Request<'_>, arrival: Arrival) -> Reply {
        self.catalog.look_at_clock(arrival.wall_ms, arrival.at);
        let failure_style = || self.failure_style(&request.head, Some(request.body), arrival.peer);
        let admitted = match self.decide(&request.head, arrival.peer) {
            Ok(Decision::Run(admitted)) => admitted,
            Ok(Decision::Answer(response)) => return Reply::Now(response),
            Err(error) => return Reply::Now(error.response_in(&failure_style())),
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
        (found.handler)(&context).unwrap_or_else(|error| Reply::Now(error.response_in(&failure_style())))
    }

    /// The accounts of the server.
    ///
    /// # Errors
    /// [`AccountError::Disabled`]; [`ApiError::Unreadable`] where their files could not be read.
    pub fn accounts(&self) -> Result<&Arc<Accounts>, ApiError> {
        match &self.accounts {
            Some(Ok(accounts)) if self.catalog.registry().accounts.enabled => Ok(accounts),
            Some(Err(_)) if self.catalog.registry().accounts.enabled => Err(ApiError::Unreadable),
            Some(_) | None => Err(AccountError::Disabled.into()),
        }
    }

    /// What this server has for who is not signed in.
    pub fn ways_in(&self) -> WaysIn {
        let settings = &self.catalog.registry().accounts;
        match settings.registration {
            _ if self.accounts.is_none() || !settings.enabled => WaysIn::Nothing,
            Registration::Open => WaysIn::LogInOrRegister,
            Registration::Closed => WaysIn::LogIn,
        }
    }

    /// How the client that sent this head from `peer`, and `body` if that has arrived already, is told of
    /// a failure.
    pub fn failure_style(&self, head: &Head<'_>, body: Option<&[u8]>, peer: IpAddr) -> Style {
        Style::of(head, body, || self.viewer(head, peer))
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

    /// The token of the session that the browser has, unless a header field has a credential.
    pub fn session<'b>(&self, head: &Head<'b>, peer: IpAddr) -> Option<&'b str> {
        self.session_cookie(head, peer).filter(|_| matches!(self.credential(head, peer), Ok(None)))
    }

    /// The token in the session cookie, whatever else the request has.
    pub fn session_cookie<'b>(&self, head: &Head<'b>, peer: IpAddr) -> Option<&'b str> {
        let client = client::client(head, peer, &self.catalog.registry().trusted_proxies);
        let accounts = self.accounts().ok()?;
        cookies::session(head, accounts, client).or_else(|| cookies::former_session(head, accounts, client))
    }

    /// The credential in the header fields of a request from `peer`.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn credential<'b>(&self, head: &Head<'b>, peer: IpAddr) -> Result<Option<Credential<'b>>, Denied> {
        credential::credential(head, || {
            let client = client::client(head, peer, &self.catalog.registry().trusted_proxies);
            self.accounts().is_ok_and(|accounts| cookies::session(head, accounts, client).is_some())
        })
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

    /// Who sent this head over a connection from `peer`.
    pub fn caller(&self, head: &Head<'_>, peer: IpAddr) -> Caller {
        let registry = self.catalog.registry();
        Caller {
            address: client::client(head, peer, &registry.trusted_proxies).address,
            permission: Permission::of(head, &registry),
        }
    }

    /// Whether scripts of the origin that sent this head may read the answer.
    pub fn permission(&self, head: &Head<'_>) -> Permission {
        Permission::of(head, &self.catalog.registry())
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
            || SentKey::of(self, head, peer),
            || cross_site::check(head, peer, &registry, Trusted::Configured),
            &registry,
            found.captures.segment,
        )?;
        if is_partial_write(head) {
            return Err(ApiError::ContentRange);
        }
        Ok(Decision::Run(Admitted { found, query, served: authority.served }))
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
