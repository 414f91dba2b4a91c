//! The server as handlers see it, and the way of every request: route, credential, handler.

use super::catalog::{Catalog, Registry, Served};
use super::context::Context;
use super::error::ApiError;
use super::reply::Reply;
use super::routes::{self, Access, Found};
use crate::auth::access;
use crate::http::request::{Head, Method, Request};
use crate::http::response::Response;
use crate::http::target::{self, Target};
use crate::names::ProjectId;
use crate::secret::KeyHash;
use std::sync::Arc;

/// The server.
pub struct App {
    /// Its projects.
    pub catalog: Catalog,
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
    /// Answers a request at `now_ms`, milliseconds since 1970.
    pub fn handle(self: &Arc<Self>, request: &Request<'_>, now_ms: u64) -> Reply {
        let admitted = match self.decide(&request.head) {
            Ok(Decision::Run(admitted)) => admitted,
            Ok(Decision::Answer(response)) => return Reply::Now(response),
            Err(error) => return Reply::Now(error.response()),
        };
        let Admitted { found, query, served } = admitted;
        let context = Context { app: self, request, query, rest: found.captures.rest, served, now_ms };
        (found.handler)(&context).unwrap_or_else(|error| Reply::Now(error.response()))
    }

    /// Whether the body of a request is worth waiting for: route and credential are good.
    ///
    /// # Errors
    /// The answer, where they are not.
    pub fn admit(&self, head: &Head<'_>) -> Result<(), Response> {
        match self.decide(head) {
            // Its answer needs no body; the body is read and dropped first, so that the connection can go on.
            Ok(Decision::Run(_) | Decision::Answer(_)) => Ok(()),
            Err(error) => Err(error.response()),
        }
    }

    fn decide<'r>(&self, head: &Head<'r>) -> Result<Decision<'r>, ApiError> {
        let (path, query) = match head.target? {
            Target::Asterisk => return Ok(Decision::Answer(Response::new(204))),
            Target::Origin { path, query } => (path, query),
            Target::Authority => return Err(allowed_nowhere()),
        };
        match head.method {
            Method::Unknown => return Err(ApiError::MethodUnknown),
            Method::Trace => return Err(allowed_nowhere()),
            Method::Get | Method::Head | Method::Post | Method::Put | Method::Delete => {}
            Method::Options | Method::Patch | Method::Connect => {}
        }
        let found = match routes::find(head.method, path) {
            Ok(found) => found,
            Err(ApiError::MethodNotAllowed { allow }) if head.method == Method::Options => {
                return Ok(Decision::Answer(Response::new(204).field("allow", &allow)));
            }
            Err(error) => return Err(error),
        };
        let registry = self.catalog.registry();
        let served = match found.access {
            Access::Open => None,
            Access::Global => {
                authorize_global(head, &registry)?;
                named_project(found.captures.segment, &registry)?
            }
            Access::Project => Some(authorize_project(head, &registry, found.captures.segment)?),
        };
        Ok(Decision::Run(Admitted { found, query, served }))
    }
}

/// For the methods that no path takes: CONNECT and TRACE.
fn allowed_nowhere() -> ApiError {
    ApiError::MethodNotAllowed { allow: "GET, HEAD, POST, PUT, DELETE".to_owned() }
}

fn authorize_global(head: &Head<'_>, registry: &Registry) -> Result<(), ApiError> {
    if !registry.authentication_enabled {
        return Ok(());
    }
    let is_projects = |candidate: &KeyHash| {
        registry.projects.values().any(|served| served.key.as_ref().is_some_and(|key| key.matches(candidate)))
    };
    Ok(access::global(access::presented(head)?, registry.global_key.as_ref(), is_projects)?)
}

/// The project of a global route that names one.
fn named_project(segment: &str, registry: &Registry) -> Result<Option<Arc<Served>>, ApiError> {
    if segment.is_empty() {
        return Ok(None);
    }
    let id = parse_id(segment)?;
    registry.projects.get(&id).cloned().map(Some).ok_or(ApiError::ProjectMissing(id))
}

fn authorize_project(head: &Head<'_>, registry: &Registry, segment: &str) -> Result<Arc<Served>, ApiError> {
    let id = parse_id(segment)?;
    let served = registry.projects.get(&id);
    if registry.authentication_enabled {
        access::project(head, registry.global_key.as_ref(), served.map(|served| served.keys()))?;
    }
    served.cloned().ok_or(ApiError::ProjectMissing(id))
}

fn parse_id(segment: &str) -> Result<ProjectId, ApiError> {
    ProjectId::parse(&target::decode(segment)?).map_err(ApiError::ProjectId)
}
