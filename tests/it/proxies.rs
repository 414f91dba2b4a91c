//! Behind a proxy: whose address counts, and where a browser that opens the server is led.

use super::harness::{DEMO_KEY, DEMO_KEYS, Server, known_config, known_config_with};
use serde_json::json;

#[test]
fn the_log_has_the_address_that_a_trusted_proxy_names_and_no_other() {
    let check = |config, logged: &str| {
        let server = Server::start_with(config);
        let fields = [("x-forwarded-for", "203.0.113.7, 198.51.100.2")];
        server.request("GET", DEMO_KEYS, Some(DEMO_KEY), &fields, b"");
        server.await_stderr(&format!(" {logged} GET {DEMO_KEYS} 200 "));
    };
    check(known_config(), "127.0.0.1");
    check(known_config_with(json!({ "trusted_proxies": ["127.0.0.1"] })), "198.51.100.2");
    let both = json!({ "trusted_proxies": ["127.0.0.1", "198.51.100.0/24"] });
    check(known_config_with(both), "203.0.113.7");
}

#[test]
fn the_root_leads_a_browser_to_the_pages_and_tells_a_script_that_there_is_nothing() {
    let server = Server::start_known();
    let browser = server.request("GET", "/", None, &[("accept", "text/html,*/*;q=0.8")], b"");
    assert_eq!((browser.status, browser.field("location")), (302, Some("/dashboard")));
    server.request("GET", "/", None, &[("accept", "*/*")], b"").expect_problem(404, "not_found");
    let without = Server::start_with(known_config_with(json!({ "accounts": { "enabled": false } })));
    let browser = without.request("GET", "/", None, &[("accept", "text/html")], b"");
    browser.expect_problem(404, "not_found");
}
