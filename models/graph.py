"""Builds ONNX graphs by hand: nodes and constants in the order they are called for, and one way to write the file.

Used by make_colours.py and by tests/assets/make_models.py; knows nothing of any model.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Old enough for every runtime of the last years.
OPSET = 18
IR_VERSION = 8


class Graph:
    """Calling it adds a node and returns the name of its output."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def __call__(self, op, *inputs, **attributes):
        return self.many(op, inputs, 1, **attributes)[0]

    def many(self, op, inputs, count, **attributes):
        """The same for a node with several outputs."""
        outputs = [f"{op.lower()}{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs

    def rename(self, tensor, name):
        """Gives a tensor the name of a graph output."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))

    def constant(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def ints(self, *values):
        return self.constant(values, np.int64)

    def save(self, path, inputs, outputs, metadata=None):
        """Checks the graph and writes it; `inputs` and `outputs` are (name, element type, shape)."""
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info(*tensor) for tensor in inputs],
            [helper.make_tensor_value_info(*tensor) for tensor in outputs],
            self.constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="detectd",
        )
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
