//! The analysis against a machine that is made up: what it must find is known.

use super::*;
use crate::load::{Figures, Input, Times};
use crate::look::{Cores, Seen};
use std::time::Duration;

/// A machine of 4 cores whose pictures cost a frontend 2 ms and the engine 6 ms, with 4 lanes, one decode thread a frontend.
fn record(tps: impl Fn(u32, usize, u32) -> f64) -> Record {
    let conditions = Conditions {
        version: "0.1.0".to_owned(),
        model: "m 0123".to_owned(),
        device: "cpu".to_owned(),
        lanes: 4,
        pictures: vec!["a.jpg".to_owned()],
        picture_bytes: 1000,
        seconds: 5.0,
        warmup: 1.0,
        set: Vec::new(),
        environment: Vec::new(),
        config: None,
        processor: "made up".to_owned(),
        cores: 4,
    };
    let mut samples = Vec::new();
    for round in 0..2 {
        for procs in [1, 2, 4] {
            for concurrency in [1, 8, 64] {
                let tps = tps(procs, concurrency, round);
                let rt = concurrency as f64 / tps * 1e3;
                let times = Times { mean: rt, p50: rt, p99: rt * 1.2, ..Times::default() };
                let setup = Setup { procs, lanes: None, max_batch: None };
                samples.push(Sample {
                    cell: Cell { setup, input: Input::Bytes, requests: None, concurrency },
                    round,
                    unix: 0,
                    load: Figures { tps, rt_ms: times, ok: 100, ..Figures::default() },
                    seen: Seen {
                        tps,
                        run_ms: 6.0,
                        mean_batch: 1.0,
                        lanes_busy: tps * 0.006,
                        decode_threads: 1,
                        shares: vec![1.0 / f64::from(procs); procs as usize],
                        cores: Cores { frontends: tps * 0.002, engine: tps * 0.006, ..Cores::default() },
                        ..Seen::default()
                    },
                });
            }
        }
    }
    Record { conditions, samples }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn ceilings_and_prediction_follow_from_what_a_picture_costs() {
    // One request alone takes 10 ms; the cores end it at 4 / 8 ms = 500.
    let analysis = analyse(&record(|_, c, _| (c as f64 * 100.0).min(500.0)), SECOND);
    let [family] = &analysis.families[..] else { panic!("one family") };
    assert!((family.engine - 4.0 / 0.006).abs() < 1e-6, "{}", family.engine);
    assert!((family.machine - 500.0).abs() < 1e-6, "{}", family.machine);
    assert_eq!(family.procs.iter().map(|p| p.frontends.round()).collect::<Vec<_>>(), [500.0, 1000.0, 2000.0]);
    for p in &family.procs {
        assert!(p.error.abs() < 1e-9, "{p:?}");
        assert_eq!((p.knee.0, p.within_target.map(|(c, _)| c)), (8, Some(64)));
    }
    let cell = |c: usize| analysis.cells.iter().find(|cell| cell.cell.concurrency == c).unwrap();
    assert_eq!((cell(1).limit, cell(8).limit), (Limit::Concurrency, Limit::CoresEngine));
    assert!((cell(1).predicted - 100.0).abs() < 1e-6);
    assert!(analysis.cells.iter().all(|c| c.law_error.abs() < 1e-9));
    let within = analyse(&record(|_, c, _| (c as f64 * 100.0).min(500.0)), Duration::from_millis(100));
    assert_eq!(within.families[0].procs[0].within_target.map(|(c, _)| c), Some(8));
}

#[test]
fn a_relation_is_what_chance_does_not_explain() {
    let text = |record: &Record| text(&analyse(record, SECOND));
    let flat = record(|_, c, round| (c as f64 * 100.0).min(if round == 0 { 490.0 } else { 510.0 }));
    assert!(text(&flat).contains("TPS does not follow the number of processes"), "{}", text(&flat));
    let steep = record(|procs, c, _| (c as f64 * 100.0).min(f64::from(procs) * 120.0));
    assert!(text(&steep).contains("TPS depends on the number of processes"), "{}", text(&steep));
}

#[test]
fn two_runs_are_told_apart_beyond_chance() {
    let run =
        |factor: f64| analyse(&record(|_, c, round| factor * (c as f64 * 99.0 + f64::from(round))), SECOND);
    let verdicts =
        |a: f64, b: f64| compare(&run(b), &run(a)).cells.iter().map(|pair| pair.verdict).collect::<Vec<_>>();
    assert!(verdicts(1.0, 1.2).iter().all(|&verdict| verdict == "faster"));
    assert!(verdicts(1.0, 0.8).iter().all(|&verdict| verdict == "slower"));
    assert!(verdicts(1.0, 1.001).iter().all(|&verdict| verdict == "the same"));
}

#[test]
fn every_other_round_goes_backwards_and_measures_the_same() {
    let grid = Grid {
        procs: vec![1, 2],
        lanes: vec![None, Some(3)],
        max_batch: vec![None],
        inputs: vec![Input::Bytes, Input::Url],
        requests: vec![Some(100)],
        concurrency: vec![1, 10],
    };
    let cells = |round| grid.round(round).into_iter().flat_map(|(_, cells)| cells).collect::<Vec<_>>();
    let (mut there, back) = (cells(0), cells(1));
    assert_eq!(there.len(), grid.len());
    assert_eq!(grid.len(), 16);
    there.reverse();
    assert_eq!(there, back);
    assert_eq!(cells(2), cells(0));
}

#[test]
fn a_record_is_gone_on_with_only_under_its_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scale.json");
    let record = record(|_, c, _| c as f64);
    record.write(&path).unwrap();
    let read = Record::read(&path).unwrap();
    assert_eq!(read, record);
    let cell = record.samples[0].cell;
    assert!(read.has(&cell, 0, true) && read.has(&cell, 1, false) && !read.has(&cell, 2, false));
    assert!(read.check(&record.conditions).is_ok());
    let same = || record.conditions.clone();
    let pair = |key: &str| vec![(key.to_owned(), "1".to_owned())];
    for (other, named) in [
        (Conditions { model: "n 4567".to_owned(), ..same() }, "model: m 0123, now n 4567"),
        (Conditions { seconds: 1.0, ..same() }, "1 and 5, now 1 and 1"),
        (Conditions { set: pair("engine.lanes"), ..same() }, "keys set: none, now engine.lanes=1"),
        (Conditions { environment: pair("DETECTD_ENGINE__LANES"), ..same() }, "DETECTD_ENGINE__LANES=1"),
        (
            Conditions { config: Some("[engine]".to_owned()), ..same() },
            "configuration file: none, now another",
        ),
    ] {
        let why = read.check(&other).unwrap_err().to_string();
        assert!(why.contains(named) && why.contains("choose another --out"), "{why}");
        let back = Record { conditions: other, samples: Vec::new() };
        assert!(back.check(&record.conditions).is_err(), "{named}");
    }
    let of = |text: &str| Conditions { config: Some(text.to_owned()), ..same() };
    assert_eq!(of("a").differences(&of("b")), ["configuration file: one, now another"]);
}

#[test]
fn what_frontends_can_feed_follows_from_the_threads_that_ran() {
    let mut record = record(|procs, _, _| f64::from(procs));
    for sample in &mut record.samples {
        sample.seen.decode_threads = if sample.cell.setup.procs == 1 { 4 } else { 2 };
    }
    let analysis = analyse(&record, SECOND);
    let fed: Vec<f64> = analysis.families[0].procs.iter().map(|p| p.frontends.round()).collect();
    // 2 ms a picture: 500 a second and thread.
    assert_eq!(fed, [2000.0, 2000.0, 4000.0]);
}

#[test]
fn rows_of_a_comparison_say_what_was_varied_and_what_differs_besides() {
    let run = |lanes, device: &str| {
        let mut record = record(|_, c, _| c as f64);
        device.clone_into(&mut record.conditions.device);
        record.samples.iter_mut().for_each(|sample| sample.cell.setup.lanes = lanes);
        analyse(&record, SECOND)
    };
    let same = compare(&run(Some(3), "cpu"), &run(Some(3), "cpu"));
    assert_eq!((same.differences.len(), same.cells.len()), (0, 9));
    let head = same.text();
    assert!(head.starts_with("input") && head.contains("lanes") && head.contains("max_batch"), "{head}");
    assert_eq!(head.lines().nth(1).unwrap().split_whitespace().nth(2), Some("3"), "{head}");
    let other = compare(&run(None, "sim"), &run(None, "cpu"));
    assert_eq!(other.differences, ["device: cpu, now sim"]);
    assert!(other.text().starts_with("SIMULATED: what is now"), "{}", other.text());
    assert!(other.text().contains("\nnot the same: device: cpu, now sim\n"), "{}", other.text());
    let json = serde_json::to_value(&other).unwrap();
    assert_eq!((&json["simulated"], &json["simulated_before"]), (&true.into(), &false.into()));
    assert_eq!(json["cells"][0]["verdict"], "the same");
    assert_eq!(compare(&run(None, "cpu"), &run(Some(1), "cpu")).text(), "no cell is in both\n");
}

#[test]
fn every_form_of_the_report_says_that_it_is_simulated() {
    for device in ["cpu", "sim"] {
        let mut record = record(|_, c, _| c as f64);
        device.clone_into(&mut record.conditions.device);
        let analysis = analyse(&record, SECOND);
        let simulated = device == "sim";
        assert_eq!(serde_json::to_value(&analysis).unwrap()["simulated"], simulated);
        assert_eq!(text(&analysis).contains("SIMULATED"), simulated);
        assert_eq!(page(&analysis, &[]).contains("Simulated:"), simulated);
        assert!(plots(&analysis).iter().all(|plot| plot.title.contains("simulated") == simulated));
        let csv = cells_csv(&analysis);
        assert!(csv.lines().next().unwrap().ends_with(",simulated"), "{csv}");
        assert!(csv.lines().skip(1).all(|line| line.ends_with(&format!(",{simulated}"))), "{csv}");
    }
}

#[test]
fn a_disturbed_sample_gives_way_to_a_better_one() {
    let mut record = record(|_, c, _| c as f64);
    let (count, cell) = (record.samples.len(), record.samples[0].cell);
    record.samples[0].seen.cores.other = 0.7;
    assert!(record.has(&cell, 0, false) && !record.has(&cell, 0, true));
    let mut again = record.samples[0].clone();
    again.seen.cores.other = 0.9;
    record.add(again.clone());
    assert_eq!(record.samples[0].seen.cores.other, 0.7, "worse than what is there");
    again.seen.cores.other = 0.0;
    record.add(again);
    assert!(record.has(&cell, 0, true) && record.samples.len() == count);
    // What others took is not the service's to give.
    record.samples.iter_mut().for_each(|sample| sample.seen.cores.other = 2.0);
    let analysis = analyse(&record, SECOND);
    assert!((analysis.families[0].procs[0].predicted - 250.0).abs() < 1e-6, "two of four cores");
    assert!(analysis.cells.iter().all(|cell| cell.disturbed));
}

#[test]
fn plots_are_drawn_in_both_forms_and_the_page_needs_nobody() {
    let record = record(|_, c, _| (c as f64 * 100.0).min(500.0));
    let analysis = analyse(&record, SECOND);
    let plots = plots(&analysis);
    assert_eq!(plots.len(), 5);
    let drawn: Vec<(String, String)> =
        plots.iter().map(|plot| (plot.title.clone(), svg(plot).unwrap())).collect();
    for (plot, (_, svg)) in plots.iter().zip(&drawn) {
        for word in plot.lines.iter().map(|line| &line.label).chain([&plot.x, &plot.y]) {
            assert!(svg.contains(word.as_str()), "no {word} in {}", plot.name);
        }
        let png = png(plot).unwrap();
        let picture = vision::decode::decode(&png, &vision::decode::Limits::default()).unwrap();
        let inked = picture.rgb.chunks(3).filter(|pixel| pixel[0] < 128).count();
        assert!(inked > 2000, "{}: only {inked} dark pixels", plot.name);
    }
    let page = page(&analysis, &drawn);
    assert_eq!(page.matches("<svg ").count(), 5);
    assert_eq!(page.matches("viewBox").count(), 5);
    for outside in ["src=", "href=", "url(", "<script"] {
        assert!(!page.contains(outside), "the page asks for something: {outside}");
    }
    let csv = cells_csv(&analysis);
    assert_eq!(csv.lines().count(), 10);
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
}
