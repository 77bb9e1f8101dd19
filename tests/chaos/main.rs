//! `make chaos`: every promise about faults in its long form, and the table of what was measured.
//!
//! `DURATION` is how long random pairs of faults go on (in seconds, 600 by default), `SEED` draws them, `ONLY` names scenarios
//! (separated by commas). Exit 1 when a promise was not kept.

use e2e::chaos::Plan;
use e2e::chaos::report::table;
use e2e::chaos::scenarios::ALL;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{name}={text}: a whole number is wanted"))
        }
        _ => default,
    };
    let plan =
        Plan { long: true, seed: number("SEED", 1), duration: Duration::from_secs(number("DURATION", 600)) };
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted: Vec<&str> = only.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ALL.iter().any(|(known, _)| known == *name)) {
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("no scenario {unknown:?}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let mut reports = Vec::new();
    for (name, play) in ALL {
        if wanted.is_empty() || wanted.contains(name) {
            println!("{name} …");
            let report = play(&plan);
            println!("{report}");
            reports.push(report);
        }
    }
    println!("{}", table(&reports));
    if reports.iter().all(|report| report.is_kept()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
