//! Whether the text of an address may be fetched: scheme, host, port, and nothing hidden in it.
//!
//! One parser reads the text, and what it read is what is dialled. Decides by the text alone; what a name
//! resolves to is judged where it is resolved, so that an answer here tells nothing about a network.

use std::net::IpAddr;

use http::Uri;
use url::{Host, Url};

use super::address::Addresses;
use super::config::UrlConfig;

/// Longest address that is looked at.
const LONGEST: usize = 4096;

/// The rules an address has to meet.
#[derive(Debug)]
pub struct Policy {
    ports: Vec<u16>,
    allow_hosts: Vec<String>,
    deny_hosts: Vec<String>,
    addresses: Addresses,
}

/// An address that may be fetched, as far as its text goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    url: Url,
    uri: Uri,
}

impl Target {
    /// The address as it is asked for.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The address as text, the same for two spellings of one address.
    pub fn key(&self) -> &str {
        self.url.as_str()
    }

    /// Host and port, the latter unless it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }
}

impl Policy {
    /// The rules of the configuration.
    pub fn new(config: &UrlConfig) -> Self {
        let lower = |hosts: &[String]| hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self {
            ports: config.ports.clone(),
            allow_hosts: lower(&config.allow_hosts),
            deny_hosts: lower(&config.deny_hosts),
            addresses: Addresses::new(&config.allow_networks),
        }
    }

    /// Reads an address, or says which rule it breaks.
    pub fn admit(&self, text: &str) -> Result<Target, &'static str> {
        check_text(text)?;
        self.judge(Url::parse(text).map_err(|_| "this is not an absolute address")?)
    }

    /// Reads the address that `from` redirects to. An encrypted chain stays encrypted.
    pub fn follow(&self, from: &Target, location: &str) -> Result<Target, &'static str> {
        check_text(location)?;
        let target = self.judge(from.url.join(location).map_err(|_| "the redirect names no address")?)?;
        if from.url.scheme() == "https" && target.url.scheme() != "https" {
            return Err("the redirect leaves https");
        }
        Ok(target)
    }

    fn judge(&self, mut url: Url) -> Result<Target, &'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("only http and https are fetched");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address must not carry a user name or password");
        }
        let host = url.host().ok_or("the address has no host")?.to_owned();
        let port = url.port_or_known_default().ok_or("the address has no port")?;
        if port == 0 || !(self.ports.is_empty() || self.ports.contains(&port)) {
            return Err("this port is not fetched from");
        }
        if let Host::Domain(name) = &host
            && name.ends_with('.')
        {
            return Err("a host must not end with a dot");
        }
        let name = match &host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        if self.deny_hosts.iter().any(|rule| covers(rule, &name)) {
            return Err("this host is not fetched from");
        }
        if !self.allow_hosts.is_empty() && !self.allow_hosts.iter().any(|rule| covers(rule, &name)) {
            return Err("this host is not fetched from");
        }
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        if literal.is_some_and(|address| !self.addresses.permits(address)) {
            return Err("this address is not a public one");
        }
        url.set_fragment(None);
        // Escaped, or joined to the address before it, a text may have grown.
        if url.as_str().len() > LONGEST {
            return Err("the address is too long");
        }
        // The other type of address takes what this one wrote, but for hosts that no name server would know.
        let uri = url.as_str().parse().map_err(|_| "this is not an absolute address")?;
        Ok(Target { url, uri })
    }
}

/// Refuses what parsers disagree about before a parser sees it.
fn check_text(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST {
        return Err("the address is too long");
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return Err("an address must not have spaces, control characters or backslashes in it");
    }
    Ok(())
}

/// Whether a rule of `allow_hosts` or `deny_hosts` is meant for the host.
fn covers(rule: &str, name: &str) -> bool {
    match rule.strip_prefix('.') {
        Some(domain) => name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        None => name == rule,
    }
}

/// Whether the text can be a rule: a host as a parsed address has it, perhaps with a dot before it.
pub fn is_rule(text: &str) -> bool {
    let host = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return !text.starts_with('.') && address.to_string() == host;
    }
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    plain && matches!(Host::parse(&host), Ok(Host::Domain(name)) if name == host && !name.ends_with('.'))
}

#[cfg(test)]
mod tests;
