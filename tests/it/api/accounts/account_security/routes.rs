//! Every route, with requests to it that would do something if they were let through.

/// Whose credential a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Nobodys,
    Global,
    Project,
    /// As `Project`; of a project without authentication the global key alone.
    Settings,
    /// An API key or a token; 403 otherwise.
    Item,
    /// A token; 401 otherwise.
    Token,
    /// A token or a session; 401 otherwise.
    TokenOrSession,
    /// A session; the way in otherwise.
    Session,
}

/// A route and a request to it.
pub struct Route {
    pub method: &'static str,
    /// `{}` in it is a project.
    pub pattern: &'static str,
    pub takes: Takes,
    /// What the request has in the place of `{...}`, or behind the pattern.
    rest: &'static str,
    pub body: &'static str,
}

impl Route {
    /// Where the request goes. `{}` in it is a project.
    pub fn path(&self) -> String {
        format!("{}{}", self.pattern.trim_end_matches("{...}"), self.rest)
    }
}

const fn route(
    method: &'static str,
    pattern: &'static str,
    takes: Takes,
    rest: &'static str,
    body: &'static str,
) -> Route {
    Route { method, pattern, takes, rest, body }
}

const KEY: &str = "/api/v1/projects/{}/keys/{...}";
const BATCH: &str = r#"{"operations":[{"op":"get","key":"mark"},{"op":"set","key":"mark","value":0}]}"#;
const NEW_ACCOUNT: &str = r#"{"username":"stolen","password":"Secret1!!"}"#;
const NAME: &str = r#"{"username":"one"}"#;
const BAD_LOGIN: &str = r#"{"username":"one","password":"wrong"}"#;
const VALUE: &str = r#"{"value":"stolen"}"#;
const DATA: &str = r#"{"data":"stolen"}"#;
const KEY_AND_VALUE: &str = r#"{"key":"mark","value":"stolen"}"#;
const MARK_KEYS: &str = r#"{"keys":["mark","../mark","x"]}"#;

pub const ROUTES: &[Route] = &[
    route("GET", KEY, Takes::Project, "mark", ""),
    route("PUT", KEY, Takes::Project, "mark", "\"stolen\""),
    route("POST", KEY, Takes::Project, "mark", VALUE),
    route("DELETE", KEY, Takes::Project, "mark", ""),
    route("POST", "/api/v1/projects/{}/batch", Takes::Project, "", BATCH),
    route("GET", "/api/v1/projects/{}/keys", Takes::Project, "?meta=true", ""),
    route("DELETE", "/api/v1/projects/{}/keys", Takes::Project, "", ""),
    route("GET", "/api/v1/projects/{}", Takes::Project, "", ""),
    route("PUT", "/api/v1/projects/{}", Takes::Settings, "", "{\"storage\":{}}"),
    route("DELETE", "/api/v1/projects/{}", Takes::Global, "", ""),
    route("POST", "/api/v1/projects/{}/api-key/regenerate", Takes::Global, "", ""),
    route("GET", "/api/v1/projects", Takes::Global, "", ""),
    route("POST", "/api/v1/projects", Takes::Global, "", "{\"id\":\"stolen\"}"),
    route("GET", "/api/v1/accounts", Takes::Global, "", ""),
    route("POST", "/api/v1/accounts", Takes::Global, "", NEW_ACCOUNT),
    route("PUT", "/api/v1/accounts/{...}", Takes::Global, "one", "{\"disabled\":true}"),
    route("DELETE", "/api/v1/accounts/{...}", Takes::Global, "one", ""),
    route("GET", "/item/{...}", Takes::Item, "mark", ""),
    route("POST", "/item/{...}", Takes::Item, "mark", VALUE),
    route("PUT", "/item/{...}", Takes::Item, "mark", VALUE),
    route("DELETE", "/item/{...}", Takes::Item, "mark", ""),
    route("POST", "/login", Takes::Nobodys, "", BAD_LOGIN),
    route("POST", "/api/object", Takes::Token, "", "{\"key\":\"mark\",\"data\":1}"),
    route("GET", "/api/object/{...}", Takes::Token, "mark", ""),
    route("PUT", "/api/object/{...}", Takes::Token, "mark", DATA),
    route("DELETE", "/api/object/{...}", Takes::Token, "mark", ""),
    route("POST", "/api/batch/object", Takes::Token, "", "[{\"key\":\"mark\",\"data\":1}]"),
    route("POST", "/api/batch/object/get", Takes::Token, "", MARK_KEYS),
    route("POST", "/api/batch/object/delete", Takes::Token, "", MARK_KEYS),
    route("GET", "/api/register", Takes::Nobodys, "", ""),
    route("POST", "/api/register", Takes::Nobodys, "", NAME),
    route("GET", "/api/token", Takes::Nobodys, "", ""),
    route("POST", "/api/token", Takes::Nobodys, "", NAME),
    route("GET", "/api/login", Takes::Nobodys, "", ""),
    route("POST", "/api/login", Takes::Nobodys, "", NAME),
    route("GET", "/api/logout", Takes::Nobodys, "", ""),
    route("POST", "/api/logout", Takes::Nobodys, "", ""),
    route("GET", "/dashboard", Takes::Session, "", ""),
    route("GET", "/api/data", Takes::TokenOrSession, "", ""),
    route("POST", "/api/data", Takes::TokenOrSession, "", KEY_AND_VALUE),
    route("GET", "/api/data/retrieve", Takes::TokenOrSession, "?key=mark", ""),
    route("GET", "/api/data/update", Takes::TokenOrSession, "", ""),
    route("POST", "/api/data/update", Takes::TokenOrSession, "", KEY_AND_VALUE),
    route("GET", "/api/data/delete", Takes::TokenOrSession, "", ""),
    route("POST", "/api/data/delete", Takes::TokenOrSession, "", "{\"key\":\"mark\"}"),
    route("GET", "/api/data/{...}", Takes::TokenOrSession, "mark", ""),
    route("PUT", "/api/data/{...}", Takes::TokenOrSession, "mark", VALUE),
    route("DELETE", "/api/data/{...}", Takes::TokenOrSession, "mark", ""),
    route("GET", "/static/pikv.css", Takes::Nobodys, "", ""),
    route("GET", "/", Takes::Nobodys, "", ""),
    route("GET", "/healthz", Takes::Nobodys, "", ""),
    route("GET", "/readyz", Takes::Nobodys, "", ""),
];

/// Method, pattern and access of every route, as the server's own table has them.
fn routes_of_the_server() -> Vec<(String, String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/routes.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let lines = source.lines().filter_map(|line| line.trim().strip_prefix("row("));
    let routes = lines.map(|line| {
        let mut parts = line.split(", ");
        let method = parts.next().unwrap().to_uppercase();
        let pattern =
            parts.next().unwrap().trim_matches('"').replace("pages::STYLESHEET_PATH", "/static/pikv.css");
        let access = parts.next().unwrap().trim_start_matches("Needs::").to_owned();
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
            Takes::Settings => "Settings",
            Takes::Item | Takes::Token | Takes::TokenOrSession | Takes::Session => "Account",
        };
        (route.method.to_owned(), route.pattern.to_owned(), access.to_owned())
    });
    assert_eq!(listed.collect::<Vec<_>>(), routes_of_the_server());
}
