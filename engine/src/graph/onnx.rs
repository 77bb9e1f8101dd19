//! What a model's file says of its graph, as far as a rewrite has to know: nodes, who makes and who reads each tensor,
//! lists of integers, shapes; and writes it again with what a rewrite changes.
//!
//! Knows no pattern. A file that is not understood gives `None`: nobody but ONNX Runtime says what is wrong with it.

use super::wire::Message;
use buffa::types::put_bytes_field;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// At least what stands before a field's bytes: its number and its length.
pub(super) const ROOM: usize = 20;

/// Numbers of the fields in `onnx.proto`.
pub(super) mod field {
    pub mod model {
        pub const FORM: u32 = 1;
        pub const GRAPH: u32 = 7;
        pub const OPERATORS: u32 = 8;
    }
    pub mod operators {
        pub const DOMAIN: u32 = 1;
        pub const VERSION: u32 = 2;
    }
    pub mod graph {
        pub const NODE: u32 = 1;
        pub const INITIALIZER: u32 = 5;
        pub const INPUT: u32 = 11;
        pub const OUTPUT: u32 = 12;
        pub const VALUE_INFO: u32 = 13;
    }
    pub mod node {
        pub const INPUT: u32 = 1;
        pub const OUTPUT: u32 = 2;
        pub const OP_TYPE: u32 = 4;
        pub const ATTRIBUTE: u32 = 5;
        pub const DOMAIN: u32 = 7;
    }
    pub mod attribute {
        pub const NAME: u32 = 1;
        pub const INT: u32 = 3;
        pub const TEXT: u32 = 4;
        pub const TENSOR: u32 = 5;
        pub const GRAPH: u32 = 6;
        pub const INTS: u32 = 8;
        pub const GRAPHS: u32 = 11;
        pub const TYPE: u32 = 20;
    }
    pub mod tensor {
        pub const DIMS: u32 = 1;
        pub const DATA_TYPE: u32 = 2;
        pub const SEGMENT: u32 = 3;
        pub const FLOAT_DATA: u32 = 4;
        pub const INT32_DATA: u32 = 5;
        pub const INT64_DATA: u32 = 7;
        pub const NAME: u32 = 8;
        pub const RAW_DATA: u32 = 9;
        pub const EXTERNAL_DATA: u32 = 13;
        pub const DATA_LOCATION: u32 = 14;
    }
    pub mod value_info {
        pub const NAME: u32 = 1;
        pub const TYPE: u32 = 2;
        pub const TYPE_TENSOR: u32 = 1;
        pub const TENSOR_SHAPE: u32 = 2;
        pub const SHAPE_DIM: u32 = 1;
        pub const DIM_VALUE: u32 = 1;
    }
}

// Element types, and the types of attributes that are an integer or a list of them.
pub(super) const FLOAT: i64 = 1;
pub(super) const INT32: i64 = 6;
pub(super) const INT64: i64 = 7;
pub(super) const INT: i64 = 2;
pub(super) const INTS: i64 = 7;

/// A tensor's name. Nothing says that it is UTF-8.
pub(super) type Name<'a> = &'a [u8];

pub(super) struct Node<'a> {
    pub(super) message: Message<'a>,
    pub(super) bytes: &'a [u8],
    /// Empty for operators that are not ONNX's own.
    pub(super) op: &'a [u8],
    pub(super) inputs: Vec<Name<'a>>,
    pub(super) outputs: Vec<Name<'a>>,
    pub(super) attributes: Vec<Message<'a>>,
}

pub(super) enum Maker<'a> {
    /// Whoever runs the model, also where the file has a value in case he does not.
    Caller,
    Node(usize),
    File(Message<'a>),
}

pub(super) struct Graph<'a> {
    pub(super) message: Message<'a>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) makers: HashMap<Name<'a>, Maker<'a>>,
    /// How often each tensor is read, as an output of the model too.
    pub(super) uses: HashMap<Name<'a>, usize>,
    /// What the file says of tensors' shapes.
    described: HashMap<Name<'a>, &'a [u8]>,
}

/// What a rewrite changes. All else stays byte for byte.
#[derive(Default)]
pub(super) struct Edit<'a> {
    /// Nodes that go.
    pub(super) gone: HashSet<usize>,
    /// Nodes that come, each in the place of one that goes.
    pub(super) nodes: HashMap<usize, Vec<Vec<u8>>>,
    /// Tensors that go, or have another value or shape.
    pub(super) lost: HashSet<Name<'a>>,
    /// Tensors that come.
    pub(super) tensors: Vec<Vec<u8>>,
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let message = Message::read(bytes)?;
        let own = matches!(message.text(field::node::DOMAIN), b"" | b"ai.onnx");
        Some(Self {
            bytes,
            op: if own { message.text(field::node::OP_TYPE) } else { b"" },
            inputs: message.all(field::node::INPUT).collect(),
            outputs: message.all(field::node::OUTPUT).collect(),
            attributes: message.all(field::node::ATTRIBUTE).map(Message::read).collect::<Option<_>>()?,
            message,
        })
    }
}

impl<'a> Graph<'a> {
    /// `None` also for graphs within, which read the outer one's tensors by name, and for names that are given twice.
    pub(super) fn read(message: Message<'a>) -> Option<Self> {
        let nodes: Vec<Node> = message.all(field::graph::NODE).map(Node::read).collect::<Option<_>>()?;
        let graphs = [field::attribute::GRAPH, field::attribute::GRAPHS];
        let mut attributes = nodes.iter().flat_map(|node| &node.attributes);
        if attributes.any(|attribute| graphs.iter().any(|&number| attribute.has(number))) {
            return None;
        }
        let mut makers = HashMap::new();
        let mut uses: HashMap<_, usize> = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for &name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if makers.insert(name, Maker::Node(index)).is_some() {
                    return None;
                }
            }
            node.inputs.iter().for_each(|&name| *uses.entry(name).or_default() += 1);
        }
        for tensor in message.all(field::graph::INITIALIZER) {
            let tensor = Message::read(tensor)?;
            let name = tensor.text(field::tensor::NAME);
            // What an input without a name is, a tensor without one is not.
            if !name.is_empty() && makers.insert(name, Maker::File(tensor)).is_some() {
                return None;
            }
        }
        let mut described = HashMap::new();
        for info in message.all(field::graph::VALUE_INFO) {
            described.insert(name(info)?, info);
        }
        for input in message.all(field::graph::INPUT) {
            makers.insert(name(input)?, Maker::Caller);
            described.insert(name(input)?, input);
        }
        for output in message.all(field::graph::OUTPUT) {
            *uses.entry(name(output)?).or_default() += 1;
        }
        Some(Self { message, nodes, makers, uses, described })
    }

    /// The graph with these changes.
    pub(super) fn edited(&self, edit: &Edit) -> Vec<u8> {
        let numbers = [field::graph::NODE, field::graph::INITIALIZER, field::graph::VALUE_INFO];
        let mut bytes = self.message.without(&numbers);
        // Weights are what makes a model large, and about as many as before.
        bytes.reserve(
            numbers.iter().flat_map(|&number| self.message.all(number)).map(|field| field.len() + ROOM).sum(),
        );
        for (index, node) in self.nodes.iter().enumerate() {
            for node in edit.nodes.get(&index).into_iter().flatten() {
                put_bytes_field(field::graph::NODE, node, &mut bytes);
            }
            if !edit.gone.contains(&index) {
                put_bytes_field(field::graph::NODE, node.bytes, &mut bytes);
            }
        }
        for tensor in self.message.all(field::graph::INITIALIZER) {
            let tensor_name = Message::read(tensor).map(|tensor| tensor.text(field::tensor::NAME));
            if tensor_name.is_none_or(|name| !edit.lost.contains(name)) {
                put_bytes_field(field::graph::INITIALIZER, tensor, &mut bytes);
            }
        }
        for tensor in &edit.tensors {
            put_bytes_field(field::graph::INITIALIZER, tensor, &mut bytes);
        }
        for info in self.message.all(field::graph::VALUE_INFO) {
            if name(info).is_none_or(|name| !edit.lost.contains(name)) {
                put_bytes_field(field::graph::VALUE_INFO, info, &mut bytes);
            }
        }
        bytes
    }

    /// The node that makes a tensor, if it is of this kind.
    pub(super) fn maker(&self, tensor: Name, op: &[u8]) -> Option<usize> {
        match self.makers.get(tensor)? {
            Maker::Node(index) if self.nodes[*index].op == op => Some(*index),
            _ => None,
        }
    }

    /// The dimensions of an image batch, where its rows and columns are known; the number of images need not be.
    pub(super) fn dims(&self, tensor: Name) -> Option<[i64; 4]> {
        let info = Message::read(self.described.get(tensor)?)?.message(field::value_info::TYPE)?;
        let shape = info.message(field::value_info::TYPE_TENSOR)?.message(field::value_info::TENSOR_SHAPE)?;
        let dims = shape.all(field::value_info::SHAPE_DIM).map(Message::read);
        let dims =
            dims.map(|dim| Some(dim?.int(field::value_info::DIM_VALUE))).collect::<Option<Vec<_>>>()?;
        dims.try_into().ok().filter(|[_, known @ ..]: &[i64; 4]| known.iter().all(|&dim| dim > 0))
    }

    /// A list of integers that is the same in every run.
    pub(super) fn constant(&self, tensor: Name) -> Option<Vec<i64>> {
        match self.makers.get(tensor)? {
            Maker::Caller => None,
            Maker::File(tensor) => integers(tensor),
            Maker::Node(index) => {
                let node = &self.nodes[*index];
                let [value] = &node.attributes[..] else { return None };
                let named = node.op == b"Constant" && value.text(field::attribute::NAME) == b"value";
                named.then(|| integers(&value.message(field::attribute::TENSOR)?)).flatten()
            }
        }
    }
}

pub(super) fn name(info: &[u8]) -> Option<Name<'_>> {
    Message::read(info).map(|info| info.text(field::value_info::NAME))
}

/// Whether a tensor's numbers are all in the file, which leaves external ones to the runtime.
pub(super) fn inline(tensor: &Message) -> bool {
    let elsewhere = [field::tensor::SEGMENT, field::tensor::EXTERNAL_DATA];
    tensor.int(field::tensor::DATA_LOCATION) == 0 && !elsewhere.iter().any(|&number| tensor.has(number))
}

/// The bytes of a tensor of single precision, as they lie in memory.
pub(super) fn floats<'a>(tensor: &Message<'a>) -> Option<Cow<'a, [u8]>> {
    let typed = tensor.fours(field::tensor::FLOAT_DATA)?;
    match (tensor.text(field::tensor::RAW_DATA), &typed[..]) {
        (raw, []) => Some(Cow::Borrowed(raw)),
        ([], _) => Some(Cow::Owned(typed)),
        _ => None,
    }
}

/// The numbers of a list.
fn integers(tensor: &Message) -> Option<Vec<i64>> {
    let raw = tensor.text(field::tensor::RAW_DATA);
    let list = match tensor.int(field::tensor::DATA_TYPE) {
        INT64 if raw.is_empty() => tensor.ints(field::tensor::INT64_DATA)?,
        INT64 => raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect(),
        INT32 if raw.is_empty() => tensor.ints(field::tensor::INT32_DATA)?,
        INT32 => raw.as_chunks().0.iter().map(|&bytes| i64::from(i32::from_le_bytes(bytes))).collect(),
        _ => return None,
    };
    let dims = tensor.ints(field::tensor::DIMS)?;
    (inline(tensor) && dims == [list.len() as i64]).then_some(list)
}
