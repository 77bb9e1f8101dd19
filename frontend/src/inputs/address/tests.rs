use super::*;

/// One address a line that must never be dialled, with the first and last of every refused network.
const REFUSED: &str = "
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.1.2.3 10.255.255.255
100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.1.2.3 127.255.255.255
168.63.129.16 169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255
172.16.0.0 172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.170 192.0.0.255 192.0.2.0 192.0.2.255
192.31.196.0 192.31.196.255 192.52.193.0 192.52.193.255 192.88.99.0 192.88.99.255
192.168.0.0 192.168.1.1 192.168.255.255 192.175.48.0 192.175.48.255
198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255
224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.0 250.1.2.3 255.255.255.255
:: ::1 ::2 ::7f00:1 ::10.0.0.1 ::ffff:0:0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8
::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 64:ff9b:1:ffff::1
100::1 100::ffff 1fff:ffff::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1
2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8::1 2001:db8:ffff::1 2002:7f00:1::1 2002:a00:1::1 2002:808:808::1
3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 8000::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1:2:3:4 febf::1
fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

/// Global addresses, with the neighbours of refused networks.
const GLOBAL: &str = "
1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0
192.31.195.255 192.31.197.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
2000::1 2001:200::1 2001:4860:4860::8888 2001:db7:ffff::1 2001:db9::1 2001:ffff::1 2003::1 2606:4700::1111
2a00:1450::1 3ffe::1 3fff:1000::1 3fff:ffff::1";

fn addresses(list: &str) -> Vec<IpAddr> {
    list.split_whitespace().map(|text| text.parse().expect(text)).collect()
}

#[test]
fn special_addresses_are_refused() {
    let refused = addresses(REFUSED);
    assert!(refused.len() >= 90, "{}", refused.len());
    for address in refused {
        assert!(!Addresses::default().permits(address), "{address}");
    }
}

#[test]
fn global_addresses_are_permitted() {
    for address in addresses(GLOBAL) {
        assert!(Addresses::default().permits(address), "{address}");
    }
}

#[test]
fn a_network_opens_itself_and_no_neighbour() {
    let opened = Addresses::new(&["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
    for address in addresses("10.1.0.0 10.1.255.255 ::1 8.8.8.8") {
        assert!(opened.permits(address), "{address}");
    }
    for address in addresses("10.0.255.255 10.2.0.0 ::2 127.0.0.1 ::ffff:10.1.0.1") {
        assert!(!opened.permits(address), "{address}");
    }
}

#[test]
fn every_end_of_a_refused_network_is_refused() {
    for network in REFUSED_V4 {
        assert_eq!(network, network.trunc(), "the table names a network by an address inside it");
        for address in [network.network(), network.broadcast()] {
            assert!(!is_global(address.into()), "{address}");
        }
    }
    for network in REFUSED_V6 {
        assert_eq!(network, network.trunc());
        for address in [network.network(), network.broadcast()] {
            assert!(!is_global(address.into()), "{address}");
        }
    }
}
