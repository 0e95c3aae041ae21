//! Addresses to listen on.

use std::net::SocketAddr;
use std::str::FromStr;

/// A host and a port, as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The host: a name or an address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 for one that is free.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = SocketAddr::from_str(text) {
            return Ok(Self {
                host: address.ip().to_string(),
                port: address.port(),
            });
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err("it has no port; write for example 127.0.0.1:8080".to_owned());
        };
        if host.contains([':', '[', ']', '/']) {
            return Err(
                "write for example 127.0.0.1:8080, localhost:8080 or [::1]:8080".to_owned(),
            );
        }
        let Ok(port) = port.parse() else {
            return Err("the port must be a number from 0 to 65535".to_owned());
        };
        if host.is_empty() {
            return Err(format!(
                "write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} or [::]:{port} for the whole network"
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:0", "::1", 0),
            ("localhost:80", "localhost", 80),
        ] {
            let host = host.to_owned();
            assert_eq!(text.parse(), Ok(Address { host, port }), "{text}");
        }
        for (text, hint) in [
            (":8080", "127.0.0.1:8080 for this machine only"),
            ("8080", "no port"),
            ("localhost", "no port"),
            ("::1", "[::1]:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("localhost:http", "number"),
            ("localhost:65536", "number"),
            ("localhost:", "number"),
        ] {
            let told = text.parse::<Address>().expect_err(text);
            assert!(told.contains(hint), "{text}: {told}");
        }
    }
}
