//! Every route, with requests to it that would do something if they were let through.

/// Whose credential a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nobodys,
    Global,
    Project,
    /// An API key or a token; 403 otherwise.
    Item,
    /// A token; 401 otherwise.
    Token,
    /// A token or a session; 401 otherwise.
    TokenOrSession,
    /// A session; the way in otherwise.
    Session,
}

/// A route: method, pattern, whom it takes, and path and body of a request. `{}` in a path is a project.
pub struct Route {
    pub method: &'static str,
    pub pattern: &'static str,
    pub takes: Takes,
    pub path: &'static str,
    pub body: &'static str,
}

const fn route(
    method: &'static str,
    pattern: &'static str,
    takes: Takes,
    path: &'static str,
    body: &'static str,
) -> Route {
    Route { method, pattern, takes, path, body }
}

const KEY: &str = "/api/v1/projects/{}/keys/{...}";
const MARK: &str = "/api/v1/projects/{}/keys/mark";
const BATCH: &str = r#"{"operations":[{"op":"get","key":"mark"},{"op":"set","key":"mark","value":0}]}"#;
const BAD_LOGIN: &str = r#"{"username":"one","password":"wrong"}"#;
const VALUE: &str = r#"{"value":"stolen"}"#;
const DATA: &str = r#"{"data":"stolen"}"#;
const KEY_AND_VALUE: &str = r#"{"key":"mark","value":"stolen"}"#;
const MARK_KEYS: &str = r#"{"keys":["mark","../mark","x"]}"#;

pub const ROUTES: &[Route] = &[
    route("GET", KEY, Takes::Project, MARK, ""),
    route("PUT", KEY, Takes::Project, MARK, "\"stolen\""),
    route("POST", KEY, Takes::Project, MARK, VALUE),
    route("DELETE", KEY, Takes::Project, MARK, ""),
    route("POST", "/api/v1/projects/{}/batch", Takes::Project, "/api/v1/projects/{}/batch", BATCH),
    route("GET", "/api/v1/projects/{}/keys", Takes::Project, "/api/v1/projects/{}/keys?meta=true", ""),
    route("DELETE", "/api/v1/projects/{}/keys", Takes::Project, "/api/v1/projects/{}/keys", ""),
    route("GET", "/api/v1/projects/{}", Takes::Project, "/api/v1/projects/{}", ""),
    route("PUT", "/api/v1/projects/{}", Takes::Project, "/api/v1/projects/{}", "{\"storage\":{}}"),
    route("DELETE", "/api/v1/projects/{}", Takes::Global, "/api/v1/projects/{}", ""),
    route(
        "POST",
        "/api/v1/projects/{}/api-key/regenerate",
        Takes::Global,
        "/api/v1/projects/{}/api-key/regenerate",
        "",
    ),
    route("GET", "/api/v1/projects", Takes::Global, "/api/v1/projects", ""),
    route("POST", "/api/v1/projects", Takes::Global, "/api/v1/projects", "{\"id\":\"stolen\"}"),
    route("GET", "/api/v1/accounts", Takes::Global, "/api/v1/accounts", ""),
    route(
        "POST",
        "/api/v1/accounts",
        Takes::Global,
        "/api/v1/accounts",
        "{\"username\":\"stolen\",\"password\":\"Secret1!!\"}",
    ),
    route("PUT", "/api/v1/accounts/{...}", Takes::Global, "/api/v1/accounts/one", "{\"disabled\":true}"),
    route("DELETE", "/api/v1/accounts/{...}", Takes::Global, "/api/v1/accounts/one", ""),
    route("GET", "/item/{...}", Takes::Item, "/item/mark", ""),
    route("POST", "/item/{...}", Takes::Item, "/item/mark", VALUE),
    route("PUT", "/item/{...}", Takes::Item, "/item/mark", VALUE),
    route("DELETE", "/item/{...}", Takes::Item, "/item/mark", ""),
    route("POST", "/login", Takes::Nobodys, "/login", BAD_LOGIN),
    route("POST", "/api/object", Takes::Token, "/api/object", "{\"key\":\"mark\",\"data\":1}"),
    route("GET", "/api/object/{...}", Takes::Token, "/api/object/mark", ""),
    route("PUT", "/api/object/{...}", Takes::Token, "/api/object/mark", DATA),
    route("DELETE", "/api/object/{...}", Takes::Token, "/api/object/mark", ""),
    route("POST", "/api/batch/object", Takes::Token, "/api/batch/object", "[{\"key\":\"mark\",\"data\":1}]"),
    route("POST", "/api/batch/object/get", Takes::Token, "/api/batch/object/get", MARK_KEYS),
    route("POST", "/api/batch/object/delete", Takes::Token, "/api/batch/object/delete", MARK_KEYS),
    route("GET", "/api/register", Takes::Nobodys, "/api/register", ""),
    route("POST", "/api/register", Takes::Nobodys, "/api/register", "{\"username\":\"one\"}"),
    route("GET", "/api/token", Takes::Nobodys, "/api/token", ""),
    route("POST", "/api/token", Takes::Nobodys, "/api/token", "{\"username\":\"one\"}"),
    route("GET", "/api/login", Takes::Nobodys, "/api/login", ""),
    route("POST", "/api/login", Takes::Nobodys, "/api/login", "{\"username\":\"one\"}"),
    // With a parameter that it does not have, so that it leaves the sessions of the walk alone.
    route("GET", "/api/logout", Takes::Nobodys, "/api/logout?only", ""),
    route("GET", "/dashboard", Takes::Session, "/dashboard", ""),
    route("GET", "/api/data", Takes::TokenOrSession, "/api/data", ""),
    route("POST", "/api/data", Takes::TokenOrSession, "/api/data", KEY_AND_VALUE),
    route("GET", "/api/data/retrieve", Takes::TokenOrSession, "/api/data/retrieve?key=mark", ""),
    route("GET", "/api/data/update", Takes::TokenOrSession, "/api/data/update", ""),
    route("POST", "/api/data/update", Takes::TokenOrSession, "/api/data/update", KEY_AND_VALUE),
    route("GET", "/api/data/delete", Takes::TokenOrSession, "/api/data/delete", ""),
    route("POST", "/api/data/delete", Takes::TokenOrSession, "/api/data/delete", "{\"key\":\"mark\"}"),
    route("GET", "/api/data/{...}", Takes::TokenOrSession, "/api/data/mark", ""),
    route("PUT", "/api/data/{...}", Takes::TokenOrSession, "/api/data/mark", VALUE),
    route("DELETE", "/api/data/{...}", Takes::TokenOrSession, "/api/data/mark", ""),
    route("GET", "/static/pikv.css", Takes::Nobodys, "/static/pikv.css", ""),
    route("GET", "/", Takes::Nobodys, "/", ""),
    route("GET", "/healthz", Takes::Nobodys, "/healthz", ""),
    route("GET", "/readyz", Takes::Nobodys, "/readyz", ""),
];

/// Method, pattern and access of every route, as the server's own table has them.
fn routes_of_the_server() -> Vec<(String, String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/routes.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("(Method::"));
    let routes = lines.map(|line| {
        let mut parts = line.splitn(4, ", ");
        let method = parts.next().unwrap().to_uppercase();
        let pattern =
            parts.next().unwrap().trim_matches('"').replace("pages::STYLESHEET_PATH", "/static/pikv.css");
        let access = parts.next().unwrap().trim_start_matches("Access::").to_owned();
        (method, pattern, access)
    });
    routes.collect()
}

#[test]
fn the_list_of_routes_is_that_of_the_server() {
    let listed = ROUTES.iter().map(|route| {
        let access = match route.takes {
            Takes::Nobodys => "Open",
            Takes::Global => "Global",
            Takes::Project => "Project",
            Takes::Item | Takes::Token | Takes::TokenOrSession | Takes::Session => "Account",
        };
        (route.method.to_owned(), route.pattern.to_owned(), access.to_owned())
    });
    assert_eq!(listed.collect::<Vec<_>>(), routes_of_the_server());
}
