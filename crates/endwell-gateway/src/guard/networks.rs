//! Which addresses may ask.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks that may ask, and networks that may not.
///
/// Of the networks that hold an address the smallest decides, and of two that are the same the
/// one that denies: the order does not matter. An address in none of them may ask unless some
/// network is allowed.
///
/// # Examples
/// ```
/// # fn run() -> Result<(), endwell_gateway::BadNetwork> {
/// let mut networks = endwell_gateway::Networks::default();
/// networks.allow("10.0.0.0/8")?;
/// networks.deny("10.1.0.0/16")?;
/// networks.allow("10.1.2.3")?;
/// let contain = |ip: [u8; 4]| networks.contain(ip.into());
/// assert!(contain([10, 2, 0, 1]) && contain([10, 1, 2, 3]));
/// assert!(!contain([10, 1, 2, 4]) && !contain([192, 0, 2, 1]));
/// # Ok(())
/// # }
/// # run().unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Networks {
    rules: Vec<Rule>,
    /// Some network is allowed: an address in none is not.
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    network: IpNet,
    allows: bool,
}

/// What is neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no network; write one as 192.0.2.0/24 or 2001:db8::/32, or an address")]
pub struct BadNetwork(String);

impl Networks {
    /// Lets a network, or one address, ask.
    ///
    /// # Errors
    /// It is neither.
    pub fn allow(&mut self, network: &str) -> Result<(), BadNetwork> {
        self.closed = true;
        self.add(network, true)
    }

    /// Refuses a network, or one address.
    ///
    /// # Errors
    /// It is neither.
    pub fn deny(&mut self, network: &str) -> Result<(), BadNetwork> {
        self.add(network, false)
    }

    fn add(&mut self, network: &str, allows: bool) -> Result<(), BadNetwork> {
        let network = network
            .parse::<IpNet>()
            .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| BadNetwork(network.to_owned()))?;
        let network = network.trunc();
        self.rules.push(Rule { network, allows });
        Ok(())
    }

    /// Whether this address may ask. An IPv4 address that came in IPv6's clothes counts as
    /// IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let holding = |rule: &&Rule| rule.network.contains(&address);
        let smallest = self
            .rules
            .iter()
            .filter(holding)
            .max_by_key(|rule| (rule.network.prefix_len(), !rule.allows));
        smallest.map_or(!self.closed, |rule| rule.allows)
    }

    /// Whether every address may ask.
    pub fn are_open(&self) -> bool {
        self.rules.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contain(allow: &[&str], deny: &[&str], address: &str) -> bool {
        let mut networks = Networks::default();
        allow.iter().for_each(|net| networks.allow(net).unwrap());
        deny.iter().for_each(|net| networks.deny(net).unwrap());
        networks.contain(address.parse().unwrap())
    }

    #[test]
    fn the_smallest_network_decides() {
        assert!(contain(&[], &[], "192.0.2.1"));
        assert!(!contain(&["10.0.0.0/8"], &[], "192.0.2.1"));
        assert!(contain(&[], &["10.0.0.0/8"], "192.0.2.1"));
        assert!(!contain(&[], &["10.0.0.0/8"], "10.0.0.1"));
        assert!(contain(&["10.1.0.0/16"], &["10.0.0.0/8"], "10.1.0.1"));
        assert!(!contain(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1"));
        assert!(!contain(&["10.0.0.1"], &["10.0.0.1"], "10.0.0.1"));
        assert!(
            contain(&["10.0.0.9/8"], &[], "10.1.2.3"),
            "host bits are cut"
        );
    }

    #[test]
    fn ipv6_and_ipv4_in_it() {
        assert!(contain(&["2001:db8::/32"], &[], "2001:db8::1"));
        assert!(!contain(&["::/0"], &[], "192.0.2.1"));
        assert!(contain(&["192.0.2.0/24"], &[], "::ffff:192.0.2.1"));
        assert!(!contain(&[], &["192.0.2.0/24"], "::ffff:192.0.2.1"));
    }

    #[test]
    fn an_error_names_what_was_written() {
        for bad in ["", "10.0.0.0/33", "10.0.0", "localhost", "::/129"] {
            let error = Networks::default().allow(bad).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{bad} is no network; ")),
                "{error}"
            );
        }
    }
}
