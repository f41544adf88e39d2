//! Where a gateway listens.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use url::{Host, Url};
use windlass_protocol::GatewayId;

/// Bytes of a digest that tell addresses apart which read the same: as hex they are longer than any port, so that the id of
/// one address can't be that of another host and port.
const DIGEST_BYTES: usize = 6;

/// The text in place of a path.
const HIDDEN_PATH: &str = "/…";

/// A gateway's address: `ws://host:port/path` or `wss://…`.
///
/// It can stand in any log: user names, passwords and query strings are refused, and a path, which may be a secret of the proxy
/// before the gateway, is shown as `/…`. [`address`](Self::address) has all of it.
///
/// ```
/// use windlass_line::Endpoint;
///
/// let endpoint = Endpoint::parse("wss://gateway.example/lab")?;
/// assert!(endpoint.is_secure());
/// assert_eq!((endpoint.host().as_str(), endpoint.port()), ("gateway.example", 443));
/// // A path may be a secret of a proxy.
/// assert_eq!(endpoint.to_string(), "wss://gateway.example/…");
/// assert!(Endpoint::parse("wss://gateway.example?token=secret").is_err());
/// # Ok::<_, windlass_line::InvalidEndpoint>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    secure: bool,
    host: Host<String>,
    port: u16,
    path: String,
}

/// Why a text is no gateway address. The text is not repeated, since it may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// Not a URL.
    #[error("the gateway URL can't be read ({0}); it looks like ws://host:18789 or wss://host")]
    Syntax(#[from] url::ParseError),
    /// Another scheme.
    #[error("the gateway URL has another scheme; it has to begin with ws:// or wss://")]
    Scheme,
    /// The scheme of a web page, or none: the address that is probably meant.
    #[error("a gateway URL begins with ws:// or wss://: did you mean {0}?")]
    Meant(Endpoint),
    /// No host.
    #[error("the gateway URL has no host")]
    NoHost,
    /// A user name or password.
    #[error("the gateway URL holds a user name or password; give the token separately")]
    Credentials,
    /// A query or a fragment; older tools put `?token=` there.
    #[error("the gateway URL holds a query (?…) or fragment (#…); give the token separately")]
    Query,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// [`InvalidEndpoint`] names the problem.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        let text = text.trim();
        Self::read(text).map_err(|error| match error {
            InvalidEndpoint::Syntax(_) | InvalidEndpoint::Scheme => meant(text).map_or(error, InvalidEndpoint::Meant),
            other => other,
        })
    }

    fn read(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text)?;
        let secure = match url.scheme() {
            "ws" => false,
            "wss" => true,
            _ => return Err(InvalidEndpoint::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidEndpoint::Query);
        }
        Ok(Self {
            secure,
            host: url.host().ok_or(InvalidEndpoint::NoHost)?.to_owned(),
            port: url.port().unwrap_or(if secure { 443 } else { 80 }),
            path: url.path().to_owned(),
        })
    }

    /// The whole address with its path, to dial it and to keep it in private files; no text for logs.
    pub fn address(&self) -> String {
        let path = if self.path == "/" { "" } else { &self.path };
        format!("{}://{}{path}", self.scheme(), self.authority())
    }

    const fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    /// Whether the line is encrypted.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as it is looked up (an IPv6 address without brackets).
    pub fn host(&self) -> String {
        match &self.host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path; `/` where the address has none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id of a gateway of which only the address is known: the one place where ids are made from addresses.
    ///
    /// Scheme, host, port and path all belong to it. `ws://host:18789` is called `host-18789`; any other form also has the
    /// beginning of a digest of the whole address, because host and port alone do not tell it apart.
    pub fn gateway_id(&self) -> GatewayId {
        let readable = format!("{}-{}", self.host(), self.port);
        let exact = !self.secure && self.path == "/";
        if let (true, Ok(id)) = (exact, GatewayId::new(&readable)) {
            return id;
        }
        let mut id = self.readable(GatewayId::MAX_LEN - 2 * DIGEST_BYTES - 1);
        id.push('-');
        for byte in &Sha256::digest(self.address())[..DIGEST_BYTES] {
            let _ = write!(id, "{byte:02x}");
        }
        // Nothing else is in it than what an id may have.
        GatewayId::new(&id).unwrap_or_else(|_| unreachable!("{id} is an id"))
    }

    /// The id that releases of Windlass up to 0.1 made of an address: of host and port alone. Records under it may belong
    /// to another path of the host.
    pub fn host_and_port_id(&self) -> Option<GatewayId> {
        GatewayId::new(self.readable(GatewayId::MAX_LEN)).ok()
    }

    /// The end of host and port, as far as an id may have it.
    fn readable(&self, limit: usize) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let mut text: String = format!("{}-{}", self.host(), self.port).chars().map(plain).collect();
        text.drain(..text.len().saturating_sub(limit));
        text
    }

    /// Whether the host is this machine by its address: `localhost`, 127.0.0.0/8 or `::1`.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }

    /// The `Origin` that a browser on the gateway's own page would send.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }

    fn authority(&self) -> String {
        let default = if self.secure { 443 } else { 80 };
        if self.port == default {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// The gateway address that is probably meant by a text that is none. Without a scheme only `HOST:PORT` of a host that looks like one
/// is taken for an address: the text may be a token in the wrong place, and must not be repeated.
fn meant(text: &str) -> Option<Endpoint> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws",
            "https" => "wss",
            _ => return None,
        };
        return Endpoint::read(&format!("{scheme}://{rest}")).ok();
    }
    let endpoint = Endpoint::read(&format!("ws://{text}")).ok()?;
    let has_port = Url::parse(&format!("ws://{text}")).is_ok_and(|url| url.port().is_some());
    let is_near = endpoint.is_loopback() || !matches!(endpoint.host, Host::Domain(_));
    let is_host = is_near || endpoint.host().contains('.');
    // An address in the open is encrypted, as a rule.
    let secure = !is_near;
    (has_port && is_host).then_some(Endpoint { secure, ..endpoint })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path == "/" { "" } else { HIDDEN_PATH };
        write!(f, "{}://{}{path}", self.scheme(), self.authority())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for (text, shown, host, port) in [
            ("ws://127.0.0.1:18789", "ws://127.0.0.1:18789", "127.0.0.1", 18789),
            (" wss://gw.example/ ", "wss://gw.example", "gw.example", 443),
            (
                "wss://gw.example:8443/claw",
                "wss://gw.example:8443/…",
                "gw.example",
                8443,
            ),
            ("ws://[::1]:9", "ws://[::1]:9", "::1", 9),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.host().as_str(), endpoint.port()),
                (shown, host, port)
            );
        }
    }

    #[test]
    fn what_could_carry_a_secret_is_refused_without_being_repeated() {
        for text in ["ws://user:s3cret@h", "ws://h/?token=s3cret", "ws://h/#s3cret"] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let endpoint = Endpoint::parse("wss://h/s3cret/gateway").unwrap();
        assert_eq!(format!("{endpoint} {endpoint:?}"), "wss://h/… wss://h/…");
        assert_eq!(endpoint.address(), "wss://h/s3cret/gateway");
    }

    #[test]
    fn an_address_of_another_form_is_answered_with_the_one_that_is_meant() {
        for (text, meant) in [
            ("https://gw.example", "wss://gw.example"),
            ("HTTP://127.0.0.1:18789/", "ws://127.0.0.1:18789"),
            ("localhost:18789", "ws://localhost:18789"),
            ("127.0.0.1:18789", "ws://127.0.0.1:18789"),
            ("[::1]:18789", "ws://[::1]:18789"),
            ("gw.example:18789/s3cret", "wss://gw.example:18789/…"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(&format!("did you mean {meant}?")), "{text}: {error}");
        }
        for text in [
            "s3cret",
            "s3cret.s3cret.s3cret",
            "s3cret:18789",
            "https://u:s3cret@h",
            "ftp://h/s3cret",
            "https://h/?token=s3cret",
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(!error.contains("s3cret") && !error.contains("mean"), "{text}: {error}");
        }
    }

    #[test]
    fn loopback_is_told_by_the_address() {
        for (text, loopback) in [
            ("ws://localhost:1", true),
            ("ws://127.8.0.1", true),
            ("ws://[::1]", true),
            ("ws://10.0.0.1", false),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn scheme_host_port_and_path_all_tell_gateways_apart() {
        let long = format!("ws://{}.example:1", "long.".repeat(14));
        let addresses = [
            "ws://gw.example:18789",
            "wss://gw.example:18789",
            "ws://gw.example:18789/a",
            "ws://gw.example:18789/b",
            "ws://gw.example:18789/a/",
            "ws://gw.example:18790",
            "ws://gw-example:18789",
            "ws://[::1]:18789",
            "ws://1:18789",
            long.as_str(),
            &format!("ws://x{}", &long[5..]),
        ];
        let ids: std::collections::BTreeSet<_> = addresses
            .iter()
            .map(|address| Endpoint::parse(address).unwrap().gateway_id())
            .collect();
        assert_eq!(ids.len(), addresses.len(), "{ids:?}");
    }

    #[test]
    fn a_plain_address_is_called_as_it_was() {
        let ids = |text: &str| {
            let endpoint = Endpoint::parse(text).unwrap();
            (
                endpoint.gateway_id().to_string(),
                endpoint.host_and_port_id().unwrap().to_string(),
            )
        };
        assert_eq!(
            ids("ws://127.0.0.1:18789"),
            ("127.0.0.1-18789".into(), "127.0.0.1-18789".into())
        );
        let (id, old) = ids("wss://gw.example/claw");
        assert!(
            id.starts_with("gw.example-443-") && old == "gw.example-443",
            "{id} {old}"
        );
    }
}
