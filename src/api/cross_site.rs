//! Refuses what pages of other sites make a browser send, and hosts that this server does not have.
//!
//! A page cannot read what another origin answers, unless `cors.origins` names it, but it can send: a
//! form to a project without authentication on its visitor's own network is a write. So every request
//! that rests on nothing that a page cannot send is checked. A credential in a field of its own is such
//! a thing; a session cookie and `Authorization: Basic` are not, because browsers add them.
//!
//! DNS rebinding makes a page of this server's origin out of a stranger's; only `public_hosts` helps.

use super::error::ApiError;
use super::error::shown;
use crate::auth::client;
use crate::auth::csrf::{self, Own};
use crate::catalog::Registry;
use crate::http::request::Head;
use std::net::IpAddr;

/// Paths that tell nothing of a project and nobody can do harm with; monitors ask by address.
const PATHS_FOR_ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

/// Which other origins may send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// None: it rests on a session, which belongs to the pages of this server alone.
    Nobody,
    /// Those of `cors.origins`.
    Scripts,
    /// Those of `cors.origins` and `public_origins`, and anyone who follows a link.
    Configured,
}

/// Refuses the request `head` from `peer` if a page of another site sent it that is not `trusted`.
///
/// # Errors
/// [`ApiError::Forgery`]. The log has it too.
pub(crate) fn check(
    head: &Head<'_>,
    peer: IpAddr,
    registry: &Registry,
    trusted: Trusted,
) -> Result<(), ApiError> {
    let own = Own {
        host: head.authority(),
        forwarded_host: client::forwarded_host(head, peer, &registry.trusted_proxies),
        is_tls: client::client(head, peer, &registry.trusted_proxies).is_tls,
        public_origins: &registry.public_origins,
    };
    let Err(forgery) = csrf::check(head, &own) else { return Ok(()) };
    let is_trusted = match trusted {
        Trusted::Nobody => false,
        Trusted::Scripts => csrf::is_of(head, &registry.cors_origins),
        Trusted::Configured => {
            csrf::is_of(head, &registry.cors_origins)
                || csrf::is_of(head, &registry.public_origins)
                || csrf::is_link(head)
        }
    };
    if is_trusted {
        return Ok(());
    }
    let address = client::client(head, peer, &registry.trusted_proxies).address;
    log::warn!("refused a request from {address}: {forgery}");
    Err(ApiError::Forgery(forgery))
}

/// Refuses a request that names a host other than those of `public_hosts`, if there are any.
pub(crate) fn check_host(
    head: &Head<'_>,
    path: &str,
    peer: IpAddr,
    registry: &Registry,
) -> Result<(), ApiError> {
    if registry.public_hosts.is_empty() || PATHS_FOR_ANY_HOST.contains(&path) {
        return Ok(());
    }
    let forwarded = client::forwarded_host(head, peer, &registry.trusted_proxies);
    let mut named = [head.authority(), forwarded].into_iter().flatten();
    if named.any(|host| registry.public_hosts.iter().any(|known| known.matches(host))) {
        return Ok(());
    }
    let error = ApiError::HostUnknown { host: shown(head.authority().unwrap_or_default()) };
    log::warn!("refused a request from {peer}: {}", error.detail());
    Err(error)
}
