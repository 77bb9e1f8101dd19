use super::*;
use shm_proto::control::Exit;
use vision::model::Task;
use vision::tensor::Element;

fn runtime() -> Runtime {
    Runtime::load(crate::Device::Cpu, Path::new("")).unwrap_or_else(|error| panic!("{error}"))
}

fn asset(name: &str) -> ModelConfig {
    ModelConfig::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/assets").join(name))
}

fn load(name: &str, config: &Config) -> Model {
    Model::load(&runtime(), config, &asset(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(model: &ModelConfig, config: &Config) -> String {
    let error = Model::load(&runtime(), config, model).err().expect("it is refused");
    assert_eq!(error.exit(), Exit::Config, "{error}");
    error.to_string()
}

#[test]
fn every_family_of_the_assets_loads_and_runs() {
    let folder = asset("").path;
    let mut loaded = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".onnx") || ["two_inputs.onnx", "broken.onnx"].contains(&&name[..]) {
            continue;
        }
        let model = load(&name, &Config::default());
        model.warm(1).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(model.facts.version.len(), 64);
        assert_eq!(model.facts.outputs.len(), model.raw.outputs.len(), "{name}");
        let bytes = model.facts.outputs.iter().map(OutputFacts::bytes);
        assert!(bytes.eq(model.runner.plan().outputs.iter().map(|port| port.bytes())), "{name}");
        assert_eq!(model.facts.spec.input.bytes(), model.runner.plan().input.bytes(), "{name}");
        loaded += 1;
    }
    assert!(loaded >= 15, "only {loaded} models in {}", folder.display());
}

#[test]
fn the_batch_axis_decides_the_largest_batch() {
    let eight = Config { max_batch: 8, ..Config::default() };
    assert_eq!(load("batch1.onnx", &eight).facts.max_batch, 1);
    assert_eq!(load("batch4.onnx", &eight).facts.max_batch, 4);
    assert_eq!(load("batch4.onnx", &Config { max_batch: 2, ..Config::default() }).facts.max_batch, 2);
    assert_eq!(load("yolov8.onnx", &eight).facts.max_batch, 8);
    assert_eq!(load("yolov8.onnx", &Config::default()).facts.max_batch, 1, "on a CPU");
}

#[test]
fn the_sidecar_beside_the_model_is_read() {
    let model = load("classifier.onnx", &Config::default());
    assert_eq!(model.facts.spec.task, Task::Classify);
    assert_eq!(model.sidecar, Some(asset("classifier.toml").path));
    assert_eq!(load("f16.onnx", &Config::default()).facts.spec.input.element, Element::F16);
}

#[test]
fn labels_come_from_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "rot\ngrün\nblau\n").unwrap();
    let model = Model::load(&runtime(), &Config::default(), &ModelConfig { labels, ..asset("yolov8.onnx") });
    assert_eq!(model.unwrap().facts.spec.labels, ["rot", "grün", "blau"]);
    let gone = ModelConfig { labels: "/nowhere/labels.txt".into(), ..asset("yolov8.onnx") };
    assert!(refusal(&gone, &Config::default()).contains("/nowhere/labels.txt"));
}

#[test]
fn what_cannot_be_served_says_what_where_and_what_to_do() {
    let config = Config::default();
    let two = refusal(&asset("two_inputs.onnx"), &config);
    assert!(two.contains("two_inputs.onnx") && two.contains("left, right"), "{two}");
    assert!(refusal(&asset("broken.onnx"), &config).contains("broken.onnx"));
    assert!(refusal(&asset("gone.onnx"), &config).contains("gone.onnx"));
    assert!(refusal(&ModelConfig::default(), &config).contains("[model] path"));
    let sidecar = ModelConfig { sidecar: "/nowhere.toml".into(), ..asset("yolov8.onnx") };
    assert!(refusal(&sidecar, &config).contains("/nowhere.toml"));
    let lanes = Config { lanes: 99_999, ..Config::default() };
    assert!(refusal(&asset("yolov8.onnx"), &lanes).contains("engine.lanes"));
}

#[test]
fn a_sidecar_with_a_slip_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let sidecar = folder.path().join("own.toml");
    std::fs::write(&sidecar, "scoer = 0.5\n").unwrap();
    let text = refusal(&ModelConfig { sidecar, ..asset("yolov8.onnx") }, &Config::default());
    assert!(text.contains("own.toml") && text.contains("scoer"), "{text}");
}
