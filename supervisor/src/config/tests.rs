//! The checked-in file says the defaults, and mistakes are answered with where, what, and what was meant.

use super::load::{defaults, keys, lookup};
use super::reload::Changes;
use super::*;
use std::fs;
use toml::Table;

const FILE: &str = include_str!("../../../config.toml");

/// A folder with a configuration and a model beside it, so that only what a test is about can be wrong.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("models")).expect("folder");
        fs::write(folder.path().join("models/codes.onnx"), b"").expect("file");
        fs::write(folder.path().join("detectd.toml"), text).expect("file");
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("detectd.toml")
    }

    fn load(&self, overrides: &[(&str, &str, &str)]) -> Result<Config, String> {
        let overrides = overrides
            .iter()
            .map(|(key, value, origin)| Override {
                key: (*key).into(),
                value: (*value).into(),
                origin: (*origin).into(),
            })
            .collect();
        let sources = Sources { file: Some(self.file()), overrides };
        let folder = format!("{}/", self.folder.path().display());
        load(&sources).map_err(|error| error.to_string().replace(&folder, ""))
    }
}

fn error(text: &str) -> String {
    Place::new(text).load(&[]).expect_err("a mistake")
}

#[test]
fn the_checked_in_file_says_the_defaults() {
    let parsed: Config = toml::from_str(FILE).expect("config.toml");
    assert_eq!(parsed, Config::default());
}

#[test]
fn the_checked_in_file_names_every_key_with_a_comment_each() {
    let table: Table = FILE.parse().expect("config.toml");
    let (named, known) = (keys(&table), keys(&defaults()));
    assert_eq!(named.iter().filter(|key| !known.contains(key)).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(known.iter().filter(|key| !named.contains(key)).collect::<Vec<_>>(), Vec::<&String>::new());
    let bare: Vec<&str> = FILE.lines().filter(|line| line.contains(" = ") && !line.contains("# ")).collect();
    assert_eq!(bare, Vec::<&str>::new(), "keys without a comment");
}

#[test]
fn mistakes_are_answered_with_place_key_and_remedy() {
    for (text, wanted) in [
        ("\n[service]\nproc = 3\n", "detectd.toml:3: unknown key service.proc; did you mean service.procs?"),
        ("[engine]\nprocs = 3\n", "detectd.toml:2: unknown key engine.procs; did you mean service.procs?"),
        (
            "[inputs.url]\nport = [80]\n",
            "detectd.toml:2: unknown key inputs.url.port; did you mean inputs.url.ports?",
        ),
        (
            "[inputs.url]\nca_fil = \"a\"\n",
            "detectd.toml:2: unknown key inputs.url.ca_fil; did you mean inputs.url.ca_file?",
        ),
        ("[log]\ncolour = 1\n", "detectd.toml:2: unknown key log.colour; keys of [log]: format, level"),
    ] {
        assert_eq!(error(text), wanted);
    }
}

#[test]
fn values_are_answered_with_place_key_and_range() {
    for (text, wanted) in [
        ("[service]\nprocs = \"many\"\n", &["detectd.toml:2: service.procs: ", "string \"many\"", "u32"][..]),
        (
            "\n\n[service]\nprocs = 65\n",
            &["detectd.toml:4: service.procs: 65 is out of range; allowed: 0 (one per core) to 64"],
        ),
        (
            "[service]\ndrain_timeout = \"30\"\n",
            &["detectd.toml:2: service.drain_timeout: ", "'30'", "\"10s\""],
        ),
        (
            "[service]\nstart_timeout = \"2h\"\n",
            &["detectd.toml:2: service.start_timeout: \"2h\" is out of range"],
        ),
        (
            "[service]\nlisten = \"8888\"\n",
            &["detectd.toml:2: service.listen: \"8888\": ", "write ADDRESS:PORT"],
        ),
        ("[service]\nname = \"a/b\"\n", &["detectd.toml:2: service.name: ", "letters, digits"]),
        ("[log]\nlevel = \"loud\"\n", &["detectd.toml:2: log.level: ", "use error, warn, info"]),
        ("[engine]\nlanes = 9999\n", &["detectd.toml:2: engine.lanes: ", "9999", "1024"]),
        ("[images]\njpeg_quality = 0\n", &["detectd.toml:2: images.jpeg_quality: must be 1 to 100"]),
        ("[model]\npath = \"nowhere.onnx\"\n", &["detectd.toml:2: model.path: nowhere.onnx: no such file"]),
        ("[service\n", &["detectd.toml:1: "]),
    ] {
        let error = error(text);
        for part in wanted {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
        assert!(!error.contains('\n'), "more than one line: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let sources = Sources { file: Some("/nowhere/detectd.toml".into()), overrides: Vec::new() };
    let error = load(&sources).expect_err("missing").to_string();
    assert!(error.starts_with("/nowhere/detectd.toml: ") && error.contains("--config"), "{error}");
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let place = Place::new("[service]\nprocs = 3\n[engine]\nlanes = 3\nthreads = 3\n");
    let variables = [("DETECTD_PROCS", "4"), ("DETECTD_ENGINE__LANES", "4"), ("HOME", "/root")];
    let mut overrides = env_overrides(variables.map(|(n, v)| (n.to_owned(), v.to_owned())));
    overrides.push(Override { key: "service.procs".into(), value: "5".into(), origin: "--procs".into() });
    let config = load(&Sources { file: Some(place.file()), overrides }).expect("good");
    assert_eq!((config.service.procs, config.engine.lanes, config.engine.threads), (5, 4, 3));
}

#[test]
fn a_wrong_override_is_named_as_it_was_written() {
    let place = Place::new("");
    for (key, value, origin, wanted) in [
        ("service.procs", "many", "--procs", "--procs=many: service.procs: "),
        ("service.procs", "70", "DETECTD_PROCS", "DETECTD_PROCS=70: service.procs: 70 is out of range"),
        (
            "engine.lane",
            "2",
            "DETECTD_ENGINE__LANE",
            "DETECTD_ENGINE__LANE=2: unknown key engine.lane; did you mean engine.lanes?",
        ),
        ("log.format", "xml", "--log-format", "--log-format=xml: log.format: unknown variant `xml`"),
    ] {
        let error = place.load(&[(key, value, origin)]).expect_err(origin);
        assert!(error.contains(wanted), "{error:?} lacks {wanted:?}");
    }
}

#[test]
fn overrides_take_the_type_of_the_default() {
    let config = Place::new("")
        .load(&[
            ("service.name", "8", "a"),
            ("inputs.url.ports", "8080,8443", "b"),
            ("inputs.url.allow_hosts", "a.example, .b.example", "c"),
            ("inputs.url.deny_hosts", "[\"c.example\"]", "d"),
            ("engine.spinning", "true", "e"),
            ("engine.max_delay", "2ms", "f"),
        ])
        .expect("good");
    assert_eq!(config.service.name, "8");
    assert_eq!(config.inputs.url.ports, [8080, 8443]);
    assert_eq!(config.inputs.url.allow_hosts, ["a.example", ".b.example"]);
    assert_eq!(config.inputs.url.deny_hosts, ["c.example"]);
    assert!(config.engine.spinning);
    assert_eq!(config.engine.max_delay, std::time::Duration::from_millis(2));
}

#[test]
fn paths_are_relative_to_the_file_and_the_built_in_model_is_found_beside_it() {
    let place =
        Place::new("[engine]\nruntime = \"lib/ort.so\"\n[inputs.path]\nroots = [\"pictures\", \"/abs\"]\n");
    let config = place.load(&[]).expect("good");
    let folder = place.folder.path();
    assert_eq!(config.engine.runtime, folder.join("lib/ort.so"));
    assert_eq!(config.inputs.path.roots, [folder.join("pictures"), PathBuf::from("/abs")]);
    assert_eq!(config.model.path, folder.join("models/codes.onnx"));
    let over = place.load(&[("model.path", "Cargo.toml", "--model")]).expect("good");
    assert_eq!(over.model.path, std::env::current_dir().expect("folder").join("Cargo.toml"));
}

#[test]
fn a_reload_knows_who_takes_up_which_key() {
    let old = Config::default();
    let mut new = old.clone();
    new.images.max_side = 100;
    new.log.level = "debug".to_owned();
    new.engine.lanes = 7;
    new.engine.standby = true;
    new.inputs.url.ca_file = Some("ca.pem".into());
    let found = changes(&old, &new);
    assert_eq!(found.frontends, ["images.max_side", "inputs.url.ca_file", "log.level"]);
    assert_eq!(found.engine, ["engine.lanes"]);
    assert_eq!(found.restart, ["engine.standby"]);
    assert_eq!(changes(&old, &old), Changes::default());
}

#[test]
fn every_default_has_a_value_to_look_up() {
    let table = defaults();
    assert!(keys(&table).iter().all(|key| lookup(&table, key).is_some()));
    assert!(keys(&table).len() > 40, "the defaults were not serialised");
}
