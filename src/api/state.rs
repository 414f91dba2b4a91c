//! The server as handlers see it.

use super::cookies;
use super::error::{AccountError, ApiError};
use super::site::pages::AuthLinks;
use crate::accounts::{Accounts, OpenError};
use crate::auth::access::Denied;
use crate::auth::client::Client;
use crate::auth::credential::{self, Credential};
use crate::auth::rate_limit::RateLimiter;
use crate::auth::throttle::Throttle;
use crate::catalog::{Catalog, ChangeError, Registry};
use crate::config::schema::Registration;
use crate::http::request::Head;
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
    /// Whether it is read again, because the changes that its first answer depended on were rolled back.
    pub is_repeated: bool,
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

    /// The accounts of the server.
    ///
    /// # Errors
    /// [`AccountError::Disabled`]; [`ChangeError::Unreadable`] if their files could not be read.
    pub fn accounts(&self, registry: &Registry) -> Result<&Arc<Accounts>, ApiError> {
        match &self.accounts {
            Some(Ok(accounts)) if registry.accounts.enabled => Ok(accounts),
            Some(Err(_)) if registry.accounts.enabled => Err(ChangeError::Unreadable.into()),
            Some(_) | None => Err(AccountError::Disabled.into()),
        }
    }

    /// What this server has for a visitor who is not signed in.
    pub fn auth_links(&self, registry: &Registry) -> AuthLinks {
        let settings = &registry.accounts;
        match settings.registration {
            _ if self.accounts.is_none() || !settings.enabled => AuthLinks::Nothing,
            Registration::Open => AuthLinks::LogInOrRegister,
            Registration::Closed => AuthLinks::LogIn,
        }
    }

    /// The token of the session that the browser has, unless a header field has a credential.
    pub fn session<'b>(&self, head: &'b Head<'_>, client: Client, registry: &Registry) -> Option<&'b str> {
        let session = self.session_cookie(head, client, registry);
        session.filter(|_| matches!(self.credential(head, client, registry), Ok(None)))
    }

    /// The token in the session cookie, whatever else the request has.
    pub fn session_cookie<'b>(
        &self,
        head: &'b Head<'_>,
        client: Client,
        registry: &Registry,
    ) -> Option<&'b str> {
        let accounts = self.accounts(registry).ok()?;
        cookies::session(head, accounts, client).or_else(|| cookies::former_session(head, accounts, client))
    }

    /// The credential in the header fields of a request.
    pub fn credential<'b>(
        &self,
        head: &'b Head<'_>,
        client: Client,
        registry: &Registry,
    ) -> Result<Option<Credential<'b>>, Denied> {
        credential::credential(head, || {
            self.accounts(registry).is_ok_and(|accounts| cookies::session(head, accounts, client).is_some())
        })
    }
}
