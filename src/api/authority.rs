//! Whether a request may use its route: what the route needs, against the keys of the server.
//!
//! A request to the administration lane is checked twice, on arrival and before it changes something.
//! A key that was replaced while the request waited changes nothing any more.

use super::error::ApiError;
use crate::auth::access::{self, Denied, Grant};
use crate::auth::api_key::Presented;
use crate::auth::client::Client;
use crate::auth::credential::{Credential, SentAs};
use crate::catalog::{ChangeError, Registry, Served};
use crate::http::request::Head;
use crate::http::target;
use crate::names::ProjectId;
use crate::secret::KeyHash;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Whose credential a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nobody's.
    Open,
    /// The global key's.
    Global,
    /// The key of the project in the path, or the global one.
    Project,
    /// As [`Needs::Project`]; only the global key if the project asks for none. Settings decide who has
    /// the project from then on.
    Settings,
    /// An account's, or what else the handler takes (`credentials.rs`).
    Account,
}

impl Needs {
    /// Whether it is an API key.
    pub fn is_key(self) -> bool {
        match self {
            Needs::Open | Needs::Account => false,
            Needs::Global | Needs::Project | Needs::Settings => true,
        }
    }
}

/// What a request was let through with.
pub struct Authority {
    /// The project that the path names, if it names one.
    pub served: Option<Arc<Served>>,
    /// The kind of its credential.
    pub grant: Grant,
}

impl Authority {
    /// The project of a route that has one.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if the route has none, which is a bug of the route table.
    pub fn project(&self) -> Result<&Arc<Served>, ApiError> {
        self.served.as_ref().ok_or(ApiError::Internal)
    }
}

/// Who asks for a change, for the log.
pub struct Author {
    address: IpAddr,
    grant: Grant,
}

/// The credential of a request as an API key, or what is wrong with it.
#[derive(Clone)]
pub struct SentKey(Result<Option<(Presented, SentAs)>, Denied>);

/// Who sends a request: where it comes from, its credential, and what that grants.
pub struct Principal {
    /// Where it comes from.
    pub client: Client,
    /// Its credential as an API key, if its route asks for one.
    pub sent: Option<SentKey>,
    /// What that grants.
    pub authority: Authority,
}

/// A credential and what it is needed for, kept while a request waits.
pub struct Claim {
    needs: Needs,
    sent: SentKey,
    segment: String,
    address: IpAddr,
}

impl SentKey {
    /// The `credential` of a request with this head.
    pub fn of(credential: Result<Option<Credential<'_>>, Denied>, head: &Head<'_>) -> SentKey {
        SentKey(match credential {
            Ok(None) if head.fields("authorization").next().is_some() => Err(Denied::BasicIgnored),
            Ok(credential) => Ok(credential.map(|credential| (credential.present(), credential.sent_as))),
            Err(denied) => Err(denied),
        })
    }

    /// What `decide` grants for the credential, and how that was sent. None was sent if there is no `SentAs`.
    fn grant(
        &self,
        decide: impl FnOnce(Option<Presented>) -> Result<Grant, Denied>,
    ) -> Result<(Grant, Option<SentAs>), Denied> {
        let sent = self.0.clone()?;
        let sent_as = sent.as_ref().map(|(_, sent_as)| *sent_as);
        Ok((decide(sent.map(|(presented, _)| presented))?, sent_as))
    }
}

impl Claim {
    /// What `principal` was let through with, for what its route needs in the project `segment`.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if the route needs no key, which is a bug of the route table.
    pub fn of(principal: &Principal, needs: Needs, segment: &str) -> Result<Claim, ApiError> {
        let sent = principal.sent.clone().ok_or(ApiError::Internal)?;
        Ok(Claim { needs, sent, segment: segment.to_owned(), address: principal.client.address })
    }

    /// Checks it against the keys of now. Where the request came from was checked on arrival.
    pub fn check(&self, registry: &Registry) -> Result<(Authority, Author), ApiError> {
        let authority = authorize(self.needs, Some(&self.sent), || Ok(()), registry, &self.segment)?;
        let author = Author { address: self.address, grant: authority.grant };
        Ok((authority, author))
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {}", self.address, self.grant)
    }
}

/// Lets a request through that has what `needs` asks for. `sent` is its credential, which is not looked at if
/// no key is needed, and `segment` the project in its path, percent-encoded. `check_site` refuses a page of another site; it is asked unless a credential
/// that no page can send grants the request.
pub(crate) fn authorize(
    needs: Needs,
    sent: Option<&SentKey>,
    check_site: impl FnOnce() -> Result<(), ApiError>,
    registry: &Registry,
    segment: &str,
) -> Result<Authority, ApiError> {
    match (needs, sent) {
        (Needs::Open | Needs::Account, _) => Ok(Authority { served: None, grant: Grant::Nothing }),
        (Needs::Global, Some(sent)) => {
            let grant = authorize_global(sent, check_site, registry)?;
            Ok(Authority { served: named_project(segment, registry)?, grant })
        }
        (Needs::Project | Needs::Settings, Some(sent)) => {
            let id = parse_id(segment)?;
            let served = registry.projects.get(&id);
            let is_open = served.is_some_and(|served| !served.asks_for_key);
            let grant = if is_open && needs == Needs::Settings {
                authorize_global(sent, check_site, registry)?
            } else {
                authorize_project(sent, check_site, registry, served)?
            };
            let served = served.cloned().ok_or(ChangeError::Missing(id))?;
            Ok(Authority { served: Some(served), grant })
        }
        (Needs::Global | Needs::Project | Needs::Settings, None) => Err(ApiError::Internal),
    }
}

fn authorize_global(
    sent: &SentKey,
    check_site: impl FnOnce() -> Result<(), ApiError>,
    registry: &Registry,
) -> Result<Grant, ApiError> {
    let is_projects = |candidate: &KeyHash| {
        registry.projects.values().any(|served| served.key.as_ref().is_some_and(|key| key.matches(candidate)))
    };
    let granted =
        sent.grant(|presented| access::global(presented, registry.global_key.as_ref(), is_projects));
    granted_or_open(granted, registry.authentication_enabled, check_site)
}

fn authorize_project(
    sent: &SentKey,
    check_site: impl FnOnce() -> Result<(), ApiError>,
    registry: &Registry,
    served: Option<&Arc<Served>>,
) -> Result<Grant, ApiError> {
    let asks_for_key = registry.authentication_enabled && served.is_none_or(|served| served.asks_for_key);
    let key = served.and_then(|served| served.key.as_ref());
    let granted = sent.grant(|presented| access::project(presented, registry.global_key.as_ref(), key));
    granted_or_open(granted, asks_for_key, check_site)
}

/// What a request has that was `granted` something, or needs no key.
fn granted_or_open(
    granted: Result<(Grant, Option<SentAs>), Denied>,
    asks_for_key: bool,
    check_site: impl FnOnce() -> Result<(), ApiError>,
) -> Result<Grant, ApiError> {
    match granted {
        Ok((grant, Some(SentAs::Explicit))) => Ok(grant),
        Err(denied) if asks_for_key => Err(denied.into()),
        Ok((grant, Some(SentAs::Basic) | None)) => check_site().map(|()| grant),
        Err(_) => check_site().map(|()| Grant::Nothing),
    }
}

/// The project of a global route that names one.
fn named_project(segment: &str, registry: &Registry) -> Result<Option<Arc<Served>>, ApiError> {
    if segment.is_empty() {
        return Ok(None);
    }
    let id = parse_id(segment)?;
    Ok(Some(registry.projects.get(&id).cloned().ok_or(ChangeError::Missing(id))?))
}

fn parse_id(segment: &str) -> Result<ProjectId, ApiError> {
    Ok(ProjectId::parse(&target::decode(segment)?)?)
}
