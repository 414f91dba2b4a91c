//! Refuses requests that pages of other sites cause browsers to send, and requests for unknown hosts.
//!
//! A page cannot read the response of another origin, unless `cors.origins` names it, but it can send requests: a
//! form to a project without authentication on its visitor's own network is a write. So every request is checked
//! unless it has something that no page can send. A credential in a field of its own is that; a session cookie and
//! `Authorization: Basic` are not, because browsers add them.
//!
//! By DNS rebinding, a page of another site gets the origin of this server; only `public_hosts` prevents that.

use super::error::{ApiError, Part, shown};
use crate::auth::client;
use crate::auth::csrf::{self, Own};
use crate::catalog::Registry;
use crate::http::request::Head;
use std::net::IpAddr;

/// Paths that reveal nothing of a project and change nothing; monitors request them by address.
const PATHS_FOR_ANY_HOST: [&str; 2] = ["/healthz", "/readyz"];

/// Which other origins may send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// None: the request has a session, which only the pages of this server may use.
    NoOrigin,
    /// Those of `cors.origins`.
    Scripts,
    /// Those of `cors.origins` and `public_origins`, and anyone who follows a link.
    Configured,
}

/// Refuses the request `head` from `peer` if a page of another site sent it that is not `trusted`.
///
/// # Errors
/// [`Part::Site`]. The log has it too.
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
        Trusted::NoOrigin => false,
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
    Err(Part::Site.invalid(forgery))
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
    let host = shown(head.authority().unwrap_or_default());
    let detail = format!(
        "Host is `{host}`; public_hosts in config.json has only others. Use one of them, or add this one."
    );
    log::warn!("refused a request from {peer}: {detail}");
    Err(Part::Host.invalid(detail))
}
