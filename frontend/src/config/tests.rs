use super::*;

#[test]
fn the_defaults_hold_and_survive_the_file() {
    let config = Config::default();
    config.check().expect("defaults are allowed");
    let text = toml::to_string(&config).expect("a configuration can be written");
    assert_eq!(toml::from_str::<Config>(&text).expect("and read back"), config);
}

#[test]
fn an_unknown_key_is_refused() {
    for text in ["[frontend]\nmax_conns = 1", "[images]\nmax_pixel = 1", "[frontends]\n"] {
        assert!(toml::from_str::<Config>(text).is_err(), "{text}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    for (text, key) in [
        ("[frontend]\ndeadline = \"0s\"", "frontend.deadline"),
        ("[frontend]\nmax_concurrency = 0", "frontend.max_concurrency"),
        ("[images]\njpeg_quality = 101", "images.jpeg_quality"),
        ("[images]\nmin_side = 20000", "images.min_side"),
    ] {
        let config: Config = toml::from_str(text).expect(text);
        let error = config.check().expect_err(text).to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

#[test]
fn threads_share_the_cores_between_frontends() {
    for (configured, cores, frontends, expected) in
        [(0, 8, 1, 8), (0, 8, 3, 3), (0, 2, 4, 1), (0, 1, 64, 1), (5, 2, 2, 5)]
    {
        let config = FrontendConfig { decode_threads: configured, ..FrontendConfig::default() };
        assert_eq!(config.decode_threads(cores, frontends), expected);
    }
}
