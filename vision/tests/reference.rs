//! Decoding, preprocessing, the real models, postprocessing: what comes out must be what independent
//! references say, for every model and picture of the test data.
//!
//! Needs the test data and ONNX Runtime (`ORT_DYLIB_PATH`); says what is missing and passes without them.
//! `DETECTD_REFERENCE` limits it to models whose name contains that text.

#[path = "../../tests/src/reference.rs"]
mod reference;

use ort::session::Session;
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};
use reference::{Answer, Object, Ranked, Reference};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vision::decode::{Buffers, Extent, Limits, decode, decode_reduced};
use vision::model::{ModelSpec, RawModel, Sidecar, Task, parse_labels};
use vision::picture::Picture;
use vision::postprocess::{Options, classes, detections};
use vision::preprocess::{Scratch, wanted, write_tensor_of};
use vision::tensor::{Element, TensorInfo, TensorView};

const SIDECARS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models");
const EXCEPTIONS: &str = include_str!("../../tests/reference_exceptions.toml");

#[test]
fn every_model_finds_on_every_picture_what_the_references_say() {
    let Some(data) = reference::data_folder() else {
        return println!("SKIPPED: no test data (set DETECTD_DATA to its folder)");
    };
    let Some(library) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) else {
        return println!("SKIPPED: no ONNX Runtime (set ORT_DYLIB_PATH to libonnxruntime.so)");
    };
    let environment = ort::init_from(&library).expect("ONNX Runtime loads").build().expect("an environment");

    let only = std::env::var("DETECTD_REFERENCE").unwrap_or_default();
    let references = reference::load(&data);
    let mut models: Vec<Model> = references
        .iter()
        .filter(|reference| reference.model.contains(&only))
        .map(|reference| Model::load(&environment, &data, reference))
        .collect();
    assert!(!models.is_empty(), "no model is named like {only:?}");

    // By picture, so that each is decoded once.
    let mut pictures: BTreeMap<&str, Vec<(usize, &reference::Case)>> = BTreeMap::new();
    for (index, model) in models.iter().enumerate() {
        for case in &model.reference.cases {
            pictures.entry(&case.image).or_default().push((index, case));
        }
    }

    let exceptions = reference::exceptions(EXCEPTIONS);
    let (mut compared, mut reduced, mut excepted, mut faults) = (0, 0, 0, Vec::new());
    for (image, cases) in pictures {
        let bytes = std::fs::read(data.join(image)).expect("a picture can be read");
        let undecoded = exceptions.iter().find(|e| e.image == image && e.models.is_empty());
        let picture = match (decode(&bytes, &Limits::default()), undecoded) {
            (Ok(picture), None) => picture,
            (Err(_), Some(exception)) => {
                println!("{image}: not decoded: {}", exception.reason);
                excepted += cases.len();
                continue;
            }
            (Ok(_), Some(_)) => {
                faults.push(format!("{image}: decoded, so its exception can go"));
                continue;
            }
            (Err(error), None) => {
                faults.push(format!("{image}: {error}"));
                continue;
            }
        };
        for (index, case) in cases {
            let model = &mut models[index];
            let name = model.reference.model.clone();
            if (picture.width, picture.height) != (case.width, case.height) {
                faults.push(format!("{image}: {} × {}", picture.width, picture.height));
                continue;
            }
            let mut found = case.faults(&name, &model.answer(&picture, &Extent::whole(&picture)));
            // And once more as a service decodes it: only as far as this model's input needs.
            let mut small = Picture::default();
            let input = &model.spec.input;
            let wanted = |width, height| wanted(width, height, input);
            let extent =
                decode_reduced(&bytes, &Limits::default(), &wanted, &mut Buffers::default(), &mut small)
                    .expect("decoded before");
            if extent != Extent::whole(&picture) {
                reduced += 1;
                let faults = case.faults(&name, &model.answer(&small, &extent));
                found.extend(faults.into_iter().map(|fault| format!("decoded as wanted: {fault}")));
            }
            let allowed = exceptions.iter().find(|e| e.image == image && e.models.contains(&name));
            compared += 1;
            match (found.is_empty(), allowed) {
                (true, None) => {}
                (true, Some(_)) => println!("{name} on {image}: near enough, though there is an exception"),
                (false, Some(exception)) => {
                    println!("{name} on {image}: {}", exception.reason);
                    excepted += 1;
                }
                (false, None) => {
                    faults.extend(found.iter().map(|fault| format!("{name} on {image}: {fault}")))
                }
            }
        }
    }
    println!(
        "{compared} answers compared, {reduced} of them also with no more decoded than is wanted, {excepted} excepted"
    );
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

struct Model<'a> {
    reference: &'a Reference,
    session: Session,
    spec: ModelSpec,
    scratch: Scratch,
}

impl<'a> Model<'a> {
    fn load(environment: &ort::environment::Environment, data: &Path, reference: &'a Reference) -> Self {
        let session = Session::builder(environment)
            .expect("a session builder")
            .commit_from_file(data.join(&reference.file))
            .expect("the model loads");
        let raw = raw(&session);
        let sidecar = std::fs::read_to_string(format!("{SIDECARS}/{}.toml", reference.model))
            .unwrap_or_else(|error| panic!("{}: no sidecar: {error}", reference.model));
        let sidecar = Sidecar::parse(&sidecar).expect("the sidecar is good");
        let labels = sidecar.labels_file.as_ref().map(|file| {
            parse_labels(
                &std::fs::read_to_string(data.join("labels").join(file)).expect("labels can be read"),
            )
        });
        let spec = ModelSpec::resolve(&reference.model, &raw, Some(&sidecar), labels)
            .unwrap_or_else(|error| panic!("{}: {error}", reference.model));
        Self { reference, session, spec, scratch: Scratch::new() }
    }

    fn answer(&mut self, picture: &Picture, extent: &Extent) -> Answer {
        let input = &self.spec.input;
        let mut bytes = vec![0; input.bytes()];
        let placement = write_tensor_of(picture, extent, input, &mut self.scratch, &mut bytes)
            .expect("the picture fits the input");
        let shape = [1, input.channel_count(), input.height as usize, input.width as usize];
        let tensor: DynValue = match input.element {
            Element::F16 => {
                Tensor::from_array((shape, elements(&bytes, half::f16::from_ne_bytes))).map(|t| t.into_dyn())
            }
            Element::F32 => {
                Tensor::from_array((shape, elements(&bytes, f32::from_ne_bytes))).map(|t| t.into_dyn())
            }
            other => panic!("no reference has an input of {other:?}"),
        }
        .expect("a tensor");
        let outputs = self.session.run(ort::inputs![tensor]).expect("the model runs");
        let outputs: Vec<(Element, Vec<usize>, Vec<u8>)> =
            outputs.values().map(|value| bytes_of(&value)).collect();
        let views: Vec<TensorView<'_>> = outputs
            .iter()
            .map(|(element, shape, bytes)| TensorView { element: *element, shape: &shape[1..], bytes })
            .collect();

        let options = Options::of(&self.spec);
        let label = |class| self.spec.label(class).into_owned();
        match self.spec.task {
            Task::Detect => {
                let found = detections(&self.spec, &views, &placement, &options).expect("the outputs fit");
                let object = |d: vision::postprocess::Detection| Object {
                    label: label(d.class),
                    score: d.score,
                    bbox: d.bbox,
                    landmarks: d.keypoints.unwrap_or_default().into_flattened(),
                };
                Answer::Objects(found.into_iter().map(object).collect())
            }
            Task::Classify => {
                let found = classes(&self.spec, &views, &options).expect("the outputs fit");
                Answer::Classes(
                    found.into_iter().map(|c| Ranked { label: label(c.class), score: c.score }).collect(),
                )
            }
        }
    }
}

fn raw(session: &Session) -> RawModel {
    let infos = |outlets: &[ort::value::Outlet]| {
        outlets
            .iter()
            .map(|outlet| match outlet.dtype() {
                ValueType::Tensor { ty, shape, .. } => TensorInfo {
                    name: outlet.name().to_owned(),
                    element: element(*ty),
                    shape: shape.to_vec(),
                },
                other => panic!("{} is {other:?}", outlet.name()),
            })
            .collect()
    };
    let metadata = session.metadata().expect("metadata");
    let keys = metadata.custom_keys().expect("keys of the metadata");
    let metadata =
        keys.into_iter().filter_map(|key| Some((metadata.custom(&key)?, key))).map(|(v, k)| (k, v));
    RawModel {
        inputs: infos(session.inputs()),
        outputs: infos(session.outputs()),
        metadata: metadata.collect(),
    }
}

fn element(ty: TensorElementType) -> Element {
    match ty {
        TensorElementType::Uint8 => Element::U8,
        TensorElementType::Float16 => Element::F16,
        TensorElementType::Float32 => Element::F32,
        TensorElementType::Int32 => Element::I32,
        TensorElementType::Int64 => Element::I64,
        other => panic!("no reference has elements of {other:?}"),
    }
}

fn elements<T, const N: usize>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&chunk| from(chunk)).collect()
}

fn bytes_of(value: &ort::value::ValueRef<'_>) -> (Element, Vec<usize>, Vec<u8>) {
    let sides = |shape: &ort::value::Shape| shape.iter().map(|&side| side as usize).collect();
    if let Ok((shape, numbers)) = value.try_extract_tensor::<f32>() {
        return (Element::F32, sides(shape), numbers.iter().flat_map(|n| n.to_ne_bytes()).collect());
    }
    let (shape, numbers) = value.try_extract_tensor::<half::f16>().expect("outputs of f32 or f16");
    (Element::F16, sides(shape), numbers.iter().flat_map(|n| n.to_ne_bytes()).collect())
}
