//! The heads of a detector are convolutions of the same tensor side by side, of one channel, four or ten each, and often a
//! convolution of each channel by itself behind each. Kernels compute channels in blocks, so each of these costs as
//! much as one of sixteen. Here they become one convolution of all their channels, which is then split: the same
//! products, if in another order only where the runtime has another kernel for so many channels.
//!
//! Joins only what fills less than a block each and differs in its weights alone, and nothing that the runtime would have joined with the
//! operator behind it.

use super::onnx::{Edit, FLOAT, Graph, INT, INT64, INTS, Maker, Name, field, floats, inline};
use super::wire::Message;
use buffa::types::{put_bytes_field, put_int64_field};
use std::borrow::Cow;
use std::collections::HashMap;

/// Channels that are computed together: numbers of single precision in a wide register.
const BLOCK: i64 = 16;
/// The first form of a file in which weights need not be inputs as well.
const WEIGHTS_ALONE: i64 = 4;
/// ONNX's operators as of which a split is told its parts by a tensor, and the first as of which it is told them by an attribute.
const PARTS_AS_TENSOR: i64 = 13;
const PARTS_AS_ATTRIBUTE: i64 = 2;
/// What the runtime makes one with the convolution before it, if nothing stands between them. A sigmoid is left out: ends of heads are
/// cheap.
const JOINED_BEHIND: [&[u8]; 9] = [
    b"BatchNormalization",
    b"Relu",
    b"LeakyRelu",
    b"Clip",
    b"HardSigmoid",
    b"HardSwish",
    b"Tanh",
    b"Add",
    b"Mul",
];

/// A convolution whose weights are in the file.
struct Conv<'a> {
    index: usize,
    source: Name<'a>,
    output: Name<'a>,
    weights: Tensor<'a>,
    bias: Option<Tensor<'a>>,
    groups: i64,
    /// All but the number of groups, in one order.
    attributes: Vec<&'a [u8]>,
}

/// A tensor of single precision whose numbers are in the file, and read by one node.
struct Tensor<'a> {
    name: Name<'a>,
    dims: Vec<i64>,
    bytes: Cow<'a, [u8]>,
}

/// Which nodes read each tensor.
type Readers<'a> = HashMap<Name<'a>, Vec<usize>>;

/// What joins convolutions side by side, and how many are joined.
pub(super) fn join<'a>(file: &Message<'a>, graph: &Graph<'a>) -> (usize, Edit<'a>) {
    let mut edit = Edit::default();
    let Some(operators) = operators(file) else { return (0, edit) };
    let mut readers: Readers = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&input| readers.entry(input).or_default().push(index));
    }
    let mut count = 0;
    for siblings in siblings(graph) {
        let behind = each_behind(graph, &readers, &siblings);
        let ends = behind.as_ref().unwrap_or(&siblings).iter();
        let mut next = ends.flat_map(|conv| readers.get(conv.output)).flatten();
        if next.any(|&index| JOINED_BEHIND.contains(&graph.nodes[index].op)) {
            continue;
        }
        if let Some(joined) = joined(graph, operators, siblings, behind, &mut edit) {
            count += joined;
        }
    }
    (count, edit)
}

/// The version of ONNX's own operators, of a file whose form is known to be right for what is written here.
fn operators(file: &Message) -> Option<i64> {
    let sets = file.all(field::model::OPERATORS).map(Message::read).collect::<Option<Vec<_>>>()?;
    let own = sets.iter().find(|set| matches!(set.text(field::operators::DOMAIN), b"" | b"ai.onnx"))?;
    let version = own.int(field::operators::VERSION);
    (file.int(field::model::FORM) >= WEIGHTS_ALONE && version >= PARTS_AS_ATTRIBUTE).then_some(version)
}

/// Those that are worth joining: of one tensor, alike but for their weights, and fewer blocks together than apart.
fn siblings<'a>(graph: &Graph<'a>) -> Vec<Vec<Conv<'a>>> {
    let mut all: Vec<Vec<Conv>> = Vec::new();
    for conv in (0..graph.nodes.len()).filter_map(|index| Conv::of(graph, index)) {
        if conv.groups != 1 || conv.channels() >= BLOCK {
            continue;
        }
        match all.iter_mut().find(|group| group[0].source == conv.source && group[0].is_like(&conv)) {
            Some(group) => group.push(conv),
            None => all.push(vec![conv]),
        }
    }
    let blocks = |channels: i64| (channels + BLOCK - 1) / BLOCK;
    all.retain(|group| {
        let apart: i64 = group.iter().map(|conv| blocks(conv.channels())).sum();
        blocks(group.iter().map(Conv::channels).sum()) < apart
    });
    all
}

/// The convolutions of each channel by itself, one behind each of these and alike but for their weights, where that is all that
/// reads them.
fn each_behind<'a>(graph: &Graph<'a>, readers: &Readers, convs: &[Conv<'a>]) -> Option<Vec<Conv<'a>>> {
    let behind = convs.iter().map(|conv| {
        let [only] = readers.get(conv.output)?[..] else { return None };
        let next = Conv::of(graph, only).filter(|_| graph.uses.get(conv.output) == Some(&1))?;
        let alone = next.source == conv.output && next.weights.dims[1] == 1;
        (alone && next.groups == conv.channels() && next.channels() == conv.channels()).then_some(next)
    });
    let behind = behind.collect::<Option<Vec<_>>>()?;
    behind.iter().all(|conv| conv.is_like(&behind[0])).then_some(behind)
}

/// Puts into `edit` what joins these and those behind them; how many convolutions it joins.
fn joined<'a>(
    graph: &Graph<'a>,
    operators: i64,
    convs: Vec<Conv<'a>>,
    behind: Option<Vec<Conv<'a>>>,
    edit: &mut Edit<'a>,
) -> Option<usize> {
    let channels: Vec<i64> = convs.iter().map(Conv::channels).collect();
    let names = Names { graph, base: convs[0].output };
    let mut count = 0;
    let mut whole = convs[0].source.to_vec();
    let mut made = Edit::default();
    let mut last = 0;
    let mut parts = Vec::new();
    for (stage, convs) in [Some(convs), behind].into_iter().flatten().enumerate() {
        let groups = if stage == 0 { 1 } else { channels.iter().sum() };
        let output = names.free("joined", stage)?;
        let weights = names.free("weights", stage)?;
        let bias = if convs[0].bias.is_some() { Some(names.free("bias", stage)?) } else { None };
        made.tensors.push(concatenated(&weights, convs.iter().map(|conv| &conv.weights))?);
        if let Some(bias) = &bias {
            made.tensors.push(concatenated(bias, convs.iter().filter_map(|conv| conv.bias.as_ref()))?);
        }
        let first = &convs[0];
        let mut node = graph.nodes[first.index].message.without(&[
            field::node::INPUT,
            field::node::OUTPUT,
            field::node::ATTRIBUTE,
        ]);
        for input in [Some(&whole), Some(&weights), bias.as_ref()].into_iter().flatten() {
            put_bytes_field(field::node::INPUT, input, &mut node);
        }
        put_bytes_field(field::node::OUTPUT, &output, &mut node);
        for attribute in &first.attributes {
            put_bytes_field(field::node::ATTRIBUTE, attribute, &mut node);
        }
        put_bytes_field(field::node::ATTRIBUTE, &integer("group", groups), &mut node);
        last = convs.iter().map(|conv| conv.index).min()?;
        made.nodes.entry(last).or_default().push(node);
        made.gone.extend(convs.iter().map(|conv| conv.index));
        let own = convs.iter().flat_map(|conv| std::iter::once(&conv.weights).chain(&conv.bias));
        made.lost.extend(own.map(|tensor| tensor.name));
        count += convs.len();
        whole = output;
        // What is between two stages is nowhere any more.
        made.lost.extend(std::mem::replace(&mut parts, convs.iter().map(|conv| conv.output).collect()));
    }
    let mut split = Vec::new();
    put_bytes_field(field::node::INPUT, &whole, &mut split);
    if operators >= PARTS_AS_TENSOR {
        let name = names.free("parts", 0)?;
        let bytes: Vec<u8> = channels.iter().flat_map(|channels| channels.to_le_bytes()).collect();
        made.tensors.push(tensor(&name, INT64, &[channels.len() as i64], &bytes));
        put_bytes_field(field::node::INPUT, &name, &mut split);
    } else {
        put_bytes_field(field::node::ATTRIBUTE, &integers("split", &channels), &mut split);
    }
    for part in parts {
        put_bytes_field(field::node::OUTPUT, part, &mut split);
    }
    put_bytes_field(field::node::OP_TYPE, b"Split", &mut split);
    put_bytes_field(field::node::ATTRIBUTE, &integer("axis", 1), &mut split);
    made.nodes.entry(last).or_default().push(split);

    edit.gone.extend(made.gone);
    edit.nodes.extend(made.nodes);
    edit.lost.extend(made.lost);
    edit.tensors.extend(made.tensors);
    Some(count)
}

impl<'a> Conv<'a> {
    fn of(graph: &Graph<'a>, index: usize) -> Option<Self> {
        let node = &graph.nodes[index];
        let (b"Conv", [output]) = (node.op, &node.outputs[..]) else { return None };
        let (source, weights, bias) = match node.inputs[..] {
            [source, weights] | [source, weights, b""] => (source, weights, None),
            [source, weights, bias] => (source, weights, Some(bias)),
            _ => return None,
        };
        let weights = Tensor::of(graph, weights, 4)?;
        let bias = match bias {
            Some(bias) => Some(Tensor::of(graph, bias, 1).filter(|bias| bias.dims[0] == weights.dims[0])?),
            None => None,
        };
        let mut conv = Self { index, source, output, weights, bias, groups: 1, attributes: Vec::new() };
        for (attribute, bytes) in node.attributes.iter().zip(node.message.all(field::node::ATTRIBUTE)) {
            match attribute.text(field::attribute::NAME) {
                b"group" => conv.groups = attribute.int(field::attribute::INT),
                _ => conv.attributes.push(bytes),
            }
        }
        conv.attributes.sort_unstable();
        Some(conv)
    }

    fn channels(&self) -> i64 {
        self.weights.dims[0]
    }

    /// Whether it is another only in its weights and in the number of its channels.
    fn is_like(&self, other: &Self) -> bool {
        self.attributes == other.attributes
            && self.weights.dims[1..] == other.weights.dims[1..]
            && self.bias.is_some() == other.bias.is_some()
    }
}

impl<'a> Tensor<'a> {
    fn of(graph: &Graph<'a>, name: Name<'a>, rank: usize) -> Option<Self> {
        let Maker::File(tensor) = graph.makers.get(name)? else { return None };
        let dims = tensor.ints(field::tensor::DIMS)?;
        let plain = inline(tensor) && tensor.int(field::tensor::DATA_TYPE) == FLOAT;
        if !plain || dims.len() != rank || graph.uses.get(name) != Some(&1) {
            return None;
        }
        let bytes = floats(tensor)?;
        let sizes = dims.iter().map(|&dim| usize::try_from(dim).ok());
        let size = sizes.chain([Some(4)]).try_fold(1_usize, |size, dim| size.checked_mul(dim?))?;
        (size > 0 && size == bytes.len()).then_some(Self { name, dims, bytes })
    }
}

/// Names that the graph has not, made of one that it has.
struct Names<'a, 'b> {
    graph: &'b Graph<'a>,
    base: Name<'a>,
}

impl Names<'_, '_> {
    fn free(&self, what: &str, stage: usize) -> Option<Vec<u8>> {
        let name = [self.base, format!("/{what}{stage}").as_bytes()].concat();
        let is_free = !self.graph.makers.contains_key(&name[..]) && !self.graph.uses.contains_key(&name[..]);
        is_free.then_some(name)
    }
}

/// These one after the other.
fn concatenated<'a, 'b: 'a>(name: &[u8], tensors: impl Iterator<Item = &'a Tensor<'b>>) -> Option<Vec<u8>> {
    let tensors: Vec<&Tensor> = tensors.collect();
    let mut dims = tensors.first()?.dims.clone();
    dims[0] = tensors.iter().map(|tensor| tensor.dims[0]).sum();
    let bytes: Vec<u8> = tensors.iter().flat_map(|tensor| tensor.bytes.iter()).copied().collect();
    Some(tensor(name, FLOAT, &dims, &bytes))
}

fn tensor(name: &[u8], element: i64, dims: &[i64], bytes: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    for &dim in dims {
        put_int64_field(field::tensor::DIMS, dim, &mut tensor);
    }
    put_int64_field(field::tensor::DATA_TYPE, element, &mut tensor);
    put_bytes_field(field::tensor::NAME, name, &mut tensor);
    put_bytes_field(field::tensor::RAW_DATA, bytes, &mut tensor);
    tensor
}

fn integer(name: &str, value: i64) -> Vec<u8> {
    attribute(name, field::attribute::INT, &[value], INT)
}

fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    attribute(name, field::attribute::INTS, values, INTS)
}

fn attribute(name: &str, number: u32, values: &[i64], kind: i64) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes_field(field::attribute::NAME, name.as_bytes(), &mut attribute);
    for &value in values {
        put_int64_field(number, value, &mut attribute);
    }
    put_int64_field(field::attribute::TYPE, kind, &mut attribute);
    attribute
}

#[cfg(test)]
mod tests;
