//! YOLOX and YOLOv5 up to version 5 begin with a *Focus*, which takes every second row and column four times
//! and joins the four quarters as channels for a convolution. That is a convolution of the picture itself, with a
//! kernel of twice the size in which the four kernels alternate, twice the stride and twice the padding: the same
//! products, summed in another order, and no quarter is copied.
//!
//! Finds only what is the pattern without a doubt.

use super::onnx::{Edit, FLOAT, Graph, INTS, Maker, Name, Node, field, floats, inline};
use super::wire::Message;
use buffa::types::{put_bytes_field, put_int64_field};
use std::collections::HashSet;

/// What folds every Focus into the convolution behind it, and how many there are.
pub(super) fn fold<'a>(_: &Message<'a>, graph: &Graph<'a>) -> (usize, Edit<'a>) {
    let found: Vec<Focus> = (0..graph.nodes.len()).filter_map(|conv| graph.focus(conv)).collect();
    (found.len(), graph.folding(found))
}

/// A Focus and the convolution behind it.
struct Focus<'a> {
    conv: usize,
    /// The nodes that are not needed any more.
    gone: Vec<usize>,
    /// What is sliced.
    source: Name<'a>,
    weight: Name<'a>,
    /// The convolution and its weights as they shall be.
    node: Vec<u8>,
    kernel: Vec<u8>,
}

/// One of the four quarters: where it begins and ends in rows and in columns.
struct Quarter<'a> {
    source: Name<'a>,
    starts: [usize; 2],
    ends: [i64; 2],
    slices: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// The Focus before this node, if it is a convolution behind one.
    fn focus(&self, conv: usize) -> Option<Focus<'a>> {
        let node = &self.nodes[conv];
        let ([joined, weight, ..], b"Conv") = (&node.inputs[..], node.op) else { return None };
        if self.uses.get(joined) != Some(&1) {
            return None;
        }
        let concat = self.maker(joined, b"Concat")?;
        let [axis] = &self.nodes[concat].attributes[..] else { return None };
        let along = axis.text(field::attribute::NAME) == b"axis" && axis.int(field::attribute::INT) == 1;
        let parts: [Name; 4] = self.nodes[concat].inputs[..].try_into().ok().filter(|_| along)?;

        let quarters = parts.iter().map(|part| self.quarter(part)).collect::<Option<Vec<_>>>()?;
        let source = quarters[0].source;
        let [_, channels, sides @ ..] = self.dims(source)?;
        // An odd row or column more would be an error as it is, and none afterwards.
        if sides.iter().any(|side| side % 2 != 0)
            || quarters.iter().any(|quarter| quarter.source != source)
            || quarters.iter().any(|quarter| quarter.ends[0] < sides[0] || quarter.ends[1] < sides[1])
        {
            return None;
        }
        let starts: Vec<[usize; 2]> = quarters.iter().map(|quarter| quarter.starts).collect();
        if starts.iter().collect::<HashSet<_>>().len() != starts.len() {
            return None;
        }
        let mut gone: Vec<usize> = quarters.into_iter().flat_map(|quarter| quarter.slices).collect();
        gone.push(concat);
        gone.sort_unstable();
        gone.dedup();
        let within = |name: Name| {
            let inputs = gone.iter().flat_map(|&node| &self.nodes[node].inputs);
            inputs.filter(|&&input| input == name).count() + usize::from(name == *joined)
        };
        let outputs = gone.iter().flat_map(|&node| &self.nodes[node].outputs);
        if outputs.into_iter().any(|output| self.uses.get(output) != Some(&within(output)))
            || self.uses.get(weight) != Some(&1)
        {
            return None;
        }
        let Maker::File(tensor) = self.makers.get(weight)? else { return None };
        let (kernel, size) = woven(tensor, channels, &starts)?;
        Some(Focus { conv, gone, source, weight, node: stretched(node, source, size)?, kernel })
    }

    /// What a tensor is a quarter of: every second row and column, by one slice or by one for each axis.
    fn quarter(&self, part: Name<'a>) -> Option<Quarter<'a>> {
        let mut quarter = Quarter { source: part, starts: [0; 2], ends: [0; 2], slices: Vec::new() };
        let mut known = [false; 2];
        while known != [true; 2] {
            let slice = self.maker(quarter.source, b"Slice")?;
            let node = &self.nodes[slice];
            let [data, starts, ends, axes, steps] = node.inputs[..] else { return None };
            let [starts, ends] = [self.constant(starts)?, self.constant(ends)?];
            let [axes, steps] = [self.constant(axes)?, self.constant(steps)?];
            let count = axes.len();
            if !node.attributes.is_empty()
                || count == 0
                || [&starts, &ends, &steps].iter().any(|list| list.len() != count)
            {
                return None;
            }
            for (index, axis) in axes.iter().enumerate() {
                let axis = match axis {
                    2 | -2 => 0,
                    3 | -1 => 1,
                    _ => return None,
                };
                if known[axis] || steps[index] != 2 || !(0..2).contains(&starts[index]) {
                    return None;
                }
                known[axis] = true;
                quarter.starts[axis] = starts[index] as usize;
                quarter.ends[axis] = ends[index];
            }
            quarter.slices.push(slice);
            quarter.source = data;
        }
        Some(quarter)
    }

    /// The graph with what was found folded, and without what nothing reads any more: the runtime would warn of it.
    fn folding(&self, found: Vec<Focus<'a>>) -> Edit<'a> {
        let mut edit = Edit::default();
        edit.gone.extend(found.iter().flat_map(|focus| &focus.gone));
        let mut uses = self.uses.clone();
        for name in edit.gone.iter().flat_map(|&node| &self.nodes[node].inputs) {
            uses.entry(name).and_modify(|uses| *uses -= 1);
        }
        found.iter().for_each(|focus| *uses.entry(focus.source).or_default() += 1);
        let read = |name: &Name| uses.get(name).is_some_and(|&uses| uses > 0);
        // What the slices were told, and what they gave.
        edit.lost.extend(edit.gone.iter().flat_map(|&node| &self.nodes[node].inputs));
        edit.lost.retain(|name| !read(name));
        edit.lost.extend(edit.gone.iter().flat_map(|&node| &self.nodes[node].outputs));
        let unread = |node: &Node| {
            node.op == b"Constant" && node.outputs.iter().any(|output| edit.lost.contains(output))
        };
        edit.gone.extend((0..self.nodes.len()).filter(|&index| unread(&self.nodes[index])));
        for focus in found {
            edit.gone.insert(focus.conv);
            edit.nodes.insert(focus.conv, vec![focus.node]);
            // The weights have another shape.
            edit.lost.insert(focus.weight);
            edit.tensors.push(focus.kernel);
        }
        edit
    }
}

/// The weights of a convolution of four quarters, which begin at `starts`, as those of one of the whole; and the size of
/// its kernel before. They are as many numbers as before.
fn woven(tensor: &Message, channels: i64, starts: &[[usize; 2]]) -> Option<(Vec<u8>, [i64; 2])> {
    let dims: [i64; 4] = tensor.ints(field::tensor::DIMS)?.try_into().ok()?;
    if !inline(tensor)
        || tensor.int(field::tensor::DATA_TYPE) != FLOAT
        || Some(dims[1]) != channels.checked_mul(4)
    {
        return None;
    }
    let [outputs, _, rows, columns] = dims.map(|dim| usize::try_from(dim).unwrap_or(0));
    let channels = usize::try_from(channels).ok()?;
    let bytes = floats(tensor)?;
    let sizes = [outputs, 4 * channels, rows, columns, 4];
    let size = sizes.iter().try_fold(1_usize, |size, &side| size.checked_mul(side))?;
    if size == 0 || size != bytes.len() {
        return None;
    }
    let mut raw = vec![0; size];
    let mut from = bytes.chunks_exact(4);
    for output in 0..outputs {
        for &[row, column] in starts {
            for channel in 0..channels {
                for y in (row..2 * rows).step_by(2) {
                    for x in (column..2 * columns).step_by(2) {
                        let to = ((output * channels + channel) * 2 * rows + y) * 2 * columns + x;
                        raw[4 * to..4 * to + 4].copy_from_slice(from.next()?);
                    }
                }
            }
        }
    }
    let mut woven =
        tensor.without(&[field::tensor::DIMS, field::tensor::FLOAT_DATA, field::tensor::RAW_DATA]);
    for dim in [dims[0], dims[1] / 4, 2 * dims[2], 2 * dims[3]] {
        put_int64_field(field::tensor::DIMS, dim, &mut woven);
    }
    put_bytes_field(field::tensor::RAW_DATA, &raw, &mut woven);
    Some((woven, [dims[2], dims[3]]))
}

/// A convolution of `source` with steps, padding and a kernel of twice the size, if it is a plain one.
fn stretched(conv: &Node, source: Name, kernel: [i64; 2]) -> Option<Vec<u8>> {
    let (mut strides, mut pads) = (vec![1; 2], vec![0; 4]);
    let mut kept = Vec::new();
    for (attribute, bytes) in conv.attributes.iter().zip(conv.message.all(field::node::ATTRIBUTE)) {
        let ints = attribute.ints(field::attribute::INTS)?;
        let plain = match attribute.text(field::attribute::NAME) {
            b"strides" => {
                strides = ints;
                continue;
            }
            b"pads" => {
                pads = ints;
                continue;
            }
            b"kernel_shape" if ints == kernel => continue,
            b"dilations" => ints == [1, 1],
            b"group" => attribute.int(field::attribute::INT) == 1,
            b"auto_pad" => attribute.text(field::attribute::TEXT) == b"NOTSET",
            _ => false,
        };
        if !plain {
            return None;
        }
        kept.push(bytes);
    }
    if strides.len() != 2
        || pads.len() != 4
        || strides.iter().any(|&stride| stride < 1)
        || pads.iter().any(|&pad| pad < 0)
    {
        return None;
    }
    let mut bytes = conv.message.without(&[field::node::INPUT, field::node::ATTRIBUTE]);
    for &input in [source].iter().chain(&conv.inputs[1..]) {
        put_bytes_field(field::node::INPUT, input, &mut bytes);
    }
    kept.into_iter().for_each(|attribute| put_bytes_field(field::node::ATTRIBUTE, attribute, &mut bytes));
    for (name, values) in [("kernel_shape", &kernel[..]), ("strides", &strides), ("pads", &pads)] {
        let mut attribute = Vec::new();
        put_bytes_field(field::attribute::NAME, name.as_bytes(), &mut attribute);
        for value in values {
            put_int64_field(field::attribute::INTS, value.checked_mul(2)?, &mut attribute);
        }
        put_int64_field(field::attribute::TYPE, INTS, &mut attribute);
        put_bytes_field(field::node::ATTRIBUTE, &attribute, &mut bytes);
    }
    Some(bytes)
}
