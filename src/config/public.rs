//! `public_origins` and `public_hosts`: the names under which browsers reach this server.

use super::cors::check_host_and_port;
use std::fmt;

/// A host that requests may name, `kv.example.com`, `192.168.1.5:23849` or `[::1]`. Created only by
/// [`PublicHost::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost(String);

pub(crate) const PUBLIC_HOST_ADVICE: &str = "a host is a name or an address in lower case, IPv6 in brackets, with an optional port: \
                                      kv.example.com, 192.168.1.5:23849 or [::1]";

impl PublicHost {
    /// Parses a host, with or without a port; `None` for any other text.
    pub fn parse(text: &str) -> Option<PublicHost> {
        let is_host = check_host_and_port(text, "").is_ok();
        is_host.then(|| PublicHost(text.to_owned()))
    }

    /// Whether a request to `authority` is to this host. Without a port it matches any port.
    pub fn matches(&self, authority: &str) -> bool {
        let (own, own_port) = split_port(&self.0);
        let (host, port) = split_port(authority);
        own.eq_ignore_ascii_case(host)
            && match (own_port, port) {
                (None, _) => true,
                // A client omits the default port of its scheme; the scheme is not known here.
                (Some("80" | "443"), None) => true,
                (Some(own_port), port) => port == Some(own_port),
            }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host`, or `host:port`. An IPv6 address is in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_port_matches_any_port() {
        for (own, matching, other) in [
            (
                "kv.lan",
                &["kv.lan", "KV.lan", "kv.lan:1", "kv.lan:80"][..],
                &["lan", "a.kv.lan", "kv.lan.", ""][..],
            ),
            ("kv.lan:8443", &["kv.lan:8443", "KV.LAN:8443"], &["kv.lan", "kv.lan:844", "kv.lan:84433"]),
            ("kv.lan:443", &["kv.lan", "kv.lan:443"], &["kv.lan:80"]),
            ("[::1]", &["[::1]", "[::1]:5000"], &["::1", "[::2]", "[::1"]),
            ("[::1]:5000", &["[::1]:5000"], &["[::1]", "[::1]:5001"]),
            ("127.0.0.1", &["127.0.0.1:23849"], &["127.0.0.11", "localhost"]),
        ] {
            let host = PublicHost::parse(own).unwrap();
            for authority in matching {
                assert!(host.matches(authority), "{own} {authority}");
            }
            for authority in other {
                assert!(!host.matches(authority), "{own} {authority}");
            }
        }
    }

    #[test]
    fn invalid_hosts_are_refused() {
        for text in [
            "",
            "*",
            "*.lan",
            "http://kv.lan",
            "kv.lan/",
            "Kv.lan",
            "kv.lan:",
            "kv.lan:x",
            "::1",
            "a b",
            "u@h",
        ] {
            assert_eq!(PublicHost::parse(text), None, "{text}");
        }
    }
}
