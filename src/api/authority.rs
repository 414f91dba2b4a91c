//! Authorization: whether a request may use its route.
//!
//! A request to the administration lane is checked twice, on arrival and before it changes something:
//! a key that was replaced while the request waited must not change anything.

use super::error::ApiError;
use crate::auth::access::{self, Denied, Grant};
use crate::auth::client::Client;
use crate::auth::credential::{Credential, SentAs};
use crate::catalog::{ChangeError, Registry, Served};
use crate::http::request::Head;
use crate::http::target;
use crate::names::ProjectId;
use crate::secret::KeyHash;
use std::net::IpAddr;
use std::sync::Arc;

/// The credential that a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Open,
    /// The global key.
    Global,
    /// The key of the project in the path, or the global key.
    Project,
    /// As [`Needs::Project`], but only the global key if the project requires none: the new settings decide who can
    /// use the project.
    Settings,
    /// The handler checks the credential (`credentials.rs`).
    Account,
}

impl Needs {
    pub fn is_key(self) -> bool {
        match self {
            Needs::Open | Needs::Account => false,
            Needs::Global | Needs::Project | Needs::Settings => true,
        }
    }
}

/// What an authorized request may use.
pub struct Authority {
    /// The project that the path names, if it names one.
    pub served: Option<Arc<Served>>,
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

/// The credential of a request as an API key, or what is wrong with it.
#[derive(Clone, Copy)]
pub struct SentKey(Result<Option<(KeyHash, SentAs)>, Denied>);

/// The sender of a request.
pub struct Principal {
    pub client: Client,
    /// Its credential as an API key, if the route needs one.
    pub sent: Option<SentKey>,
    /// What that grants.
    pub authority: Authority,
}

/// A credential and what it is needed for, kept while a request waits.
pub struct Claim {
    pub needs: Needs,
    pub sent: SentKey,
    pub segment: String,
    pub address: IpAddr,
}

impl SentKey {
    /// The `credential` of a request with this head.
    pub fn of(credential: Result<Option<Credential<'_>>, Denied>, head: &Head<'_>) -> SentKey {
        SentKey(match credential {
            Ok(None) if head.fields("authorization").next().is_some() => Err(Denied::BasicIgnored),
            Ok(None) => Ok(None),
            Ok(Some(credential)) if credential.text.is_empty() && credential.sent_as == SentAs::Explicit => {
                Ok(None)
            }
            Ok(Some(credential)) => credential.key_hash().map(|hash| Some((hash, credential.sent_as))),
            Err(denied) => Err(denied),
        })
    }

    /// What `decide` grants for the credential, and how that was sent; `None` if the request has no credential.
    fn grant(
        &self,
        decide: impl FnOnce(Option<KeyHash>) -> Result<Grant, Denied>,
    ) -> Result<(Grant, Option<SentAs>), Denied> {
        let sent = self.0?;
        Ok((decide(sent.map(|(hash, _)| hash))?, sent.map(|(_, sent_as)| sent_as)))
    }
}

impl Claim {
    /// Checks it against the current keys. The origin of the request was checked on arrival. Returns also who asks for
    /// the change, for the log.
    pub fn check(&self, registry: &Registry) -> Result<(Authority, String), ApiError> {
        let authority = authorize(self.needs, Some(&self.sent), || Ok(()), registry, &self.segment)?;
        let author = format!("{} with {}", self.address, authority.grant);
        Ok((authority, author))
    }
}

/// Authorizes a request that has what `needs` asks for. `sent` is its credential, which is ignored if no key is
/// needed, and `segment` the project in its path, percent-encoded. `check_site` refuses a page of another site; it is
/// called unless a credential that no page can send grants the request.
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
    let granted = sent.grant(|sent| access::global(sent, registry.global_key.as_ref(), is_projects));
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
    let granted = sent.grant(|sent| access::project(sent, registry.global_key.as_ref(), key));
    granted_or_open(granted, asks_for_key, check_site)
}

/// The grant of a request that has a valid key or needs none.
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
