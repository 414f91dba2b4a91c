//! The route table.

use super::authority::Needs;
use super::context::Context;
use super::core::{accounts, batch, keys, listing, projects};
use super::error::ApiError;
use super::error::style::Dialect;
use super::object::batch as object_batch;
use super::reply::{Lane, Reply};
use super::site::{data, pages, registration, sign_in};
use super::{item, object, ops};
use crate::http::request::Method;
use crate::router::{self, Captures};
use Dialect::{Item, Object, Problem, Site};
use JobsIn::{Admin, Disk, None, Password};
use Method::{Delete, Get, Post, Put};

pub type Handler = fn(&Context<'_>) -> Result<Reply, ApiError>;

pub struct Route {
    method: Method,
    pattern: &'static str,
    pub needs: Needs,
    /// The lane of the jobs that its handler returns.
    pub jobs_in: JobsIn,
    /// The form of its failures.
    pub dialect: Dialect,
    pub handler: Handler,
}

/// The lane of the jobs of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsIn {
    /// It has no jobs.
    None,
    Disk,
    Admin,
    Password,
}

/// The route of a request. A HEAD has that of a GET.
pub struct Found<'p> {
    pub route: &'static Route,
    pub captures: Captures<'p>,
}

const fn row(
    method: Method,
    pattern: &'static str,
    needs: Needs,
    jobs_in: JobsIn,
    dialect: Dialect,
    handler: Handler,
) -> Route {
    Route { method, pattern, needs, jobs_in, dialect, handler }
}

/// The columns are those of [`Route`]. The table is searched in order, so the most used routes come first.
const ROUTES: &[Route] = &[
    row(Get, "/api/v1/projects/{}/keys/{...}", Needs::Project, Disk, Problem, keys::get),
    row(Put, "/api/v1/projects/{}/keys/{...}", Needs::Project, None, Problem, keys::put),
    row(Post, "/api/v1/projects/{}/keys/{...}", Needs::Project, None, Problem, keys::post),
    row(Delete, "/api/v1/projects/{}/keys/{...}", Needs::Project, None, Problem, keys::delete),
    row(Post, "/api/v1/projects/{}/batch", Needs::Project, Disk, Problem, batch::run),
    row(Get, "/api/v1/projects/{}/keys", Needs::Project, Disk, Problem, listing::list),
    row(Delete, "/api/v1/projects/{}/keys", Needs::Project, Disk, Problem, keys::clear),
    row(Get, "/api/v1/projects/{}", Needs::Project, None, Problem, projects::get),
    row(Put, "/api/v1/projects/{}", Needs::Settings, Admin, Problem, projects::update),
    row(Delete, "/api/v1/projects/{}", Needs::Global, Admin, Problem, projects::delete),
    row(Post, "/api/v1/projects/{}/api-key/regenerate", Needs::Global, Admin, Problem, projects::regenerate),
    row(Get, "/api/v1/projects", Needs::Global, Admin, Problem, projects::list),
    row(Post, "/api/v1/projects", Needs::Global, Admin, Problem, projects::create),
    row(Get, "/api/v1/accounts", Needs::Global, Admin, Problem, accounts::list),
    row(Post, "/api/v1/accounts", Needs::Global, Password, Problem, accounts::create),
    row(Put, "/api/v1/accounts/{...}", Needs::Global, Password, Problem, accounts::update),
    row(Delete, "/api/v1/accounts/{...}", Needs::Global, Admin, Problem, accounts::delete),
    row(Get, "/item/{...}", Needs::Account, Disk, Item, item::get),
    row(Post, "/item/{...}", Needs::Account, None, Item, item::post),
    row(Put, "/item/{...}", Needs::Account, None, Item, item::put),
    row(Delete, "/item/{...}", Needs::Account, None, Item, item::delete),
    row(Post, "/login", Needs::Open, Password, Item, item::login),
    row(Post, "/api/object", Needs::Account, None, Object, object::post),
    row(Get, "/api/object/{...}", Needs::Account, Disk, Object, object::get),
    row(Put, "/api/object/{...}", Needs::Account, None, Object, object::put),
    row(Delete, "/api/object/{...}", Needs::Account, None, Object, object::delete),
    row(Post, "/api/batch/object", Needs::Account, None, Object, object_batch::create),
    row(Post, "/api/batch/object/get", Needs::Account, Disk, Object, object_batch::get),
    row(Post, "/api/batch/object/delete", Needs::Account, None, Object, object_batch::delete),
    row(Get, "/api/register", Needs::Open, None, Site, registration::page),
    row(Post, "/api/register", Needs::Open, Password, Site, registration::register),
    row(Get, "/api/token", Needs::Open, None, Site, sign_in::token_page),
    row(Post, "/api/token", Needs::Open, Password, Site, sign_in::token),
    row(Get, "/api/login", Needs::Open, None, Site, sign_in::login_page),
    row(Post, "/api/login", Needs::Open, Password, Site, sign_in::login),
    row(Get, "/api/logout", Needs::Open, None, Site, sign_in::logout),
    row(Post, "/api/logout", Needs::Open, None, Site, sign_in::logout),
    row(Get, "/dashboard", Needs::Account, None, Site, sign_in::dashboard),
    row(Get, "/api/data", Needs::Account, Disk, Site, data::store_page),
    row(Post, "/api/data", Needs::Account, None, Site, data::store),
    row(Get, "/api/data/retrieve", Needs::Account, Disk, Site, data::retrieve),
    row(Get, "/api/data/update", Needs::Account, Disk, Site, data::update_page),
    row(Post, "/api/data/update", Needs::Account, None, Site, data::update),
    row(Get, "/api/data/delete", Needs::Account, Disk, Site, data::delete_page),
    row(Post, "/api/data/delete", Needs::Account, None, Site, data::delete),
    row(Get, "/api/data/{...}", Needs::Account, Disk, Site, data::get),
    row(Put, "/api/data/{...}", Needs::Account, None, Site, data::put),
    row(Delete, "/api/data/{...}", Needs::Account, None, Site, data::delete_key),
    row(Get, pages::STYLESHEET_PATH, Needs::Open, None, Problem, ops::stylesheet),
    row(Get, "/", Needs::Open, None, Problem, sign_in::root),
    row(Get, "/healthz", Needs::Open, None, Problem, ops::healthz),
    row(Get, "/readyz", Needs::Open, None, Problem, ops::readyz),
];

/// The route of `method` and `path`, percent-encoded.
///
/// # Errors
/// [`ApiError::RouteMissing`]; [`ApiError::MethodNotAllowed`] if the path has other methods.
pub fn find(method: Method, path: &str) -> Result<Found<'_>, ApiError> {
    let routed = if method == Method::Head { Get } else { method };
    for route in ROUTES.iter().filter(|route| route.method == routed) {
        if let Some(captures) = router::matches(route.pattern, path) {
            return Ok(Found { route, captures });
        }
    }
    let mut others: Vec<Method> = Vec::new();
    for route in ROUTES {
        if !others.contains(&route.method) && router::matches(route.pattern, path).is_some() {
            others.push(route.method);
        }
    }
    if others.is_empty() {
        Err(ApiError::RouteMissing)
    } else {
        Err(ApiError::MethodNotAllowed { method: method.as_str(), allow: allow(&others) })
    }
}

/// The form of failures for a path without a route: that of the API to which it belongs. `path` may have its query,
/// and need not be valid.
pub fn dialect_of(path: &[u8]) -> Dialect {
    let is_in = |route: &&Route| {
        let base = route.pattern.split("/{").next().unwrap_or_default();
        let rest = path.strip_prefix(base.as_bytes()).filter(|_| base != "/");
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| b"/?".contains(byte)))
    };
    ROUTES.iter().find(is_in).map_or(Problem, |route| route.dialect)
}

impl Route {
    /// Whether its handler may read or write keys or accounts.
    pub fn uses_storage(&self) -> bool {
        self.needs != Needs::Open || self.dialect != Problem
    }

    /// Whether its requests write keys, in one step, and nothing else.
    pub fn writes_keys(&self) -> bool {
        let is_for_keys = match self.needs {
            Needs::Project | Needs::Account => true,
            Needs::Open | Needs::Global | Needs::Settings => false,
        };
        is_for_keys && matches!(self.method, Post | Put | Delete)
    }
}

impl JobsIn {
    /// Whether `reply` may be from a route with this lane.
    pub fn has(self, reply: &Reply) -> bool {
        let lane = match reply {
            Reply::Ready(..) => return true,
            Reply::Job(lane, ..) => lane,
            Reply::Stream(_, source) => &source.lane,
        };
        match lane {
            Lane::Loop | Lane::Cell(_) => true,
            Lane::Disk => self == Disk,
            Lane::Admin => self == Admin,
            Lane::Password(_) => self == Password,
        }
    }
}

/// The `Allow` field of a path that has `methods`.
fn allow(methods: &[Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if methods.contains(&Method::Get) {
        names.push(Method::Head.as_str());
    }
    names.push(Method::Options.as_str());
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_route_has_the_dialect_of_its_api() {
        for (path, dialect) in [
            ("/item/a", Item),
            ("/item", Item),
            ("/login", Item),
            ("/items", Problem),
            ("/api/object/a", Object),
            ("/api/object?a=%", Object),
            ("/api/batch/object/get", Object),
            ("/api/data", Site),
            ("/api/data/a/b", Site),
            ("/api/database", Problem),
            ("/dashboard", Site),
            ("/api/v1/projects", Problem),
            ("/", Problem),
            ("", Problem),
        ] {
            assert_eq!(dialect_of(path.as_bytes()), dialect, "{path}");
        }
    }

    #[test]
    fn head_is_routed_like_get() {
        for path in ["/healthz", "/api/v1/projects/a/keys/b/c", "/api/v1/projects/a/keys"] {
            assert!(find(Method::Head, path).is_ok(), "{path}");
        }
    }

    #[test]
    fn known_path_with_another_method_names_the_methods_it_has() {
        let refused = |method, path| match find(method, path) {
            Err(ApiError::MethodNotAllowed { method, allow }) => (method, allow),
            _ => panic!("no 405"),
        };
        let keys = refused(Method::Patch, "/api/v1/projects/a/keys");
        assert_eq!(keys, ("PATCH", "GET, DELETE, HEAD, OPTIONS".to_owned()));
        let batch = refused(Method::Head, "/api/v1/projects/a/batch");
        assert_eq!(batch, ("HEAD", "POST, OPTIONS".to_owned()));
    }

    #[test]
    fn unknown_paths_are_missing() {
        for path in [
            "//",
            "/api/v1",
            "/api/v1/projects/",
            "/api/v1/projects/a/",
            "/api/v1/projects/a/other",
            "/healthz/",
        ] {
            assert!(matches!(find(Method::Get, path), Err(ApiError::RouteMissing)), "{path}");
        }
    }
}
