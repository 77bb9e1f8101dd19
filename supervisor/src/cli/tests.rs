//! Flags become overrides, after the environment's.

use super::*;
use clap::CommandFactory;

fn sources(line: &[&str]) -> Sources {
    let cli = Cli::try_parse_from([&["detectd"], line].concat()).expect("a good line");
    let Command::Serve(args) = cli.command else { panic!("serve expected") };
    args.config.sources()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn flags_become_overrides_of_their_keys() {
    let sources = sources(&["serve", "--procs", "3", "--listen", "[::]:80", "--set", "engine.lanes=2"]);
    let found: Vec<_> =
        sources.overrides.iter().map(|o| (o.key.as_str(), o.value.as_str(), o.origin.as_str())).collect();
    let wanted = [
        ("service.procs", "3", "--procs"),
        ("service.listen", "[::]:80", "--listen"),
        ("engine.lanes", "2", "--set engine.lanes"),
    ];
    assert!(found.ends_with(&wanted), "{found:?}");
}

#[test]
fn a_set_without_a_section_is_refused() {
    assert!(Cli::try_parse_from(["detectd", "serve", "--set", "lanes=2"]).is_err());
}

#[test]
fn the_roles_are_hidden_but_there() {
    assert!(!Cli::command().render_long_help().to_string().contains("role"));
    let line = "detectd role frontend --slot 1 --rendezvous /x --log-level info --log-format json";
    assert!(Cli::try_parse_from(line.split(' ')).is_ok());
}
