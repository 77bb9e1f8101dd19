//! Arbitrary addresses and redirects: what is admitted is plain http or https to a host that no reader can take for another
//! one, and no literal address of a private network, checked here with the standard library's tables.
//!
//! The first line is an address, the second where it redirects to.
#![no_main]

use frontend::inputs::{Policy, Target, UrlConfig};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

static DEFAULT: LazyLock<Policy> = LazyLock::new(|| Policy::new(&UrlConfig::default()));
static CHOOSY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::new(&UrlConfig {
        allow_hosts: vec![".example.com".into(), "8.8.8.8".into()],
        deny_hosts: vec!["secret.example.com".into()],
        ..UrlConfig::default()
    })
});

fuzz_target!(|text: &str| {
    let (address, location) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(target) = DEFAULT.admit(address) {
        check(&DEFAULT, &target);
        if let Ok(next) = DEFAULT.follow(&target, location) {
            check(&DEFAULT, &next);
            let is_encrypted = |target: &Target| target.uri().scheme_str() == Some("https");
            assert!(!is_encrypted(&target) || is_encrypted(&next));
        }
    }
    if let Ok(target) = CHOOSY.admit(address) {
        check(&CHOOSY, &target);
        let host = target.uri().host().expect("a host");
        assert!(host == "8.8.8.8" || host == "example.com" || host.ends_with(".example.com"), "{host}");
        assert_ne!(host, "secret.example.com");
    }
});

fn check(policy: &Policy, target: &Target) {
    let uri = target.uri();
    let host = uri.host().expect("a host");
    assert!(matches!(uri.scheme_str(), Some("http" | "https")));
    assert!(uri.port_u16().is_none_or(|port| port == 80 || port == 443));
    assert!(!target.authority().contains(['@', '\\']) && target.authority().starts_with(host));
    let again = policy.admit(target.key()).expect("what was admitted is admitted in its own spelling");
    assert_eq!((again.key(), again.uri()), (target.key(), uri));

    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse() {
        Ok(IpAddr::V4(address)) => assert!(is_public(address), "{address}"),
        Ok(IpAddr::V6(address)) => {
            // In 2000::/3, and not one that carries an IPv4 address.
            let first = address.segments()[0];
            assert!(first & 0xe000 == 0x2000 && first != 0x2002 && address.to_ipv4().is_none(), "{address}");
        }
        // What a C library would read as an address in figures, in whatever base, must have been read as one.
        Err(_) => {
            let last = bare.rsplit('.').next().unwrap_or_default();
            let digits = last.strip_prefix("0x").unwrap_or(last);
            let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
                || (digits.len() < last.len() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!is_number, "{host}");
        }
    }
}

fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && second & 0xc0 == 64))
}
