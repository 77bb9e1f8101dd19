use super::*;

#[test]
fn a_class_becomes_a_harmless_folder_and_comes_back() {
    for class in [
        "dog",
        "potted plant",
        "二维码",
        "a/b",
        "../../etc",
        ".hidden",
        "_reviewed",
        "100%",
        "x:y*?",
        "ü",
        "-rf",
    ] {
        let name = folder(class);
        assert!(!name.contains('/') && !name.starts_with(['.', '_', '-']), "{class}: {name}");
        assert_eq!(super::class(&name), class);
    }
    let long = "n".repeat(300);
    assert!(folder(&long).len() < 130 && folder(&long) != folder(&format!("{long}x")));
    assert_eq!(folder(""), "%");
    assert_eq!(folder(NOTHING), NOTHING);
}

#[test]
fn scores_fall_into_tenths() {
    let cases = [
        (0.0, "0.0-0.1"),
        (0.1, "0.1-0.2"),
        (0.899, "0.8-0.9"),
        (0.95, "0.9-1.0"),
        (1.0, "0.9-1.0"),
        (7.0, "0.9-1.0"),
        (f32::NAN, "0.0-0.1"),
    ];
    for (score, wanted) in cases {
        assert_eq!(bucket(score), wanted);
    }
}

#[test]
fn a_place_says_state_and_class() {
    for state in State::ALL {
        let place = place(state, "a/b", 0.42, "2026-11-25", "X.jpg");
        assert_eq!(read(&place), Some((state, "a/b".to_owned())), "{}", place.display());
    }
    assert_eq!(
        place(State::New, "dog", 0.42, "2026-11-25", "X.jpg"),
        Path::new("dog/0.4-0.5/2026-11-25/X.jpg")
    );
    assert_eq!(read(Path::new("dog/X.jpg")), Some((State::New, "dog".to_owned())), "sorted by hand");
    for foreign in ["X.jpg", "_index/thumbs/X.jpg", "_other/X.jpg", ".git/X.jpg", "../X.jpg"] {
        assert_eq!(read(Path::new(foreign)), None, "{foreign}");
    }
}
