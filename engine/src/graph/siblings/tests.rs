use super::super::tests::{assert_same, info, int, ints, node, number, part, parts, public};
use super::*;
use crate::config::Optimization;
use crate::graph::rewritten;
use std::borrow::Cow;

/// A model of heads side by side on `[1, 3, 6, 7]`, joined again as its answer.
#[derive(Clone)]
struct Heads {
    channels: Vec<i64>,
    /// What the heads' first convolutions are told, one by one.
    told: Vec<Vec<Vec<u8>>>,
    /// Whether a convolution of each channel by itself is behind each.
    behind: bool,
    bias: bool,
    operators: i64,
    form: i64,
    groups: i64,
    /// Names of the first convolutions' weights.
    weights: Vec<String>,
    nodes: Vec<Vec<u8>>,
}

impl Heads {
    fn of(channels: &[i64]) -> Self {
        Self {
            channels: channels.to_vec(),
            told: channels.iter().map(|_| vec![ints("kernel_shape", &[1, 1])]).collect(),
            behind: true,
            bias: true,
            operators: 11,
            form: 8,
            groups: 1,
            weights: (0..channels.len()).map(|k| format!("first{k}")).collect(),
            nodes: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let (mut nodes, mut tensors) = (Vec::new(), std::collections::BTreeMap::new());
        let mut values = |name: &str, dims: &[i64]| {
            let count = dims.iter().product::<i64>();
            let first = name.bytes().map(f32::from).sum::<f32>();
            let bytes: Vec<u8> =
                (0..count).flat_map(|k| (first + k as f32 * 0.7).sin().to_le_bytes()).collect();
            tensors.insert(name.to_owned(), tensor(name.as_bytes(), FLOAT, dims, &bytes));
        };
        let mut outputs = Vec::new();
        for (k, &channels) in self.channels.iter().enumerate() {
            let [bias, deep, deep_bias] = ["bias", "deep", "deepbias"].map(|what| format!("{what}{k}"));
            values(&self.weights[k], &[channels, 3 / self.groups, 1, 1]);
            values(&bias, &[channels]);
            let inputs = ["x", &self.weights[k], &bias];
            let inputs = &inputs[..if self.bias { 3 } else { 2 }];
            nodes.push(node("Conv", inputs, &format!("head{k}"), &self.told[k]));
            outputs.push(format!("head{k}"));
            if self.behind {
                values(&deep, &[channels, 1, 3, 3]);
                values(&deep_bias, &[channels]);
                let told = [number("group", channels), ints("pads", &[1, 1, 1, 1])];
                nodes.push(node("Conv", &[&outputs[k], &deep, &deep_bias], &format!("end{k}"), &told));
                outputs[k] = format!("end{k}");
            }
        }
        nodes.extend(self.nodes.clone());
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        nodes.push(node("Concat", &outputs, "y", &[number("axis", 1)]));
        let graph = [
            nodes.iter().flat_map(|node| part(1, node)).collect(),
            part(2, "heads"),
            tensors.values().flat_map(|tensor| part(5, tensor)).collect(),
            part(11, info("x", FLOAT, &[1, 3, 6, 7])),
            part(12, info("y", FLOAT, &[1, self.channels.iter().sum(), 6, 7])),
            part(13, info("head0", FLOAT, &[1, self.channels[0], 6, 7])),
        ];
        [int(1, self.form), part(8, int(2, self.operators)), part(7, graph.concat())].concat()
    }
}

fn operators_of(model: &[u8]) -> Vec<String> {
    parts(&rewritten(model, Optimization::All)).0
}

#[test]
fn heads_side_by_side_become_one_and_answer_the_same() {
    for (operators, bias) in [(11, true), (13, true), (18, false)] {
        let heads = Heads { operators, bias, ..Heads::of(&[1, 4, 10, 1]) };
        let model = heads.bytes();
        assert_same(&model, [1, 3, 6, 7], &format!("operators {operators}"));
        let (nodes, tensors, described) = parts(&rewritten(&model, Optimization::All));
        assert_eq!(nodes, ["Conv", "Conv", "Split", "Concat"]);
        let weights = 2 + usize::from(bias) + 1 + usize::from(operators >= PARTS_AS_TENSOR);
        assert!(tensors.iter().filter(|name| name.contains('/')).count() == weights, "{tensors:?}");
        assert!(described.is_empty(), "what is between the two is nowhere any more: {described:?}");
    }
    let alone = Heads { behind: false, ..Heads::of(&[4, 1]) };
    assert_same(&alone.bytes(), [1, 3, 6, 7], "nothing behind");
    assert_eq!(operators_of(&alone.bytes()), ["Conv", "Split", "Concat"]);
}

#[test]
fn what_is_read_elsewhere_is_split_before_what_is_behind() {
    let heads = Heads { nodes: vec![node("Neg", &["head1"], "also", &[])], ..Heads::of(&[1, 4]) };
    assert_same(&heads.bytes(), [1, 3, 6, 7], "read twice");
    assert_eq!(operators_of(&heads.bytes()), ["Conv", "Split", "Conv", "Conv", "Neg", "Concat"]);
}

#[test]
fn what_would_be_no_gain_or_is_not_alike_is_left_alone() {
    let sound = Heads::of(&[1, 4]);
    assert!(
        matches!(rewritten(&sound.bytes(), Optimization::All), Cow::Owned(_)),
        "without a change it is joined"
    );
    let text = |name, text| [part(1, name), part(4, text), int(20, 3)].concat();
    let told = |attribute| vec![sound.told[0].clone(), [sound.told[0].clone(), vec![attribute]].concat()];
    let cases = [
        ("whole blocks", Heads::of(&[16, 32])),
        ("more than a block", Heads::of(&[20, 24, 4])),
        ("as many blocks", Heads::of(&[15, 15])),
        ("what the runtime joins", Heads { nodes: vec![node("Relu", &["end1"], "z", &[])], ..sound.clone() }),
        ("one head", Heads::of(&[4])),
        ("other steps", Heads { told: told(ints("strides", &[1, 1])), ..sound.clone() }),
        ("automatic padding", Heads { told: told(text("auto_pad", "VALID")), ..sound.clone() }),
        (
            "groups",
            Heads {
                groups: 3,
                told: vec![vec![number("group", 3)]; 2],
                channels: vec![3, 6],
                ..sound.clone()
            },
        ),
        (
            "shared weights",
            Heads { weights: vec!["one".into(), "one".into()], channels: vec![4, 4], ..sound.clone() },
        ),
        ("weights may be inputs", Heads { form: 3, ..sound.clone() }),
        ("operators of another time", Heads { operators: 1, ..sound.clone() }),
        (
            "a name that is taken",
            Heads { nodes: vec![node("Relu", &["x"], "head0/joined0", &[])], ..sound.clone() },
        ),
    ];
    for (what, heads) in cases {
        let model = heads.bytes();
        assert_eq!(rewritten(&model, Optimization::All), Cow::Borrowed(&model[..]), "{what}");
    }
}

/// No file is a reason to panic.
#[test]
fn broken_files_are_no_reason_to_panic() {
    let model = Heads::of(&[1, 4]).bytes();
    let mut broken = model.clone();
    for place in 0..model.len() {
        let _ = rewritten(&model[..place], Optimization::All);
        for value in [0, 0x7F, 0xFF, model[place] ^ 1, model[place] ^ 8] {
            broken[place] = value;
            let _ = rewritten(&broken, Optimization::All);
        }
        broken[place] = model[place];
    }
}

#[test]
fn yunet_answers_the_same_with_eighteen_convolutions_less() {
    let Some(model) = public("yunet_n_320.onnx") else { return };
    assert_same(&model, [1, 3, 320, 320], "YuNet");
    let count = |ops: &[String]| ops.iter().filter(|op| *op == "Conv").count();
    assert_eq!(count(&parts(&model).0) - count(&operators_of(&model)), 18);
}
