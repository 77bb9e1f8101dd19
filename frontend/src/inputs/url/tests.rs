use super::*;

fn admitted(config: &UrlConfig, text: &str) -> Result<String, &'static str> {
    Policy::new(config).admit(text).map(|target| {
        let uri = target.uri();
        format!("{} {}", target.authority(), uri.path_and_query().expect("a path"))
    })
}

#[test]
fn addresses_are_admitted_and_read_as_they_will_be_dialled() {
    let cases = [
        ("http://example.com/a.jpg", "example.com /a.jpg"),
        ("https://example.com/a.jpg", "example.com /a.jpg"),
        ("http://example.com", "example.com /"),
        ("http://example.com?x=1", "example.com /?x=1"),
        ("HTTP://EXAMPLE.com/A", "example.com /A"),
        ("http://example.com:80/a", "example.com /a"),
        ("https://example.com:443/a", "example.com /a"),
        ("http://example.com:443/a", "example.com:443 /a"),
        ("https://example.com:80/a", "example.com:80 /a"),
        ("http://example.com/a?b=c&d=e", "example.com /a?b=c&d=e"),
        ("http://example.com/a#part", "example.com /a"),
        ("http://example.com/a/../b", "example.com /b"),
        ("http://example.com/%2e%2e/b", "example.com /b"),
        ("http://example.com/a%20b", "example.com /a%20b"),
        ("http://example.com/ü", "example.com /%C3%BC"),
        ("http://bücher.example/a", "xn--bcher-kva.example /a"),
        ("http://printer/a", "printer /a"),
        ("http://8.8.8.8/a", "8.8.8.8 /a"),
        ("http://134744072/a", "8.8.8.8 /a"),
        ("http://[2001:4860:4860::8888]/a", "[2001:4860:4860::8888] /a"),
        ("http:example.com/a", "example.com /a"),
        ("http:///example.com/a", "example.com /a"),
        ("http://example.com/+a+b", "example.com /+a+b"),
        ("http://example.com/http://127.0.0.1/", "example.com /http://127.0.0.1/"),
        ("http://127.0.0.1.nip.example/a", "127.0.0.1.nip.example /a"),
    ];
    for (text, target) in cases {
        assert_eq!(admitted(&UrlConfig::default(), text).as_deref(), Ok(target), "{text}");
    }
}

#[test]
fn addresses_are_refused_by_their_text() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "not an absolute address",
            &[
                "",
                "/",
                "a.jpg",
                "//example.com/a",
                "example.com",
                "http://",
                "http://:80/",
                "http://[::1",
                "http://[fe80::1%25eth0]/",
                "http://example.com:99999/",
                "http://exa<mple.com/",
                "http://1.2.3.256/",
                "http://%00.com/",
                "://x",
                "http://0x100000000/",
            ],
        ),
        (
            "only http",
            &[
                "ftp://example.com/",
                "file:///etc/passwd",
                "gopher://example.com/",
                "data:image/png;base64,QUJD",
                "javascript:alert(1)",
                "ws://example.com/",
                "dict://example.com:11211/",
                "unix:/run/x",
                "jar:http://example.com/",
                "mailto:a@b.c",
                "httpx://example.com/",
                "about:blank",
                "blob:http://example.com/x",
                "ldap://example.com/",
                "example.com:80/a",
            ],
        ),
        (
            "user name",
            &[
                "http://user@example.com/",
                "http://user:pw@example.com/",
                "http://:pw@example.com/",
                "http://example.com@10.0.0.1/",
                "http://a%40b@example.com/",
            ],
        ),
        (
            "spaces, control",
            &[
                "http://example.com/a b",
                " http://example.com/",
                "http://example.com/\n",
                "http://exam\tple.com/",
                "http://example.com\\@10.0.0.1/",
                "http:\\\\example.com/",
                "http://example.com/\0",
                "http://example.com/\r\nHost: x",
                "http://example.com/\x7f",
                "ht\ntp://example.com/",
            ],
        ),
        (
            "port",
            &[
                "http://example.com:22/",
                "http://example.com:0/",
                "http://example.com:8080/",
                "https://example.com:8443/",
                "http://example.com:65535/",
            ],
        ),
        ("end with a dot", &["http://example.com./", "http://localhost./", "http://printer./a"]),
        (
            "not a public one",
            &[
                "http://127.0.0.1/",
                "http://127.1/",
                "http://0x7f.1/",
                "http://0x7f000001/",
                "http://2130706433/",
                "http://017700000001/",
                "http://127%2e0%2e0%2e1/",
                "http://①②⑦.0.0.1/",
                "http://0/",
                "http://0.0.0.0/",
                "http://10.0.0.1/",
                "http://192.168.0.1/",
                "http://172.16.0.1/",
                "http://169.254.169.254/latest/meta-data/",
                "http://100.100.100.200/",
                "http://168.63.129.16/",
                "http://255.255.255.255/",
                "http://224.0.0.1/",
                "http://[::1]/",
                "http://[::]/",
                "http://[::ffff:127.0.0.1]/",
                "http://[::ffff:7f00:1]/",
                "http://[64:ff9b::7f00:1]/",
                "http://[2002:7f00:1::]/",
                "http://[2001::1]/",
                "http://[fe80::1]/",
                "http://[fd00:ec2::254]/",
                "http://[ff02::1]/",
                "http://127.0.0.1:80/",
                "https://127.0.0.1/",
                "http://198.18.0.1/",
                "http://[::127.0.0.1]/",
                // The URL standard ignores this dot after a number.
                "http://127.0.0.1./",
            ],
        ),
        ("has no host", &[]),
    ];
    let mut count = 0;
    for (rule, texts) in cases {
        for text in texts {
            let refusal = admitted(&UrlConfig::default(), text).expect_err(text);
            assert!(refusal.contains(rule), "{text:?}: {refusal}");
            count += 1;
        }
    }
    assert!(count >= 80, "{count}");
    let long = format!("http://example.com/{}", "a".repeat(4096));
    assert!(admitted(&UrlConfig::default(), &long).unwrap_err().contains("too long"));
    // Short as it is written, long as it is asked for.
    let escaped = format!("http://example.com/{}", "ü".repeat(1000));
    assert!(admitted(&UrlConfig::default(), &escaped).unwrap_err().contains("too long"));
}

#[test]
fn host_rules_cover_what_they_say() {
    let config = UrlConfig {
        allow_hosts: vec!["Example.com".into(), ".pictures.example".into(), "8.8.8.8".into()],
        deny_hosts: vec!["bad.pictures.example".into(), ".worse.pictures.example".into()],
        ..UrlConfig::default()
    };
    for host in [
        "example.com",
        "EXAMPLE.com",
        "pictures.example",
        "a.pictures.example",
        "a.b.pictures.example",
        "8.8.8.8",
        "134744072",
    ] {
        assert!(admitted(&config, &format!("http://{host}/")).is_ok(), "{host}");
    }
    for host in [
        "a.example.com",
        "xexample.com",
        "example.com.evil.org",
        "evilpictures.example",
        "bad.pictures.example",
        "worse.pictures.example",
        "a.worse.pictures.example",
        "8.8.4.4",
        "other.org",
    ] {
        assert!(admitted(&config, &format!("http://{host}/")).is_err(), "{host}");
    }
}

#[test]
fn allowing_a_host_opens_no_network() {
    let config = UrlConfig { allow_hosts: vec!["127.0.0.1".into()], ..UrlConfig::default() };
    assert_eq!(admitted(&config, "http://127.0.0.1/"), Err("this address is not a public one"));
}

#[test]
fn ports_and_networks_open_what_they_name() {
    let config = UrlConfig {
        ports: vec![8080],
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..UrlConfig::default()
    };
    assert!(admitted(&config, "http://127.0.0.1:8080/").is_ok());
    assert!(admitted(&config, "http://example.com:8080/").is_ok());
    assert!(admitted(&config, "http://127.0.0.1/").is_err(), "80 is not listed");
    assert!(admitted(&config, "http://[::1]:8080/").is_err());
    let any = UrlConfig { ports: Vec::new(), ..config };
    assert!(admitted(&any, "http://127.0.0.1:12345/").is_ok());
    assert!(admitted(&any, "http://127.0.0.1:0/").is_err());
}

#[test]
fn redirects_are_judged_like_addresses() {
    let policy = Policy::new(&UrlConfig::default());
    let from = policy.admit("https://example.com/a/b?c").unwrap();
    let followed = |location: &str| policy.follow(&from, location).map(|target| target.url.to_string());
    assert_eq!(followed("d").as_deref(), Ok("https://example.com/a/d"));
    assert_eq!(followed("/d").as_deref(), Ok("https://example.com/d"));
    assert_eq!(followed("//other.org/d").as_deref(), Ok("https://other.org/d"));
    assert_eq!(followed("https://other.org/").as_deref(), Ok("https://other.org/"));
    for location in [
        "http://example.com/",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "//[::1]/",
        "file:///etc/passwd",
        "//u@example.com/",
        "/a b",
        "https://example.com:22/",
        "\\\\10.0.0.1/",
        "//10.0.0.1",
    ] {
        assert!(followed(location).is_err(), "{location}");
    }
    let plain = policy.admit("http://example.com/").unwrap();
    assert!(policy.follow(&plain, "https://example.com/").is_ok());
}

#[test]
fn rules_are_hosts() {
    for rule in [
        "example.com",
        ".example.com",
        "Example.COM",
        "localhost",
        "10.0.0.1",
        "::1",
        "xn--bcher-kva.example",
    ] {
        assert!(is_rule(rule), "{rule}");
    }
    for rule in [
        "",
        ".",
        "*.example.com",
        "http://example.com",
        "example.com/",
        "example.com:80",
        "example.com.",
        "a b",
        "127.1",
        ".10.0.0.1",
        "bücher.example",
    ] {
        assert!(!is_rule(rule), "{rule}");
    }
}
