use super::*;
use crate::cli::{Cli, Command};
use clap::Parser;

fn args(words: &[&str]) -> BatchArgs {
    let words = ["detectd", "batch", "in", "-o", "out.jsonl"].iter().chain(words);
    match Cli::parse_from(words).command {
        Command::Batch(args) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_become_a_query() {
    assert_eq!(query(&args(&[])), "");
    let query = query(&args(&["--score", "0.5", "--top-k", "3", "--classes", "dog,traffic light"]));
    assert_eq!(query, "score=0%2E5&top_k=3&classes=dog%2Ctraffic%20light");
}

#[test]
fn a_batch_has_an_address_of_its_own() {
    for flag in ["--listen", "--name"] {
        let refused = Cli::try_parse_from(["detectd", "batch", "in", "-o", "out.jsonl", flag, "x"])
            .expect_err("makes no sense");
        assert!(refused.to_string().contains(flag), "{refused}");
    }
}

#[test]
fn what_serves_lone_runs_is_loaded_where_there_are_some() {
    let mut config = Config::default();
    let sets =
        |config: &Config, jobs| keys(config, jobs, false).contains(&("engine.idle_threads", "1".to_owned()));
    assert!(sets(&config, 32) && !sets(&config, 1));
    config.engine.idle_threads = 2;
    assert!(!sets(&config, 32), "who asks for it gets it");
}

#[test]
fn frontends_are_few_unless_somebody_says_how_many() {
    let procs = |config: &Config, has_own| {
        keys(config, 32, has_own)
            .into_iter()
            .find_map(|(key, value)| (key == "service.procs").then_some(value))
    };
    let mut config = Config::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(procs(&config, false), Some(cores.div_ceil(8).min(64).to_string()));
    assert_eq!(procs(&config, true), None);
    config.frontend.decode_threads = 3;
    assert_eq!(procs(&config, false), None, "three for each of as many as were said");
}

#[test]
fn the_digest_is_of_model_settings_and_options() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.model.path = folder.path().join("m.onnx");
    std::fs::write(&config.model.path, b"one").expect("room");
    let first = digest(&config, "").expect("a digest");
    assert_ne!(first, digest(&config, "score=1").expect("a digest"));
    std::fs::write(&config.model.path, b"two").expect("room");
    assert_ne!(first, digest(&config, "").expect("a digest"));
    std::fs::write(config.model.path.with_extension("toml"), b"").expect("room");
    assert_ne!(first, digest(&config, "").expect("a digest"));
    let second = digest(&config, "").expect("a digest");
    config.images.reduce = !config.images.reduce;
    assert_ne!(second, digest(&config, "").expect("a digest"), "pictures are read another way");
    config.images.reduce = !config.images.reduce;
    config.engine.device = engine::Device::Sim;
    assert_ne!(second, digest(&config, "").expect("a digest"), "nothing is really run");
    config.engine.device = engine::Device::Cpu;
    config.engine.lanes = 7;
    assert_eq!(second, digest(&config, "").expect("a digest"), "how many run at once is nobody's answer");
}
