//! An output whose rows depend on the picture: copied into its seat behind a count, whatever the count.

mod common;

use common::{asset, load, runtime};
use engine::ort_run::{Port, Runner};
use engine::{Config, probe, session};
use std::path::Path;
use vision::model::{Channels, OutputFacts};
use vision::tensor::Element;

/// A protobuf field that holds bytes.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 1 << 14);
    let length = [content.len() as u8 | 0x80, (content.len() >> 7) as u8];
    [&[field << 3 | 2], &length[..], content].concat()
}

/// A protobuf field that holds a small number.
fn number(field: u8, value: u8) -> Vec<u8> {
    assert!(value < 128);
    vec![field << 3, value]
}

fn node(op: &str, inputs: &[&str], output: &str, attribute: &[u8]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| bytes(1, input.as_bytes()));
    let node: Vec<u8> = inputs.chain(bytes(2, output.as_bytes())).chain(bytes(4, op.as_bytes())).collect();
    bytes(1, &[&node[..], attribute].concat())
}

fn ints(name: &str, values: &[u8]) -> Vec<u8> {
    let values = values.iter().flat_map(|value| number(8, *value));
    let attribute: Vec<u8> = bytes(1, name.as_bytes()).into_iter().chain(values).collect();
    // The type INTS is 7, in field 20, whose tag takes two bytes.
    bytes(5, &[&attribute[..], &[0xa0, 0x01, 7]].concat())
}

/// A graph's input or output; `None` is a free dimension.
fn value(field: u8, name: &str, element: u8, dims: &[Option<u8>]) -> Vec<u8> {
    let dims =
        dims.iter().flat_map(|dim| bytes(1, &dim.map_or_else(|| bytes(2, b"rows"), |dim| number(1, dim))));
    let tensor = [number(1, element), bytes(2, &dims.collect::<Vec<u8>>())].concat();
    bytes(field, &[bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat())
}

/// Lists the places of an 8×8 picture that are brighter than a quarter: `[1, rows, 4]`, a row is 0, 0, y, x.
fn bright_places() -> Vec<u8> {
    const FLOAT: u8 = 1;
    const INT64: u8 = 7;
    let quarter = [number(2, FLOAT), bytes(4, &0.25_f32.to_le_bytes()), bytes(8, b"quarter")].concat();
    let graph = [
        node("Greater", &["images", "quarter"], "bright", &[]),
        node("NonZero", &["bright"], "columns", &[]),
        node("Transpose", &["columns"], "rows", &ints("perm", &[1, 0])),
        node("Unsqueeze", &["rows"], "places", &ints("axes", &[0])),
        bytes(2, b"bright places"),
        bytes(5, &quarter),
        value(11, "images", FLOAT, &[Some(1), Some(1), Some(8), Some(8)]),
        value(12, "places", INT64, &[Some(1), None, Some(4)]),
    ];
    let opset = bytes(8, &[bytes(1, b""), number(2, 11)].concat());
    [number(1, 7), bytes(7, &graph.concat()), opset].concat()
}

#[test]
fn rows_lie_behind_their_count() {
    let path = Path::new("bright_places.onnx");
    let config = Config::default();
    let session = session::open(&runtime(), &config, path, &bright_places(), &[]).unwrap();
    let raw = session::describe(&session, path).unwrap();
    let mut spec = load(&config, &asset("end_to_end.onnx")).facts.spec;
    (spec.input.name, spec.input.width, spec.input.height) = ("images".to_owned(), 8, 8);
    (spec.input.channels, spec.input.element, spec.input.scale) = (Channels::Gray, Element::F32, 1.0 / 255.0);
    (spec.input.mean, spec.input.std, spec.max_detections) = ([0.0; 3], [1.0; 3], 10);

    let (plan, max_batch) = probe::plan(&session, &raw, &spec, &config, path).unwrap();
    let expected = Port { name: "places".into(), element: Element::I64, shape: vec![1000, 4], dynamic: true };
    assert_eq!((&plan.outputs[..], max_batch), (&[expected][..], 1));

    let runner = Runner::new(session, plan).unwrap();
    let size = OutputFacts::DYNAMIC_HEADER + 1000 * 4 * 8;
    let run = |bright: &[(usize, usize)]| {
        let mut input = [0_f32; 64];
        bright.iter().for_each(|(y, x)| input[y * 8 + x] = 1.0);
        let input: Vec<u8> = input.iter().flat_map(|value| value.to_ne_bytes()).collect();
        // What an earlier picture left must not be taken for rows.
        let mut output = vec![0xee; size];
        let copied = runner.run(1, &input, &mut [&mut output]).unwrap();
        let count = u64::from_ne_bytes(output[..8].try_into().unwrap());
        assert_eq!(copied, count * 32);
        let data = output[OutputFacts::DYNAMIC_HEADER..].chunks_exact(32).take(count as usize);
        data.map(|row| (row[16] as usize, row[24] as usize)).collect::<Vec<_>>()
    };
    for bright in [vec![(2, 3), (5, 7)], vec![], (0..64).map(|k| (k / 8, k % 8)).collect(), vec![(7, 0)]] {
        assert_eq!(run(&bright), bright);
    }
}

#[test]
fn more_rows_than_there_is_room_for_are_cut_off() {
    let path = Path::new("bright_places.onnx");
    let session = session::open(&runtime(), &Config::default(), path, &bright_places(), &[]).unwrap();
    let port = |name: &str, element, shape: &[usize], dynamic| Port {
        name: name.into(),
        element,
        shape: shape.to_vec(),
        dynamic,
    };
    let plan = engine::ort_run::Plan {
        input: port("images", Element::F32, &[1, 8, 8], false),
        outputs: vec![port("places", Element::I64, &[5, 4], true)],
        fixed_batch: Some(1),
    };
    let runner = Runner::new(session, plan).unwrap();
    let input: Vec<u8> = [1_f32; 64].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let mut output = vec![0; OutputFacts::DYNAMIC_HEADER + 5 * 32];
    runner.run(1, &input, &mut [&mut output]).unwrap();
    assert_eq!(output[..8], 5_u64.to_ne_bytes());

    let short = runner.run(1, &input[4..], &mut [&mut output]).unwrap_err().to_string();
    assert!(short.contains("images") && short.contains("252 bytes"), "{short}");
    let none = runner.run(1, &input, &mut []).unwrap_err().to_string();
    assert!(none.contains("for 1 images"), "{none}");
}
