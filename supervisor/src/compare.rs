//! `detectd compare`: reviewed pictures through two models in this process, and what changes from the one to the other.

mod page;

use crate::Failure;
use crate::cli::CompareArgs;
use engine::{Config, Model, ModelConfig, Runtime};
use harvest::State;
use harvest::compare::{Answer, Comparison, Sample, compare, moves};
use harvest::sidecar::Found;
use harvest::truth::{self, Picture};
use serde_json::json;
use shm_proto::control::Exit;
use std::fmt::Write as _;
use std::io::Write as _;
use vision::decode::{Limits, decode};
use vision::model::{OutputFacts, Task};
use vision::postprocess::{self, Options};
use vision::preprocess::{Scratch, write_tensor};
use vision::tensor::TensorView;

/// Lowest score that counts for precision, and most boxes of a picture.
const LOWEST: f32 = 0.01;
const MOST: usize = 300;

/// Runs both models over all pictures, and says what differs.
pub fn run(args: &CompareArgs) -> Result<(), Failure> {
    let [a, b] = &args.models[..] else {
        return Err(Failure::usage("two models are compared: --model A.onnx --model B.onnx"));
    };
    let pictures = truth::pictures(&args.root, &args.state).map_err(Failure::usage)?;
    if pictures.is_empty() {
        let root = args.root.display();
        return Err(Failure::usage(format!(
            "there are no such pictures in {root}: accept some in the review first"
        )));
    }
    let config = Config {
        runtime: args.runtime.clone().unwrap_or_default(),
        device: args.device,
        ..Config::default()
    };
    let wrong = |error: engine::EngineError| Failure { exit: Exit::Usage, why: error.to_string() };
    let runtime = Runtime::load(config.device, &config.runtime).map_err(wrong)?;
    let load = |path: &std::path::PathBuf| {
        Model::load(&runtime, &config, &ModelConfig::new(path.clone())).map_err(wrong)
    };
    let models = [load(a)?, load(b)?];

    let mut samples = Vec::new();
    let mut unreadable = 0;
    for picture in &pictures {
        match sample(picture, &models)? {
            Some(sample) => samples.push(sample),
            None => unreadable += 1,
        }
    }
    let comparison = compare(&samples);
    let names =
        [a, b].map(|path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned());
    if let Some(output) = &args.output {
        let html = page::page(&names, &comparison, &samples, &pictures);
        std::fs::write(output, html)
            .map_err(|error| Failure::usage(format!("{}: {error}", output.display())))?;
    }
    let text = if args.json {
        let versions = models.each_ref().map(|model| model.facts.version.clone());
        let ids: Vec<&str> =
            comparison.disagreements.iter().map(|(at, _)| samples[*at].id.as_str()).collect();
        format!(
            "{}\n",
            json!({ "models": names, "versions": versions, "unreadable": unreadable, "comparison": comparison,
            "disagree": ids, "moves": moves(&samples) })
        )
    } else {
        describe(&names, &comparison, &samples, unreadable)
    };
    let _ = std::io::stdout().write_all(text.as_bytes()); // a closed pipe is no error
    Ok(())
}

/// A picture and both answers; `None` when it cannot be decoded.
fn sample(picture: &Picture, models: &[Model; 2]) -> Result<Option<Sample>, Failure> {
    let Some(pixels) =
        std::fs::read(&picture.path).ok().and_then(|bytes| decode(&bytes, &Limits::default()).ok())
    else {
        return Ok(None);
    };
    let said = |model: &Model| {
        answer(model, &pixels).map_err(|why| Failure::internal(format!("{}: {why}", picture.path.display())))
    };
    let judged = picture.state != State::New;
    Ok(Some(Sample {
        id: picture.sidecar.id.clone(),
        boxes: picture.sidecar.boxes().filter(|_| judged).map(<[Found]>::to_vec),
        class: judged.then(|| picture.class.clone()),
        answers: [said(&models[0])?, said(&models[1])?],
    }))
}

/// What a model says of a picture, by the same steps as in the service.
fn answer(model: &Model, picture: &vision::picture::Picture) -> Result<Answer, String> {
    let (facts, plan) = (&model.facts, model.runner.plan());
    let spec = &facts.spec;
    let mut input = engine::ort_run::Buffer::new(plan.input.bytes());
    let placement = write_tensor(picture, &spec.input, &mut Scratch::default(), input.bytes_mut())
        .map_err(|error| error.to_string())?;
    let mut outputs: Vec<_> =
        plan.outputs.iter().map(|port| engine::ort_run::Buffer::new(port.bytes())).collect();
    let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(engine::ort_run::Buffer::bytes_mut).collect();
    model
        .runner
        .run_once(engine::ort_run::Width::Narrow, 1, input.bytes(), &mut slices)
        .map_err(|error| error.to_string())?;

    let read: Vec<(Vec<usize>, &[u8])> =
        facts.outputs.iter().zip(&outputs).map(|(output, buffer)| rows(output, buffer.bytes())).collect();
    let views: Vec<TensorView<'_>> = facts
        .outputs
        .iter()
        .zip(&read)
        .map(|(output, (shape, bytes))| TensorView { element: output.element, shape, bytes })
        .collect();
    let own = Options::of(spec);
    match spec.task {
        Task::Detect => {
            let asked = Options { score: LOWEST.min(own.score), max_detections: MOST, ..own.clone() };
            let found = postprocess::detections(spec, &views, &placement, &asked)
                .map_err(|error| error.to_string())?;
            let found = found.into_iter().map(|d| Found {
                label: spec.label(d.class).into_owned(),
                class: Some(d.class),
                score: d.score,
                corners: d.bbox,
            });
            let all: Vec<Found> = found.collect();
            let answered =
                all.iter().filter(|found| found.score >= own.score).take(own.max_detections).cloned();
            Ok(Answer { answered: answered.collect(), all, class: None })
        }
        Task::Classify => {
            let asked = Options { score: 0.0, top_k: 1, ..own };
            let found = postprocess::classes(spec, &views, &asked).map_err(|error| error.to_string())?;
            let best = found.first().map(|c| (spec.label(c.class).into_owned(), c.score));
            Ok(Answer { class: best, ..Answer::default() })
        }
    }
}

/// An output's shape and data, as the engine lays them down.
fn rows<'a>(output: &OutputFacts, bytes: &'a [u8]) -> (Vec<usize>, &'a [u8]) {
    let mut shape = output.shape.clone();
    let mut from = 0;
    if output.dynamic {
        from = OutputFacts::DYNAMIC_HEADER;
        let count = bytes.first_chunk::<8>().map_or(0, |count| u64::from_ne_bytes(*count));
        if let Some(most) = shape.first_mut() {
            *most = count.min(*most as u64) as usize;
        }
    }
    let len = shape.iter().product::<usize>() * output.element.bytes();
    (shape, bytes.get(from..from + len).unwrap_or_default())
}

fn describe(names: &[String; 2], comparison: &Comparison, samples: &[Sample], unreadable: usize) -> String {
    let mut out = String::new();
    let share =
        |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{:.1} %", value * 100.0));
    let unread = if unreadable > 0 { format!(", {unreadable} unreadable") } else { String::new() };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "A  {}\nB  {}\n\n{} pictures{unread}; the models disagree on {}\n",
        names[0],
        names[1],
        comparison.pictures,
        comparison.disagreements.len()
    );
    for (what, values) in
        [("mAP 0.5", comparison.map50), ("mAP 0.5–0.95", comparison.map), ("accuracy", comparison.accuracy)]
    {
        if values.iter().any(Option::is_some) {
            let _ = writeln!(out, "{what:<14} A {:>8}   B {:>8}", share(values[0]), share(values[1]));
        }
    }
    let _ = writeln!(
        out,
        "\n{:<24} {:>7} {:>15} {:>15} {:>19}",
        "class", "truth", "answered A B", "right A B", "AP 0.5 A B"
    );
    for row in &comparison.classes {
        let _ = writeln!(
            out,
            "{:<24} {:>7} {:>7} {:>7} {:>7} {:>7} {:>9} {:>9}",
            row.class,
            row.truth,
            row.answered[0],
            row.answered[1],
            row.right[0],
            row.right[1],
            share(row.ap50[0]),
            share(row.ap50[1]),
        );
    }
    for (from, to, many) in moves(samples).into_iter().take(10) {
        let _ = writeln!(out, "{many:>5} × {from} → {to}");
    }
    out
}
