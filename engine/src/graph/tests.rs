//! Focus, models made by hand, and what holds for every rewrite.

use super::onnx::{FLOAT, INT32, INT64};
use super::*;
use crate::config::{Config, Device};
use crate::runtime::Runtime;
use crate::session;
use buffa::types::{put_float_field, put_int64_field};
use ort::value::TensorRef;
use std::path::{Path, PathBuf};

// ---- models made by hand ----

pub(super) fn part(number: u32, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut field = Vec::new();
    put_bytes_field(number, bytes.as_ref(), &mut field);
    field
}

pub(super) fn int(number: u32, value: i64) -> Vec<u8> {
    let mut field = Vec::new();
    put_int64_field(number, value, &mut field);
    field
}

pub(super) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&value| int(8, value)).collect();
    [part(1, name), values, int(20, 7)].concat()
}

pub(super) fn number(name: &str, value: i64) -> Vec<u8> {
    [part(1, name), int(3, value), int(20, 2)].concat()
}

pub(super) fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| part(1, input)).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| part(5, attribute)).collect();
    [inputs, part(2, output), part(4, op), attributes].concat()
}

pub(super) fn info(name: &str, element: i64, dims: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> =
        dims.iter().flat_map(|&dim| part(1, if dim < 0 { part(2, "any") } else { int(1, dim) })).collect();
    [part(1, name), part(2, part(1, [int(1, element), part(2, dims)].concat()))].concat()
}

/// How a list of integers is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lists {
    Raw,
    Packed,
    Int32,
    Nodes,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    RowsFirst,
    ColumnsFirst,
    BothAtOnce,
}

/// A model that begins with a Focus of `[1, 2, 8, 12]`.
#[derive(Clone)]
struct Made {
    form: Form,
    lists: Lists,
    starts: [[i64; 2]; 4],
    end: i64,
    step: i64,
    axis: i64,
    element: i64,
    dims: [i64; 4],
    weights: [i64; 4],
    typed: bool,
    conv: Vec<Vec<u8>>,
    nodes: Vec<Vec<u8>>,
    /// Further fields of the weights, the convolution, the graph and the file.
    extra: [Vec<u8>; 4],
}

impl Default for Made {
    fn default() -> Self {
        Self {
            form: Form::RowsFirst,
            lists: Lists::Raw,
            starts: [[0, 0], [1, 0], [0, 1], [1, 1]],
            end: i64::MAX,
            step: 2,
            axis: 1,
            element: FLOAT,
            dims: [1, 2, 8, 12],
            weights: [4, 8, 3, 2],
            typed: false,
            conv: vec![ints("strides", &[1, 2]), ints("pads", &[1, 0, 2, 1]), ints("kernel_shape", &[3, 2])],
            nodes: Vec::new(),
            extra: Default::default(),
        }
    }
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        let mut nodes = Vec::new();
        let mut tensors = Vec::new();
        let mut lists = 0;
        let mut list = |values: &[i64], nodes: &mut Vec<Vec<u8>>| {
            lists += 1;
            let name = format!("list{lists}");
            let (element, data) = match self.lists {
                Lists::Raw | Lists::Nodes => {
                    (INT64, part(9, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()))
                }
                // A field without its tag.
                Lists::Packed => {
                    (INT64, part(7, values.iter().flat_map(|&v| int(1, v).split_off(1)).collect::<Vec<u8>>()))
                }
                Lists::Int32 => {
                    let values = values.iter().map(|&v| v.min(i64::from(i32::MAX)));
                    (INT32, values.flat_map(|v| int(5, v)).collect())
                }
            };
            let tensor = [int(1, values.len() as i64), int(2, element), data].concat();
            if self.lists == Lists::Nodes {
                let value = [part(1, "value"), part(5, tensor), int(20, 4)].concat();
                nodes.push(node("Constant", &[], &name, &[value]));
            } else {
                tensors.push([tensor, part(8, &name)].concat());
            }
            name
        };
        let mut slice = |data: &str, output: &str, starts: &[i64], axes: &[i64]| {
            let each = |value| vec![value; axes.len()];
            let told = [starts.to_vec(), each(self.end), axes.to_vec(), each(self.step)];
            let told = told.map(|values| list(&values, &mut nodes));
            nodes.push(node("Slice", &[data, &told[0], &told[1], &told[2], &told[3]], output, &[]));
        };
        for (index, &[y, x]) in self.starts.iter().enumerate() {
            let [half, quarter] = [format!("half{index}"), format!("quarter{index}")];
            match self.form {
                Form::BothAtOnce => slice("x", &quarter, &[x, y], &[-1, 2]),
                Form::RowsFirst => {
                    slice("x", &half, &[y], &[2]);
                    slice(&half, &quarter, &[x], &[3]);
                }
                Form::ColumnsFirst => {
                    slice("x", &half, &[x], &[3]);
                    slice(&half, &quarter, &[y], &[-2]);
                }
            }
        }
        let quarters = ["quarter0", "quarter1", "quarter2", "quarter3"];
        nodes.push(node("Concat", &quarters, "joined", &[number("axis", self.axis)]));
        let conv = node("Conv", &["joined", "w", "b"], "y", &self.conv);
        nodes.push([conv, self.extra[1].clone()].concat());
        nodes.extend(self.nodes.clone());

        let count = self.weights.iter().product::<i64>() as usize;
        let values = (0..count).map(|i| (i as f32 * 0.7).sin());
        let mut data = Vec::new();
        if self.element != FLOAT {
            data = part(9, vec![0; 2 * count]);
        } else if self.typed {
            values.for_each(|value| put_float_field(4, value, &mut data));
        } else {
            data = part(9, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>());
        }
        let dims: Vec<u8> = self.weights.iter().flat_map(|&dim| int(1, dim)).collect();
        tensors.push([dims, int(2, self.element), data, part(8, "w"), self.extra[0].clone()].concat());
        let bias =
            [0.5_f32, -1.0, 0.0, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        tensors.push([int(1, 4), int(2, FLOAT), part(9, bias), part(8, "b")].concat());

        let graph = [
            nodes.iter().flat_map(|node| part(1, node)).collect(),
            part(2, "made"),
            tensors.iter().flat_map(|tensor| part(5, tensor)).collect(),
            part(11, info("x", self.element, &self.dims)),
            part(12, info("y", self.element, &[self.dims[0], 4, -1, -1])),
            part(13, info("joined", self.element, &[1, 8, 4, 6])),
            self.extra[2].clone(),
        ];
        [int(1, 8), part(8, int(2, 13)), part(7, graph.concat()), self.extra[3].clone()].concat()
    }
}

/// Kinds of the nodes, names of the values, and names of the tensors that are described.
pub(super) fn parts(model: &[u8]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let graph = Message::read(model).unwrap().message(7).unwrap();
    let texts = |number, text| -> Vec<String> {
        let text = |part| String::from_utf8(Message::read(part).unwrap().text(text).to_vec()).unwrap();
        graph.all(number).map(text).collect()
    };
    (texts(1, 4), texts(5, 8), texts(13, 1))
}

// ---- running them ----

fn run(model: &[u8], dims: [usize; 4]) -> Vec<f32> {
    let runtime = Runtime::load(Device::Cpu, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    let mut session = session::open(&runtime, &Config::default(), Path::new("made"), model, &[])
        .unwrap_or_else(|error| panic!("{error}"));
    let count = dims.iter().product::<usize>();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    let outputs =
        session.run(ort::inputs![TensorRef::from_array_view((dims, &values[..])).unwrap()]).unwrap();
    outputs.values().flat_map(|output| output.try_extract_tensor::<f32>().unwrap().1.to_vec()).collect()
}

pub(super) fn assert_same(model: &[u8], dims: [usize; 4], what: &str) {
    let folded = rewritten(model, Optimization::All);
    assert!(matches!(folded, Cow::Owned(_)), "{what}: not rewritten");
    let [one, other] = [run(model, dims), run(&folded, dims)];
    assert_eq!(one.len(), other.len(), "{what}");
    let largest = one.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.1, "{what}: nothing to compare");
    for (one, other) in one.iter().zip(&other) {
        assert!((one - other).abs() <= 1e-4 * largest, "{what}: {one} and {other} of {largest}");
    }
}

fn asset() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/assets/focus.onnx")).unwrap()
}

/// A model of the test data; says so where there is none.
pub(super) fn public(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("DETECTD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = folder.join("models").join(name);
    let model = std::fs::read(&path).ok();
    if model.is_none() {
        eprintln!("SKIPPED: {} is not there (DETECTD_DATA names the folder of test data)", path.display());
    }
    model
}

#[test]
fn every_way_to_write_a_focus_is_folded_into_the_same() {
    for form in [Form::RowsFirst, Form::ColumnsFirst, Form::BothAtOnce] {
        for lists in [Lists::Raw, Lists::Packed, Lists::Int32, Lists::Nodes] {
            let model = Made { form, lists, typed: lists == Lists::Packed, ..Made::default() }.bytes();
            assert_same(&model, [1, 2, 8, 12], &format!("{form:?}, {lists:?}"));
            let (nodes, tensors, described) = parts(&rewritten(&model, Optimization::All));
            assert_eq!((nodes, tensors), (vec!["Conv".to_owned()], vec!["b".to_owned(), "w".to_owned()]));
            assert!(described.is_empty(), "{described:?}");
        }
    }
}

#[test]
fn quarters_may_come_in_any_order_and_the_convolution_say_little() {
    let plain = vec![ints("dilations", &[1, 1]), number("group", 1)];
    for starts in [[[1, 1], [0, 1], [1, 0], [0, 0]], [[0, 0], [0, 1], [1, 0], [1, 1]]] {
        let made = Made { starts, conv: plain.clone(), end: 12, ..Made::default() };
        assert_same(&made.bytes(), [1, 2, 8, 12], &format!("{starts:?}"));
    }
    let images = Made { dims: [-1, 2, 8, 12], ..Made::default() };
    assert_same(&images.bytes(), [2, 2, 8, 12], "any number of images");
}

#[test]
fn what_is_nearly_a_focus_is_left_alone() {
    let sound = Made::default();
    assert!(
        matches!(rewritten(&sound.bytes(), Optimization::All), Cow::Owned(_)),
        "without a change it is one"
    );
    let conv = |attribute| [sound.conv.clone(), vec![attribute]].concat();
    let reads = |name| vec![node("Identity", &[name], "z", &[])];
    let text = |name, text| [part(1, name), part(4, text), int(20, 3)].concat();
    let cases = [
        ("a step of three", Made { step: 3, ..sound.clone() }),
        ("slices that end early", Made { end: 7, ..sound.clone() }),
        ("a quarter twice", Made { starts: [[0, 0], [1, 0], [0, 1], [0, 1]], ..sound.clone() }),
        ("a quarter that begins later", Made { starts: [[0, 0], [1, 0], [0, 1], [1, 2]], ..sound.clone() }),
        ("joined along another axis", Made { axis: 0, ..sound.clone() }),
        ("half precision", Made { element: 10, ..sound.clone() }),
        ("rows of any number", Made { dims: [1, 2, -1, 12], ..sound.clone() }),
        ("an odd row", Made { dims: [1, 2, 9, 12], ..sound.clone() }),
        ("other channels", Made { dims: [1, 3, 8, 12], ..sound.clone() }),
        ("no image", Made { weights: [4, 8, 6, 1], dims: [1, 2, 8, 0], ..sound.clone() }),
        (
            "fewer weights than dimensions",
            Made { extra: [int(1, 2), vec![], vec![], vec![]], ..sound.clone() },
        ),
        ("two groups", Made { weights: [4, 4, 3, 2], conv: conv(number("group", 2)), ..sound.clone() }),
        ("dilation", Made { conv: conv(ints("dilations", &[1, 2])), ..sound.clone() }),
        ("automatic padding", Made { conv: conv(text("auto_pad", "SAME_UPPER")), ..sound.clone() }),
        ("an attribute of another time", Made { conv: conv(number("new", 1)), ..sound.clone() }),
        (
            "another kernel than the weights'",
            Made { conv: vec![ints("kernel_shape", &[2, 3])], ..sound.clone() },
        ),
        ("a stride of one axis", Made { conv: vec![ints("strides", &[1])], ..sound.clone() }),
        ("padding without measure", Made { conv: vec![ints("pads", &[0, 0, 0, i64::MAX])], ..sound.clone() }),
        ("joined quarters read elsewhere", Made { nodes: reads("joined"), ..sound.clone() }),
        ("a quarter read elsewhere", Made { nodes: reads("quarter2"), ..sound.clone() }),
        ("weights read elsewhere", Made { nodes: reads("w"), ..sound.clone() }),
        ("a graph within", Made { conv: conv([part(1, "body"), part(6, "")].concat()), ..sound.clone() }),
        (
            "a name given twice",
            Made { nodes: vec![node("Identity", &["x"], "quarter1", &[])], ..sound.clone() },
        ),
    ];
    for (what, made) in cases {
        let model = made.bytes();
        assert_eq!(rewritten(&model, Optimization::All), Cow::Borrowed(&model[..]), "{what}");
    }
    let elsewhere = [
        ("weights in another file", [int(14, 1), vec![], vec![], vec![]]),
        ("an output of the model", [vec![], vec![], part(12, info("joined", FLOAT, &[1, 8, 4, 6])), vec![]]),
        ("weights of the caller", [vec![], vec![], part(11, info("w", FLOAT, &[4, 8, 3, 2])), vec![]]),
        ("an operator of somebody else", [vec![], part(7, "com.example"), vec![], vec![]]),
        ("a file of two pieces", [vec![], vec![], vec![], part(7, part(2, "more"))]),
    ];
    for (what, extra) in elsewhere {
        let model = Made { extra, ..sound.clone() }.bytes();
        assert!(matches!(rewritten(&model, Optimization::All), Cow::Borrowed(_)), "{what}");
    }
}

#[test]
fn all_else_stays_as_it_was() {
    let unknown = part(4000, "from a later time");
    let extra = [(); 4].map(|()| unknown.clone());
    let other = node("Slice", &["x", "list1", "list2", "list3", "list4"], "z", &[]);
    let model = Made { extra, nodes: vec![other.clone()], ..Made::default() }.bytes();
    let folded = rewritten(&model, Optimization::All);
    assert_eq!(folded.windows(unknown.len()).filter(|bytes| *bytes == unknown).count(), 4);
    let graph = Message::read(&folded).unwrap().message(7).unwrap();
    assert_eq!(graph.all(1).nth(1), Some(&other[..]));
    // What another node is told stays, too.
    assert_eq!(parts(&folded).1, ["list1", "list2", "list3", "list4", "b", "w"]);
    assert_eq!(super::rewritten(&folded, Optimization::All), Cow::Borrowed(&folded[..]), "once is enough");
}

#[test]
fn the_configuration_says_how_far() {
    let model = asset();
    let touched = |level| matches!(rewritten(&model, level), Cow::Owned(_));
    let levels = [
        Optimization::None,
        Optimization::Basic,
        Optimization::Extended,
        Optimization::Layout,
        Optimization::All,
    ];
    assert_eq!(levels.map(touched), [false, false, true, true, true]);
}

#[test]
fn an_exported_focus_gives_the_same() {
    let model = asset();
    assert_same(&model, [2, 3, 64, 96], "focus.onnx");
    let (nodes, ..) = parts(&rewritten(&model, Optimization::All));
    assert!(!nodes.iter().any(|op| ["Slice", "Concat", "Constant"].contains(&&op[..])), "{nodes:?}");
}

#[test]
fn yolox_is_folded() {
    let Some(model) = public("yolox_nano.onnx") else { return };
    assert_same(&model, [1, 3, 416, 416], "YOLOX-nano");
    let [before, after] = [parts(&model), parts(&rewritten(&model, Optimization::All))];
    assert_eq!(before.0.len() - after.0.len(), 9, "eight slices and what joined them");
    assert!(after.1.len() < before.1.len(), "what the slices were told");
}

/// No file is a reason to panic, and none whose graph has lost its end is rewritten.
#[test]
fn broken_files_are_left_alone() {
    let made = Made { lists: Lists::Packed, typed: true, ..Made::default() }.bytes();
    // Its graph is the last that is in it.
    for length in 0..made.len() {
        assert!(matches!(rewritten(&made[..length], Optimization::All), Cow::Borrowed(_)), "{length} bytes");
    }
    // The larger one at every seventh place: each is read again from its beginning.
    for (model, apart) in [(made, 1), (asset(), 7)] {
        let mut broken = model.clone();
        for place in (0..model.len()).step_by(apart) {
            let _ = rewritten(&model[..place], Optimization::All);
            for value in [0, 0x7F, 0xFF, model[place] ^ 1, model[place] ^ 8] {
                broken[place] = value;
                let _ = rewritten(&broken, Optimization::All);
            }
            broken[place] = model[place];
        }
    }
    let mut state = 1_u64;
    for length in 0..2000 {
        let noise: Vec<u8> = (0..length % 97)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        assert!(matches!(rewritten(&noise, Optimization::All), Cow::Borrowed(_)), "{noise:?}");
    }
}
