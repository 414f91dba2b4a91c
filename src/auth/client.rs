//! The client that a request comes from: the other end of the socket, unless that is a configured
//! proxy, whose `X-Forwarded-For` and `X-Forwarded-Proto` then name the client.
//!
//! Every proxy appends the address that it was called from, so the list is true from its right end
//! up to the first address that is not a proxy of ours. Anything before that one may be forged.

use crate::http::request::Head;
use crate::network::Network;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The low bits of an IPv6 address, which a customer of a provider may choose freely.
const CUSTOMER_BITS: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Never IPv4-mapped IPv6.
    pub address: IpAddr,
    /// Whether it used TLS to reach the proxy.
    pub is_tls: bool,
}

/// The client of the request `head` that arrived from `peer`. Fields that name another are ignored unless `peer` is
/// one of `proxies`.
pub(crate) fn client(head: &Head<'_>, peer: IpAddr, proxies: &[Network]) -> Client {
    let peer = peer.to_canonical();
    if !is_proxy(peer, proxies) {
        return Client { address: peer, is_tls: false };
    }
    let protocol = elements_from_the_right(head, "x-forwarded-proto").next();
    let is_tls = protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"https"));
    Client { address: forwarded_for(head, peer, proxies), is_tls }
}

/// `X-Forwarded-Host`, the host that the client of a proxy asked for: of several, the one that the last proxy wrote.
/// `None` unless the request arrived from one of `proxies`.
pub(crate) fn forwarded_host<'h>(head: &'h Head<'_>, peer: IpAddr, proxies: &[Network]) -> Option<&'h str> {
    let host = elements_from_the_right(head, "x-forwarded-host").next()?;
    str::from_utf8(host).ok().filter(|host| !host.is_empty() && is_proxy(peer.to_canonical(), proxies))
}

/// The address under which requests of `address` are counted: of IPv6 its first 64 bits, because one customer has
/// at least a /64 and may use a new address for every request.
pub(crate) fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> CUSTOMER_BITS << CUSTOMER_BITS).into(),
    }
}

/// The first address from the right that is not a proxy's. An element that is not an address ends the search with
/// the one to its right; if all are proxies, the leftmost counts.
fn forwarded_for(head: &Head<'_>, peer: IpAddr, proxies: &[Network]) -> IpAddr {
    let mut known = peer;
    for element in elements_from_the_right(head, "x-forwarded-for") {
        let Some(address) = parse_address(element) else { break };
        known = address;
        if !is_proxy(address, proxies) {
            break;
        }
    }
    known
}

pub(crate) fn is_proxy(address: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// The elements of the list in all fields called `name`, the last one first.
fn elements_from_the_right<'h>(head: &'h Head<'_>, name: &str) -> impl Iterator<Item = &'h [u8]> {
    let fields: Vec<&[u8]> = head.fields(name).collect();
    fields.into_iter().rev().flat_map(|field| field.rsplit(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// `1.2.3.4`, `1.2.3.4:56`, `::1`, `[::1]` or `[::1]:56`.
fn parse_address(element: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(element).ok()?;
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bracketed {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::parse_complete;

    /// The client as `address` or `address tls`, seen from a server whose proxies are `10.0.0.0/8`
    /// and `fd00::/8`.
    fn seen(peer: &str, fields: &[&str]) -> String {
        let lines: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).unwrap());
        let client = client(&parse_complete(wire.as_bytes()).unwrap(), peer.parse().unwrap(), &proxies);
        format!("{}{}", client.address, if client.is_tls { " tls" } else { "" })
    }

    fn check_forwarded(list: &str, expected: &str) {
        assert_eq!(seen("10.0.0.1", &[&format!("X-Forwarded-For: {list}")]), expected, "{list:?}");
    }

    #[test]
    fn only_a_configured_proxy_states_the_host_that_its_client_asked_for() {
        let host = |peer: &str, fields: &str| {
            let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let head = parse_complete(wire.as_bytes()).unwrap();
            forwarded_host(&head, peer.parse().unwrap(), &[Network::parse("10.0.0.0/8").unwrap()])
                .map(str::to_owned)
        };
        let one = "X-Forwarded-Host: kv.lan\r\n";
        assert_eq!(host("10.0.0.1", one).as_deref(), Some("kv.lan"));
        assert_eq!(host("::ffff:10.0.0.1", one).as_deref(), Some("kv.lan"));
        assert_eq!(host("11.0.0.1", one), None);
        assert_eq!(host("10.0.0.1", ""), None);
        assert_eq!(
            host("10.0.0.1", "X-Forwarded-Host: evil.example, kv.lan:1\r\n").as_deref(),
            Some("kv.lan:1")
        );
    }

    #[test]
    fn only_a_configured_proxy_can_say_who_the_client_is() {
        let fields = ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"];
        assert_eq!(seen("10.0.0.1", &fields), "1.2.3.4 tls");
        assert_eq!(seen("::ffff:10.0.0.1", &fields), "1.2.3.4 tls");
        assert_eq!(seen("11.0.0.1", &fields), "11.0.0.1");
        assert_eq!(seen("::ffff:11.0.0.1", &fields), "11.0.0.1", "canonical");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1", "a proxy that names no client is the client");
    }

    #[test]
    fn the_first_address_from_the_right_that_is_no_proxy_is_the_client() {
        check_forwarded("9.9.9.9, 1.2.3.4", "1.2.3.4");
        check_forwarded("9.9.9.9, 1.2.3.4, 10.0.0.2,fd00::1", "1.2.3.4");
        check_forwarded("10.0.0.3, 10.0.0.2", "10.0.0.3");
        check_forwarded("9.9.9.9, ::ffff:10.0.0.2", "9.9.9.9");
        let fields = ["X-Forwarded-For: 9.9.9.9, 1.2.3.4", "x-forwarded-for: 10.0.0.2"];
        assert_eq!(seen("10.0.0.1", &fields), "1.2.3.4", "all fields are one list");
    }

    #[test]
    fn garbage_ends_the_list_at_the_last_good_address() {
        check_forwarded("9.9.9.9, unknown, 10.0.0.2", "10.0.0.2");
        for garbage in
            ["unknown", "", "1.2.3.4,", "unix:", "1.2.3", "1.2.3.4:x", "1.2.3.4:65536", "[1.2.3.4]", "[::1"]
        {
            check_forwarded(garbage, "10.0.0.1");
        }
        check_forwarded("\u{e9}", "10.0.0.1");
        check_forwarded("1.2.3.4, not one, 5.6.7.8", "5.6.7.8");
    }

    #[test]
    fn addresses_may_have_brackets_and_ports() {
        for (element, expected) in [
            ("1.2.3.4:56", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:56", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("[::ffff:1.2.3.4]:56", "1.2.3.4"),
        ] {
            check_forwarded(element, expected);
            check_forwarded(&format!("9.9.9.9,\t{element} , 10.0.0.2:1"), expected);
        }
    }

    #[test]
    fn the_last_protocol_decides_about_tls() {
        for (fields, expected) in [
            (&["X-Forwarded-Proto: HTTPS"][..], "10.0.0.1 tls"),
            (&["X-Forwarded-Proto: http, https"], "10.0.0.1 tls"),
            (&["X-Forwarded-Proto: http", "X-Forwarded-Proto: https"], "10.0.0.1 tls"),
            (&["X-Forwarded-Proto: https, http"], "10.0.0.1"),
            (&["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], "10.0.0.1"),
            (&["X-Forwarded-Proto: https,"], "10.0.0.1"),
            (&["X-Forwarded-Proto: https://"], "10.0.0.1"),
        ] {
            assert_eq!(seen("10.0.0.1", fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn addresses_of_one_customer_are_counted_together() {
        for (address, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::", "2001:db8:1:3::"),
        ] {
            assert_eq!(counted_address(address.parse().unwrap()).to_string(), expected);
        }
    }
}
