//! Options that would be without effect are refused; what is there by default refuses nobody.

use super::{Bench, PlanArgs};
use clap::{CommandFactory, Parser};

/// The instruments' part of `detectd`'s command line.
#[derive(Debug, Parser)]
enum Line {
    #[command(subcommand)]
    Bench(Bench),
    Plan(PlanArgs),
}

/// Why a line is refused; nothing when it is good.
fn refused(line: &str) -> Option<String> {
    Line::try_parse_from(line.split(' ')).err().map(|error| error.to_string())
}

#[test]
fn the_command_line_is_consistent() {
    Line::command().debug_assert();
}

#[test]
fn an_option_without_what_it_belongs_to_is_refused() {
    for (line, named) in [
        ("detectd plan --pv 1 --qps 1 --input url", "--qps"),
        ("detectd plan --pv 1 --qps 1 --rt-target 1s", "--qps"),
        ("detectd bench load h --content-type text/plain", "--body"),
        ("detectd bench load h --input base64", "--image"),
        ("detectd bench load h --form json", "--image"),
        ("detectd bench load h --body f --form json", "--body"),
        ("detectd bench load h --body f --input url", "--body"),
        ("detectd bench load h -i f --method PUT", "--method"),
        ("detectd bench load h -i f --body f", "--body"),
        ("detectd bench load h --window 2s", "--stable"),
        ("detectd bench load h --window 2s -n 5", "--requests"),
        ("detectd bench load h --arrivals constant", "--rate"),
        ("detectd bench scale -i f --requests 100 -d 1s", "--duration"),
        ("detectd bench floor --model m -i f --alone --procs 2", "--procs"),
    ] {
        let why = refused(line).unwrap_or_else(|| panic!("taken: {line}"));
        assert!(why.contains(named), "{line}: {why}");
    }
}

#[test]
fn the_same_options_with_it_are_taken() {
    for line in [
        "detectd plan --pv 1 --qps 1",
        "detectd plan --pv-month 1 --from f --input url --rt-target 1s",
        "detectd bench load h",
        "detectd bench load h --method HEAD",
        "detectd bench load h --body f --content-type text/plain --method PUT",
        "detectd bench load h -i f -i g --content-type image/jpeg",
        "detectd bench load h -i f --input base64 --form json",
        "detectd bench load h -i f --stable --window 2s",
        "detectd bench load h -i f --stable=2",
        "detectd bench load h --rate 5 --arrivals constant",
        "detectd bench scale -i f --requests 100,200",
        "detectd bench scale -i f -d 1s",
        "detectd bench floor --model m -i f --alone -d 1s",
        "detectd bench floor --model m -i f --procs 2 --set engine.lanes=1",
    ] {
        assert_eq!(refused(line), None, "{line}");
    }
}
