//! Networks of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IP address with a prefix length: `10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1` (which is /32).
/// The bits after the prefix are zero. An IPv4-mapped IPv6 network becomes one of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    Address,
    /// The text after `/` is not a number of bits up to those of the address.
    Prefix {
        bits_max: u8,
    },
    /// The address has bits after its prefix, so it is unclear which of the two is meant. The network contains it.
    HostBits {
        network: Network,
    },
}

impl Network {
    /// Parses `ADDRESS` or `ADDRESS/BITS`.
    pub fn parse(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let bits_max = bits(address);
        let prefix_bits = match prefix {
            None => bits_max,
            Some(prefix) => parse_prefix(prefix, bits_max).ok_or(NetworkError::Prefix { bits_max })?,
        };
        let network = Network { address: masked(address, prefix_bits), prefix_bits };
        if network.address != address {
            return Err(NetworkError::HostBits { network });
        }
        Ok(network.to_canonical())
    }

    /// Whether `address` is in this network. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        // An address of the other family is never equal, masked or not.
        masked(address.to_canonical(), self.prefix_bits) == self.address
    }

    /// IPv4-mapped IPv6 has 96 bits before the IPv4 address. All of them are in the prefix: they are not all zero, so a
    /// shorter prefix would leave host bits.
    fn to_canonical(self) -> Network {
        let address = self.address.to_canonical();
        let removed_bits = bits(self.address).saturating_sub(bits(address));
        Network { address, prefix_bits: self.prefix_bits.saturating_sub(removed_bits) }
    }
}

/// Digits only, and no leading zero.
fn parse_prefix(text: &str, bits_max: u8) -> Option<u8> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|&bits| is_plain && bits <= bits_max)
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `address` with zeros after its first `prefix_bits` bits.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let host_bits = u32::from(bits(address).saturating_sub(prefix_bits));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == bits(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_bits)
        }
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetworkError::Address => {
                f.write_str("it must be an IP address or a network such as 10.0.0.0/8 or 2001:db8::/32")
            }
            NetworkError::Prefix { bits_max } => {
                write!(f, "after `/` must be a number of bits from 0 to {bits_max}")
            }
            NetworkError::HostBits { network } => {
                write!(f, "the address has bits after the prefix; write the network as {network}")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_is_shown_in_its_shortest_form() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1/32", "127.0.0.1"),
            ("::1", "::1"),
            ("::/0", "::/0"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).to_string(), shown, "{text}");
            assert_eq!(network(shown), network(text), "{text}");
        }
    }

    #[test]
    fn an_invalid_network_is_refused_with_the_fix() {
        let host_bits = |text| NetworkError::HostBits { network: network(text) };
        let (v4, v6) = (NetworkError::Prefix { bits_max: 32 }, NetworkError::Prefix { bits_max: 128 });
        for (text, error, part) in [
            ("", NetworkError::Address, "10.0.0.0/8"),
            ("localhost", NetworkError::Address, "10.0.0.0/8"),
            ("10.0.0/8", NetworkError::Address, "10.0.0.0/8"),
            (" 10.0.0.0/8", NetworkError::Address, "10.0.0.0/8"),
            ("[::1]", NetworkError::Address, "10.0.0.0/8"),
            ("10.0.0.1:80", NetworkError::Address, "10.0.0.0/8"),
            ("10.0.0.0/33", v4, "0 to 32"),
            ("10.0.0.0/", v4, "0 to 32"),
            ("10.0.0.0/+8", v4, "0 to 32"),
            ("10.0.0.0/08", v4, "0 to 32"),
            ("10.0.0.0/8/8", v4, "0 to 32"),
            ("10.0.0.0/255.0.0.0", v4, "0 to 32"),
            ("::/129", v6, "0 to 128"),
            ("10.0.0.1/8", host_bits("10.0.0.0/8"), "10.0.0.0/8"),
            ("1.2.3.4/0", host_bits("0.0.0.0/0"), "0.0.0.0/0"),
            ("::1/127", host_bits("::/127"), "::/127"),
            ("::ffff:0:0/95", host_bits("::fffe:0:0/95"), "/95"),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text:?}");
            assert!(error.to_string().contains(part), "{error} has {part}");
        }
    }

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        let inside = [
            ("10.0.0.0/8", "10.255.255.255"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("192.168.1.2/31", "192.168.1.3"),
            ("127.0.0.1", "127.0.0.1"),
            ("::/0", "ffff::"),
            ("2001:db8::/33", "2001:db8:7fff::1"),
            ("::1", "::1"),
        ];
        let outside = [
            ("10.0.0.0/8", "11.0.0.0"),
            ("192.168.1.2/31", "192.168.1.4"),
            ("127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "::1"),
            ("::/0", "10.0.0.1"),
            ("::/0", "::ffff:10.0.0.1"),
            ("2001:db8::/33", "2001:db8:8000::"),
            ("::1", "::"),
        ];
        for (text, address) in inside {
            assert!(network(text).contains(address.parse().unwrap()), "{text} {address}");
        }
        for (text, address) in outside {
            assert!(!network(text).contains(address.parse().unwrap()), "{text} {address}");
        }
    }
}
