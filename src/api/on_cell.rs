//! Requests on a server whose storage blocks: each runs as a whole on a thread of its cell.
//!
//! What this instance knows of projects is a copy, and another instance may have changed it. Every transaction on a
//! project compares the version of that copy, so nothing is done for a key that was revoked: it fails with
//! [`StorageError::Stale`], the copy is read again, and so is the request. A refusal that an old copy may have caused is
//! checked against a new one before it is sent.

use super::dispatch::Routed;
use super::reply::{Piece, Pull, Reply, Source};
use super::state::{App, RequestOrigin};
use crate::http::request::Request;
use crate::limits::{CELL_REQUEST_MS, STALE_RUNS_MAX};
use crate::names::{KeyRule, ProjectId};
use crate::storage::etcd::due;
use crate::store::error::StorageError;
use std::sync::Arc;
use std::time::Duration;

impl App {
    /// Answers a request whose head was `routed`. Blocks.
    pub fn handle_on_cell(
        self: &Arc<Self>,
        request: &Request<'_>,
        routed: Routed,
        origin: RequestOrigin,
    ) -> Reply {
        let due = origin.at + Duration::from_millis(CELL_REQUEST_MS);
        due::until(due, || self.run_on_cell(request, routed, origin))
    }

    fn run_on_cell(
        self: &Arc<Self>,
        request: &Request<'_>,
        mut routed: Routed,
        origin: RequestOrigin,
    ) -> Reply {
        let mut is_checked = false;
        for _ in 0..STALE_RUNS_MAX {
            let registry = Arc::clone(routed.registry());
            let reply = begun(self.handle(request, routed, origin));
            let error = match &reply {
                Reply::Ready(Err(error), _) => error,
                Reply::Ready(Ok(_), _) | Reply::Job(..) | Reply::Stream(..) => return reply,
            };
            let renewed = if let Some(id) = error.stale_project() {
                self.renew(id)
            } else if error.may_be_outdated() && !is_checked {
                is_checked = true;
                // Another thread may have read the newer catalog.
                self.catalog.refresh().map(|_| !Arc::ptr_eq(&registry, &self.catalog.registry()))
            } else {
                Ok(false)
            };
            match renewed {
                Ok(true) => routed = self.route(&request.head, origin.peer),
                Ok(false) => return self.with_visitor(reply, request, origin),
                Err(error) => return Reply::failed(error.into()),
            }
        }
        Reply::failed(StorageError::Busy.into())
    }

    /// A failure with the name of the visitor, if it is shown on a page. The event loop cannot look that up.
    fn with_visitor(&self, reply: Reply, request: &Request<'_>, origin: RequestOrigin) -> Reply {
        let Reply::Ready(Err(error), None) = reply else { return reply };
        let routed = self.route(&request.head, origin.peer);
        let style = self.failure_style_for(&request.head, Some(request.body), &routed, true);
        if style.viewer.is_some() { Reply::now(error.response_in(&style)) } else { Reply::failed(error) }
    }

    /// Reads what another instance has changed of a project. Accounts are read by each request.
    fn renew(&self, id: &ProjectId) -> Result<bool, StorageError> {
        match self.catalog.cells() {
            Some(cells) if id.key_rule() == KeyRule::Clients => cells.renew(id).map(|()| true),
            Some(_) | None => Ok(true),
        }
    }
}

/// `reply`, with the first piece of a stream produced: if that fails, nothing was sent yet.
fn begun(reply: Reply) -> Reply {
    let Reply::Stream(response, mut source) = reply else { return reply };
    let mut bytes = Vec::new();
    let first = match (source.next)(Pull::Next, &mut bytes) {
        Piece::Broken(error) => return Reply::failed(error),
        first @ (Piece::More(_) | Piece::Last(_)) => first,
    };
    let mut first = Some((first, bytes));
    let mut rest = source.next;
    let next = Box::new(move |pull, out: &mut Vec<u8>| match first.take() {
        Some((piece, bytes)) => {
            out.extend_from_slice(&bytes);
            piece
        }
        None => rest(pull, out),
    });
    Reply::Stream(response, Source { next, ..source })
}
