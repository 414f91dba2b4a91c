//! The server as handlers see it.

use super::cookies;
use super::error::{AccountError, ApiError};
use super::site::pages::WaysIn;
use crate::accounts::{Accounts, OpenError};
use crate::auth::access::Denied;
use crate::auth::client;
use crate::auth::credential::{self, Credential};
use crate::auth::rate_limit::RateLimiter;
use crate::auth::throttle::Throttle;
use crate::catalog::Catalog;
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
}
