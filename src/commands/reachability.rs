//! The addresses under which a server is reachable, and warnings about that.

use crate::cli::effective::{Options, Source, Sourced};
use crate::config::schema::{Config, Registration};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Destinations whose routes lead through the interfaces of an ordinary machine: the default routes (RFC 5737 and
/// RFC 3849 reserve these addresses for documentation), and private networks (RFC 1918).
const DESTINATIONS: [&str; 5] = ["192.0.2.1", "2001:db8::1", "192.168.0.1", "172.16.0.1", "10.0.0.1"];

/// The addresses under which clients reach a server that listens on `listening`. If that is every address of this
/// machine, those of its networks come first, then the loopback address.
pub(super) fn addresses(listening: SocketAddr) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    let mut found = Vec::new();
    let own = DESTINATIONS.iter().filter_map(|destination| source_address(destination.parse().ok()?));
    for address in
        own.filter(|own| listening.is_ipv6() || own.is_ipv4()).chain([local_address(listening.ip())])
    {
        let address = SocketAddr::new(address, listening.port());
        if !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// The address under which programs on this machine reach a server that listens on `address`.
pub(super) fn local_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// The address of this machine that packets to `destination` carry; `None` without a route. Connecting a UDP socket
/// selects it and sends nothing.
fn source_address(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((destination, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// What anyone on the network can do, unless `host` is reached from this machine only.
/// The fixes are for the file of `options`.
pub(super) fn warnings(options: &Options, config: &Config, host: IpAddr) -> Vec<String> {
    if host.is_loopback() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let open_projects: Vec<&str> = config
        .projects()
        .iter()
        .filter(|project| !config.authentication_enabled(project))
        .map(|project| project.id.as_str())
        .collect();
    if !config.authentication.enabled {
        warnings.push(format!(
            "Anyone on the network can read and write every project, because authentication is off. Enable it with `{}`.",
            config_set(options, "default.authentication.enabled true")
        ));
    } else if !open_projects.is_empty() {
        warnings.push(format!(
            "Anyone on the network can read and write these projects, because their authentication is off: {}. Enable it \
             with `{}`.",
            open_projects.join(", "),
            config_set(options, "projects.ID.authentication.enabled true")
        ));
    }
    if config.accounts.enabled && config.accounts.registration == Registration::Open {
        warnings.push(format!(
            "Anyone on the network can create an account, because registration is open. Close it with `{}`.",
            config_set(options, "accounts.registration closed")
        ));
    }
    if !warnings.is_empty() {
        warnings.push(
            "HTTP is not encrypted: anyone on the network path can read keys, passwords and values. Put a proxy with TLS \
             in front of the server, or set server_host to 127.0.0.1."
                .to_owned(),
        );
    }
    warnings
}

/// The command line that makes `change` in the file of `options`.
fn config_set(options: &Options, change: &str) -> String {
    let Sourced { value, source } = &options.config_path;
    match source {
        Source::Default => format!("pikv config set {change}"),
        Source::Flag | Source::Environment | Source::File => {
            format!("pikv config set {change} --config {}", quoted(&value.to_string_lossy()))
        }
    }
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::edit::{self, Act};
    use crate::config::file::first_config;
    use std::path::PathBuf;

    #[test]
    fn a_specific_address_is_the_only_one() {
        let address: SocketAddr = "192.0.2.7:80".parse().unwrap();
        assert_eq!(addresses(address), [address]);
    }

    #[test]
    fn every_address_means_those_of_this_machine() {
        for (any, loopback) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80")] {
            let found = addresses(any.parse().unwrap());
            assert_eq!(found.last().unwrap().to_string(), loopback);
            assert!(found.iter().all(|address| !address.ip().is_unspecified()), "{found:?}");
        }
    }

    fn options_with(path: &str, source: Source) -> Options {
        Options { config_path: Sourced { value: PathBuf::from(path), source }, ..Options::default() }
    }

    #[test]
    fn the_fix_of_a_warning_names_the_file_of_the_start() {
        for (options, end) in [
            (Options::default(), "closed`."),
            (options_with("/etc/pikv.json", Source::Flag), "closed --config /etc/pikv.json`."),
            (options_with("/etc/pikv.json", Source::Environment), "closed --config /etc/pikv.json`."),
            (options_with("a b'c.json", Source::Flag), r"closed --config 'a b'\''c.json'`."),
        ] {
            let warnings = warnings(&options, &first_config(), "0.0.0.0".parse().unwrap());
            assert!(warnings[0].ends_with(end), "{end} in {warnings:?}");
        }
        let options = options_with("x", Source::Flag);
        assert_eq!(config_set(&options, "a true"), "pikv config set a true --config x");
    }

    #[test]
    fn only_a_host_on_a_network_has_warnings() {
        let mut config = first_config();
        let lan: IpAddr = "0.0.0.0".parse().unwrap();
        let text = |config: &Config, host: IpAddr| warnings(&Options::default(), config, host).join("\n");
        assert_eq!(text(&config, "127.0.0.1".parse().unwrap()), "");
        assert_eq!(text(&config, "::1".parse().unwrap()), "");
        let open = text(&config, lan);
        assert!(open.contains("accounts.registration closed") && open.contains("not encrypted"), "{open}");
        assert!(!open.contains("authentication"), "{open}");
        config.accounts.registration = Registration::Closed;
        assert_eq!(text(&config, lan), "");
        let off = Act::Set("false".to_owned());
        edit::edit(&mut config, "projects.first_project.authentication.enabled", &off).unwrap();
        assert!(text(&config, lan).contains("first_project"), "{}", text(&config, lan));
        config.authentication.enabled = false;
        let off = text(&config, lan);
        assert!(off.contains("every project") && !off.contains("first_project"), "{off}");
    }
}
