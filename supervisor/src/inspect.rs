//! `detectd model inspect`: what a model file is, how it will be used, what of that was guessed, and the sidecar that
//! would make it explicit.

use crate::Failure;
use crate::cli::InspectArgs;
use engine::{Config, Inspection, ModelConfig};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use toml::{Table, Value};
use vision::model::ModelSpec;
use vision::tensor::TensorInfo;

/// Keys that a sidecar's `[decoder]` knows; the others a model's shape decides.
const DECODER_KEYS: [&str; 11] = [
    "family",
    "strides",
    "rows",
    "boxes",
    "scores",
    "classes",
    "count",
    "layout",
    "background",
    "first_class",
    "softmax",
];
/// More labels than this are only counted.
const FEW_LABELS: usize = 8;

/// Loads the model in this process and describes it.
pub fn run(args: &InspectArgs) -> Result<(), Failure> {
    let model = ModelConfig {
        path: args.file.clone(),
        sidecar: args.sidecar.clone().unwrap_or_default(),
        labels: args.labels.clone().unwrap_or_default(),
    };
    let config = Config { runtime: args.runtime.clone().unwrap_or_default(), ..Config::default() };
    let found = engine::inspect(&model, &config)
        .map_err(|error| Failure { exit: shm_proto::control::Exit::Usage, why: error.to_string() })?;
    let explicit = sidecar(&found.facts.spec).map_err(Failure::internal)?;
    let text = if args.json {
        format!("{}\n", json!({ "file": args.file, "inspection": found, "explicit_sidecar": explicit }))
    } else {
        describe(&args.file, &found, &explicit)
    };
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()); // a closed pipe is no error
    Ok(())
}

fn describe(file: &Path, found: &Inspection, explicit: &str) -> String {
    let mut out = String::new();
    let facts = &found.facts;
    let spec = &facts.spec;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<10} {value}");
    };
    line("file", format!("{} (sha256 {})", file.display(), facts.version));
    line("name", spec.name.clone());
    line("task", format!("{:?}", spec.task).to_lowercase());
    line("family", family(spec));
    for tensor in &found.raw.inputs {
        line("input", tensor_text(tensor));
    }
    for (tensor, fact) in found.raw.outputs.iter().zip(&facts.outputs) {
        let dynamic = if fact.dynamic {
            format!(", rows depend on the picture, at most {}", fact.shape[0])
        } else {
            String::new()
        };
        line("output", format!("{}{dynamic}", tensor_text(tensor)));
    }
    line("labels", labels(&spec.labels));
    line("sidecar", found.sidecar.as_ref().map_or("none".to_owned(), |path| path.display().to_string()));
    line(
        "runtime",
        format!("ONNX Runtime {} on {}, {}", facts.runtime, facts.device, found.runtime_path.display()),
    );
    line(
        "speed",
        format!("loaded in {:.0} ms, one image in {:.2} ms on one lane", found.load_ms, found.run_ms),
    );
    if spec.guessed.is_empty() {
        line("guessed", "nothing".to_owned());
    }
    for guess in &spec.guessed {
        line("guessed", guess.clone());
    }
    let beside = file.with_extension("toml");
    let _ = write!(out, "\n# As a sidecar ({}) this says the same explicitly:\n{explicit}", beside.display());
    out
}

fn tensor_text(tensor: &TensorInfo) -> String {
    let axes: Vec<String> =
        tensor.shape.iter().map(|&axis| if axis < 0 { "?".to_owned() } else { axis.to_string() }).collect();
    format!("{} {:?} [{}]", tensor.name, tensor.element, axes.join(", "))
        .replace(" U8", " u8")
        .replace(" F", " f")
}

fn labels(labels: &[String]) -> String {
    if labels.is_empty() {
        return "none: classes are answered as numbers".to_owned();
    }
    let some: Vec<&str> = labels.iter().take(FEW_LABELS).map(String::as_str).collect();
    let more = if labels.len() > FEW_LABELS { ", …" } else { "" };
    format!("{}: {}{more}", labels.len(), some.join(", "))
}

fn family(spec: &ModelSpec) -> String {
    let decoder = Table::try_from(&spec.decoder).unwrap_or_default();
    decoder.get("family").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The sidecar that says what the spec says. Labels are left out when there are many: a file is the place for them.
fn sidecar(spec: &ModelSpec) -> Result<String, toml::ser::Error> {
    let whole = Table::try_from(spec)?;
    let mut table = Table::new();
    for key in ["name", "task", "score", "iou", "max_detections", "top_k"] {
        table.extend(whole.get(key).map(|value| (key.to_owned(), short(value))));
    }
    if !spec.labels.is_empty() && spec.labels.len() <= FEW_LABELS {
        table.extend(whole.get("labels").map(|value| ("labels".to_owned(), value.clone())));
    }
    let section = |name: &str, keep: &dyn Fn(&str) -> bool| -> Table {
        let section = whole.get(name).and_then(Value::as_table).cloned().unwrap_or_default();
        section.into_iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key, short(&value))).collect()
    };
    table.insert("input".to_owned(), section("input", &|key| !matches!(key, "name" | "element")).into());
    table.insert("decoder".to_owned(), section("decoder", &|key| DECODER_KEYS.contains(&key)).into());
    let text = toml::to_string(&table)?;
    let many = spec.labels.len() > FEW_LABELS;
    Ok(if many {
        format!("# and the {} names: labels_file = \"FILE\"\n{text}", spec.labels.len())
    } else {
        text
    })
}

/// Single-precision values as people write them: 0.45, not 0.44999998807907104.
fn short(value: &Value) -> Value {
    match value {
        Value::Float(x) => Value::Float((*x as f32).to_string().parse().unwrap_or(*x)),
        Value::Array(items) => Value::Array(items.iter().map(short).collect()),
        Value::Table(table) => Value::Table(table.iter().map(|(k, v)| (k.clone(), short(v))).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
