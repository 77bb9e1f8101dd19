//! Models as they are found in the world: each is loaded, described and run, and gives what a plain run gives.

mod common;

use common::{reference, runtime, shared};
use engine::ort_run::Buffer;
use engine::{Config, Model, graph, inspect, probe, session};
use ort::value::TensorRef;
use std::path::Path;

const MODELS: [&str; 11] = [
    "yolox_nano.onnx",
    "derived/yolox_nano_dynbatch.onnx",
    "picodet_xs_320.onnx",
    "fastestdet.onnx",
    "ultraface_rfb_320.onnx",
    "yunet_n_320.onnx",
    "yunet_n_dynamic.onnx",
    "derived/squeezenet1.1_fp32.onnx",
    "squeezenet1.1_fp16.onnx",
    "cifar10_cnn.onnx",
    "mnist_cntk.onnx",
];

#[test]
fn public_models_load_and_run() {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        let Some(mut model) = shared(name) else { return };
        if name.contains("yunet_n_dynamic") {
            // Rows and columns are free in the file, so somebody has to say them.
            model.sidecar = folder.path().join("yunet.toml");
            let text = "[input]\nwidth = 320\nheight = 320\n\n[decoder]\nfamily = \"yunet\"\n";
            std::fs::write(&model.sidecar, text).unwrap();
        }
        let found = inspect(&model, &Config::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.facts.outputs.iter().all(|output| !output.dynamic), "{name}");
        println!("{name}: {:?}, {:.2} ms", found.facts.spec.decoder, found.run_ms);
    }
}

#[test]
fn a_run_in_place_gives_what_a_plain_run_gives() {
    let Some(file) = shared("yolox_nano.onnx") else { return };
    let config = Config::default();
    let model = Model::load(&runtime(), &config, &file).unwrap();
    let mut input = Buffer::new(model.runner.plan().input.bytes());
    probe::noise(&model.facts.spec.input, input.bytes_mut());
    let ours = reference(&model, 1, input.bytes());

    let values: Vec<f32> =
        input.bytes().chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().unwrap())).collect();
    let bytes = std::fs::read(&file.path).unwrap();
    let bytes = graph::rewritten(&bytes, config.optimization);
    let mut plain = session::open(&runtime(), &config, Path::new("plain"), &bytes, &[]).unwrap();
    let tensor = TensorRef::from_array_view(([1_usize, 3, 416, 416], &values[..])).unwrap();
    let outputs = plain.run(ort::inputs![tensor]).unwrap();
    let (_, theirs) = outputs[0].try_extract_tensor::<f32>().unwrap();
    let theirs: Vec<u8> = theirs.iter().flat_map(|value| value.to_ne_bytes()).collect();
    assert!(ours[0] == theirs);
}
