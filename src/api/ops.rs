//! Health checks, and the stylesheet.

use super::context::Context;
use super::error::ApiError;
use super::json_body::json_response;
use super::reply::Reply;
use super::site::pages;
use crate::http::response::Response;

/// `GET /healthz`: the process is running.
pub(crate) fn healthz(_: &Context<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::now(ok()))
}

/// `GET /readyz`: all projects are writable. Reports only the number of those that are not, because it needs no key.
/// The files are checked in the background, for the next response.
pub(crate) fn readyz(context: &Context<'_>) -> Result<Reply, ApiError> {
    let (app, now) = (context.app, context.origin.at);
    if app.catalog.look_at_files(now)
        && let Some(Ok(accounts)) = &app.accounts
    {
        accounts.look_at_files(now);
    }
    if let Some(cells) = app.catalog.cells() {
        return match cells.unready() {
            None => Ok(Reply::now(ok())),
            Some(cell) => Err(ApiError::CellNotReady { cell }),
        };
    }
    let unready = context.registry.projects.values().filter(|served| !served.is_ready()).count();
    let accounts = match &app.accounts {
        Some(Ok(accounts)) => usize::from(!accounts.is_healthy()),
        Some(Err(_)) => 1,
        None => 0,
    };
    let unready = unready + accounts;
    if unready == 0 { Ok(Reply::now(ok())) } else { Err(ApiError::NotReady { projects: unready }) }
}

/// `GET /static/pikv.css`
pub(crate) fn stylesheet(_: &Context<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::now(pages::stylesheet()))
}

fn ok() -> Response {
    json_response(200, b"{\"status\":\"ok\"}\n".to_vec())
}
