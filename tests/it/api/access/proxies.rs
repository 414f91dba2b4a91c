//! Behind a proxy: whose address counts, and where a browser that opens the server is led.

use crate::harness::{
    Connection, DEMO_KEY, DEMO_KEYS, Program, Proxy, Server, encode_request, known_config, known_config_with,
};
use crate::house::markdown;
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
fn the_root_redirects_a_browser_to_the_pages_and_is_404_for_a_script() {
    let server = Server::start_known();
    let browser = server.request("GET", "/", None, &[("accept", "text/html,*/*;q=0.8")], b"");
    assert_eq!((browser.status, browser.field("location")), (302, Some("/dashboard")));
    server.request("GET", "/", None, &[("accept", "*/*")], b"").expect_problem(404, "not_found");
    let without = Server::start_with(known_config_with(json!({ "accounts": { "enabled": false } })));
    let browser = without.request("GET", "/", None, &[("accept", "text/html")], b"");
    browser.expect_problem(404, "not_found");
}

/// The configuration that docs/OPERATIONS.md gives for nginx, without TLS, between two ports.
fn documented_nginx(port: u16, server_port: u16) -> String {
    let document = markdown::read("docs/OPERATIONS.md");
    let blocks = markdown::blocks(&document);
    let block = blocks.iter().find(|block| block.language == "nginx").expect("a block for nginx");
    let (first_server, _) = block.text.split_once("\n}\n").expect("a whole server");
    let is_tls = |line: &&str| line.trim_start().starts_with("ssl_");
    let lines = first_server.lines().filter(|line| !is_tls(line));
    let configuration = lines.collect::<Vec<_>>().join("\n") + "\n}\n";
    let listening = configuration.replace("listen 443 ssl http2;", &format!("listen 127.0.0.1:{port};"));
    let changed = listening.replace("127.0.0.1:23849", &format!("127.0.0.1:{server_port}"));
    let is_changed = changed.contains(&format!("127.0.0.1:{port};")) && !changed.contains("23849");
    assert!(is_changed && !changed.contains("ssl"), "{changed}");
    changed
}

fn haproxy(port: u16, server_port: u16) -> String {
    format!(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 75s\n    timeout server 75s\n\
         frontend clients\n    bind 127.0.0.1:{port}\n    option forwardfor\n    default_backend pikv\n\
         backend pikv\n    server pikv 127.0.0.1:{server_port}\n"
    )
}

/// Runs `check` with the name and the port of each proxy that is installed, before `server`.
fn through_each_proxy(server: &Server, check: impl Fn(&str, u16)) {
    if let Some(nginx) = Proxy::start(Program::Nginx, |port| documented_nginx(port, server.port)) {
        check("nginx", nginx.port);
        assert!(!nginx.log().contains("[error]"), "{}", nginx.log());
    }
    if let Some(haproxy) = Proxy::start(Program::Haproxy, |port| haproxy(port, server.port)) {
        check("haproxy", haproxy.port);
    }
}

#[test]
fn values_pass_through_nginx_and_haproxy_unchanged() {
    let server = Server::start_with(known_config_with(json!({ "trusted_proxies": ["127.0.0.1"] })));
    through_each_proxy(&server, |name, port| {
        let target = format!("{DEMO_KEYS}/{name}/a%2Fb%20%C3%A9");
        let large = format!("\"{}\"", "x".repeat(900 * 1024));
        let mut connection = Connection::open(port);
        for (body, status) in [("[1,2]", 201), (large.as_str(), 200)] {
            let written = connection.request("PUT", &target, Some(DEMO_KEY), &[], body.as_bytes());
            assert_eq!(written.status, status, "{name}: {written:?}");
            let read = connection.request("GET", &target, Some(DEMO_KEY), &[], b"");
            let is_whole = read.text().contains(&format!("\"value\":{body},"));
            assert!(is_whole, "{name}: {} bytes", body.len());
        }
        server.await_stderr(&format!(" 127.0.0.1 GET {target} 200 "));
    });
}

/// How many refused requests have to be answered, one after the other.
const REFUSED_REQUESTS: usize = 100;

#[test]
fn each_of_100_refused_puts_of_900_kb_is_answered_through_nginx_and_haproxy() {
    let server = Server::start_known();
    let body = vec![b'1'; 900 * 1024];
    let target = format!("{DEMO_KEYS}/a");
    let request = encode_request("PUT", &target, Some("a-wrong-key-0123456789"), &[], &body);
    through_each_proxy(&server, |name, port| {
        for number in 1..=REFUSED_REQUESTS {
            let mut connection = Connection::open(port);
            // A proxy may stop reading the body once it has the answer.
            let _ = connection.try_send(&request);
            let answer = connection.read_response();
            assert_eq!(answer.status, 401, "request {number} through {name}: {answer:?}");
            answer.expect_problem(401, "api_key_wrong");
        }
    });
}
