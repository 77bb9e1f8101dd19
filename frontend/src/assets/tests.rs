use super::*;
use std::io::Read;

fn request(headers: &[(http::HeaderName, &'static str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

#[test]
fn files_are_found_by_their_path_and_parts_are_no_files() {
    assert!(FILES.windows(2).all(|two| two[0].path < two[1].path), "sorted");
    for file in FILES {
        assert_eq!(find(file.path).map(|found| found.path), Some(file.path));
        assert!(!file.plain.is_empty(), "{} is empty", file.path);
        assert!(!file.path.starts_with("parts/"), "{}", file.path);
    }
    assert!(find("index.html").is_some() && find("no.html").is_none() && find("README.md").is_none());
}

#[test]
fn what_is_compressed_is_the_same_file() {
    let mut compressed = 0;
    for file in FILES {
        if let Some(gzip) = file.gzip {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).expect("gzip");
            assert_eq!(plain, file.plain, "{}", file.path);
            compressed += 1;
        }
    }
    assert!(compressed > 0, "nothing was compressed");
}

#[test]
fn a_client_gets_the_coding_it_takes() {
    for (accepted, expected) in [
        ("", None),
        ("br", None),
        ("gzip", Some("gzip")),
        ("br, GZIP;q=0.5", Some("gzip")),
        ("gzip;q=0, br", None),
        ("xgzip", None),
    ] {
        let page = find("index.html").expect("a page");
        let reply = page.reply(&request(&[(ACCEPT_ENCODING, accepted)]), Keep::Ask);
        let coding = reply.headers.get(CONTENT_ENCODING).map(|value| value.to_str().expect("text"));
        assert_eq!(coding, expected, "{accepted}");
        assert_eq!(reply.headers[VARY], "accept-encoding");
    }
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    let page = find("index.html").expect("a page");
    let first = page.reply(&HeaderMap::new(), Keep::Ask);
    let tag = first.headers[ETAG].clone();
    let mut known = HeaderMap::new();
    known.insert(IF_NONE_MATCH, tag.clone());
    let second = page.reply(&known, Keep::Ask);
    assert_eq!((second.status, second.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(second.headers[ETAG], tag);
    // Another coding is another answer, with a tag of its own.
    known.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    assert_eq!(page.reply(&known, Keep::Ask).status, StatusCode::OK);
}

/// The texts in a source that `mark` precedes, up to their closing quote.
fn texts<'a>(source: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(mark).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn every_text_has_its_chinese() {
    let source = |file: &File| std::str::from_utf8(file.plain).expect("sources are UTF-8");
    let chinese: String =
        FILES.iter().filter(|file| file.path.ends_with("zh.js")).map(source).collect::<Vec<_>>().concat();
    let mut seen = 0;
    let mut check = |text: &str, path: &str| {
        assert!(chinese.contains(&format!("\"{text}\": ")), "{path}: no Chinese for \"{text}\"");
        seen += 1;
    };
    for file in FILES.iter().filter(|file| file.path.ends_with(".js") && !file.path.starts_with("vendor/")) {
        texts(source(file), " t(\"").for_each(|text| check(text, file.path));
        texts(source(file), "(t(\"").for_each(|text| check(text, file.path));
        texts(source(file), "{t(\"").for_each(|text| check(text, file.path));
    }
    for file in FILES.iter().filter(|file| file.path.ends_with(".html")) {
        for element in source(file).split('<').filter(|tag| tag.contains(" data-t")) {
            let (tag, text) = element.split_once('>').expect("a tag ends");
            if tag.ends_with(" data-t") {
                check(text.trim(), file.path);
            }
            for name in texts(tag, "data-t-attr=\"").flat_map(|names| names.split(' ')) {
                let mark = format!(" {name}=\"");
                texts(tag, &mark).for_each(|text| check(text, file.path));
            }
        }
    }
    assert!(seen > 50, "only {seen} texts were found");
}
