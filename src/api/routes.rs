//! The whole route table.

use super::authority::Access;
use super::context::Context;
use super::core::{accounts, batch, keys, listing, projects};
use super::error::ApiError;
use super::object::batch as object_batch;
use super::reply::Reply;
use super::site::{data, pages, registration, sign_in};
use super::{item, object, ops};
use crate::http::request::Method;
use crate::router::{self, Captures};

/// What answers a request.
pub type Handler = fn(&Context<'_>) -> Result<Reply, ApiError>;

/// A route that fits a request. A HEAD is answered like a GET.
pub struct Found<'p> {
    /// What answers it.
    pub handler: Handler,
    /// Whose credential it asks for.
    pub access: Access,
    /// The variable parts of the path.
    pub captures: Captures<'p>,
}

/// Method, path, credential, handler. The most used come first: the table is searched in order.
const ROUTES: &[(Method, &str, Access, Handler)] = &[
    (Method::Get, "/api/v1/projects/{}/keys/{...}", Access::Project, keys::get),
    (Method::Put, "/api/v1/projects/{}/keys/{...}", Access::Project, keys::put),
    (Method::Post, "/api/v1/projects/{}/keys/{...}", Access::Project, keys::post),
    (Method::Delete, "/api/v1/projects/{}/keys/{...}", Access::Project, keys::delete),
    (Method::Post, "/api/v1/projects/{}/batch", Access::Project, batch::run),
    (Method::Get, "/api/v1/projects/{}/keys", Access::Project, listing::list),
    (Method::Delete, "/api/v1/projects/{}/keys", Access::Project, keys::clear),
    (Method::Get, "/api/v1/projects/{}", Access::Project, projects::get),
    (Method::Put, "/api/v1/projects/{}", Access::Settings, projects::update),
    (Method::Delete, "/api/v1/projects/{}", Access::Global, projects::delete),
    (Method::Post, "/api/v1/projects/{}/api-key/regenerate", Access::Global, projects::regenerate),
    (Method::Get, "/api/v1/projects", Access::Global, projects::list),
    (Method::Post, "/api/v1/projects", Access::Global, projects::create),
    (Method::Get, "/api/v1/accounts", Access::Global, accounts::list),
    (Method::Post, "/api/v1/accounts", Access::Global, accounts::create),
    (Method::Put, "/api/v1/accounts/{...}", Access::Global, accounts::update),
    (Method::Delete, "/api/v1/accounts/{...}", Access::Global, accounts::delete),
    (Method::Get, "/item/{...}", Access::Account, item::get),
    (Method::Post, "/item/{...}", Access::Account, item::post),
    (Method::Put, "/item/{...}", Access::Account, item::put),
    (Method::Delete, "/item/{...}", Access::Account, item::delete),
    (Method::Post, "/login", Access::Open, item::login),
    (Method::Post, "/api/object", Access::Account, object::post),
    (Method::Get, "/api/object/{...}", Access::Account, object::get),
    (Method::Put, "/api/object/{...}", Access::Account, object::put),
    (Method::Delete, "/api/object/{...}", Access::Account, object::delete),
    (Method::Post, "/api/batch/object", Access::Account, object_batch::create),
    (Method::Post, "/api/batch/object/get", Access::Account, object_batch::get),
    (Method::Post, "/api/batch/object/delete", Access::Account, object_batch::delete),
    (Method::Get, "/api/register", Access::Open, registration::page),
    (Method::Post, "/api/register", Access::Open, registration::register),
    (Method::Get, "/api/token", Access::Open, sign_in::token_page),
    (Method::Post, "/api/token", Access::Open, sign_in::token),
    (Method::Get, "/api/login", Access::Open, sign_in::login_page),
    (Method::Post, "/api/login", Access::Open, sign_in::login),
    (Method::Get, "/api/logout", Access::Open, sign_in::logout),
    (Method::Post, "/api/logout", Access::Open, sign_in::logout),
    (Method::Get, "/dashboard", Access::Account, sign_in::dashboard),
    (Method::Get, "/api/data", Access::Account, data::store_page),
    (Method::Post, "/api/data", Access::Account, data::store),
    (Method::Get, "/api/data/retrieve", Access::Account, data::retrieve),
    (Method::Get, "/api/data/update", Access::Account, data::update_page),
    (Method::Post, "/api/data/update", Access::Account, data::update),
    (Method::Get, "/api/data/delete", Access::Account, data::delete_page),
    (Method::Post, "/api/data/delete", Access::Account, data::delete),
    (Method::Get, "/api/data/{...}", Access::Account, data::get),
    (Method::Put, "/api/data/{...}", Access::Account, data::put),
    (Method::Delete, "/api/data/{...}", Access::Account, data::delete_key),
    (Method::Get, pages::STYLESHEET_PATH, Access::Open, ops::stylesheet),
    (Method::Get, "/", Access::Open, sign_in::root),
    (Method::Get, "/healthz", Access::Open, ops::healthz),
    (Method::Get, "/readyz", Access::Open, ops::readyz),
];

/// The route of `method` and `path`, percent-encoded.
///
/// # Errors
/// [`ApiError::RouteMissing`]; [`ApiError::MethodNotAllowed`] where the path has other methods.
pub fn find(method: Method, path: &str) -> Result<Found<'_>, ApiError> {
    let method = if method == Method::Head { Method::Get } else { method };
    for (_, pattern, access, handler) in ROUTES.iter().filter(|route| route.0 == method) {
        if let Some(captures) = router::matches(pattern, path) {
            return Ok(Found { handler: *handler, access: *access, captures });
        }
    }
    let mut others: Vec<Method> = Vec::new();
    for (other, pattern, ..) in ROUTES {
        if !others.contains(other) && router::matches(pattern, path).is_some() {
            others.push(*other);
        }
    }
    if others.is_empty() {
        Err(ApiError::RouteMissing)
    } else {
        Err(ApiError::MethodNotAllowed { allow: allow(&others) })
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
    fn head_is_routed_like_get() {
        for path in ["/healthz", "/api/v1/projects/a/keys/b/c", "/api/v1/projects/a/keys"] {
            assert!(find(Method::Head, path).is_ok(), "{path}");
        }
    }

    #[test]
    fn known_path_with_another_method_names_the_methods_it_has() {
        let Err(ApiError::MethodNotAllowed { allow }) = find(Method::Patch, "/api/v1/projects/a/keys") else {
            panic!("no 405");
        };
        assert_eq!(allow, "GET, DELETE, HEAD, OPTIONS");
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
