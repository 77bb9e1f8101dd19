#!/usr/bin/env python3
"""From train.py's weights to the file that detectd serves, and the proof that it says the same.

    python export.py RUN/best.pt ../codes.onnx

The file: input `images` float32 [N, 3, 384, 384], output `output0` float32 [N, 4 + classes, 3024], N is free;
`names`, `stride`, `task` and `imgsz` in the metadata, as exporters of YOLO models write them. Weights are stored in half precision and
reckoned with in single: normalisations are folded into the convolutions and the sums rounded first, so both sides have the same numbers.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from network import SIZE, STRIDES, Conv, Detector
from symbols import CLASSES


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("weights", type=Path)
    options.add_argument("out", type=Path)
    options = options.parse_args()
    model = Detector()
    model.load_state_dict(torch.load(options.weights, map_location="cpu"))
    model = rounded(model.eval())
    part = options.out.with_suffix(".part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = {"images": {0: "batch"}, "output0": {0: "batch"}}
        torch.onnx.export(model, torch.zeros(1, 3, SIZE, SIZE), str(part), input_names=["images"], output_names=["output0"], dynamic_axes=free, dynamo=False, opset_version=17)
    graph = onnx.load(part)
    names = {i: name for i, name in enumerate(CLASSES)}
    about = {"task": "detect", "stride": str(max(STRIDES)), "names": repr(names), "imgsz": f"[{SIZE}, {SIZE}]", "license": "MIT OR Apache-2.0"}
    onnx.helper.set_model_props(graph, about)
    graph.doc_string = "Locates machine-readable codes in photographs. See README.md."
    halve(graph.graph)
    graph.producer_name = "detectd/models/train"
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, part)
    part.rename(options.out)
    check(model, options.out)


@torch.no_grad()
def rounded(model):
    """`model` with normalisations folded into convolutions and weights that half precision can hold."""
    for block in model.modules():
        if isinstance(block, Conv):
            block[0], block[1] = torch.nn.utils.fusion.fuse_conv_bn_eval(block[0], block[1]), torch.nn.Identity()
    for convolution in model.modules():
        if isinstance(convolution, torch.nn.Conv2d):
            convolution.weight.copy_(convolution.weight.half())
    return model


def halve(graph):
    """Convolutions' weights as half precision, and what makes them single precision again when the model is loaded."""
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    casts = []
    for tensor in graph.initializer:
        if tensor.name in kernels:
            values, name = onnx.numpy_helper.to_array(tensor), tensor.name
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


@torch.no_grad()
def check(model, path):
    """ONNX Runtime's answers equal PyTorch's, for any batch size."""
    one = onnxruntime.SessionOptions()
    one.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), one, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(0)
    for n in (1, 3, 8):
        x = generator.random((n, 3, SIZE, SIZE), np.float32)
        ours, theirs = session.run(None, {"images": x})[0], model(torch.from_numpy(x)).numpy()
        boxes, scores = np.abs(ours - theirs)[:, :4].max(), np.abs(ours - theirs)[:, 4:].max()
        assert boxes < 0.05 and scores < 1e-4, f"batch of {n}: boxes differ by {boxes} pixels, scores by {scores}"
    times = []
    for _ in range(200):
        began = time.perf_counter()
        session.run(None, {"images": x[:1]})
        times.append((time.perf_counter() - began) * 1e3)
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB, equals PyTorch (boxes to {boxes:.4f} pixels, scores to {scores:.1e})")
    print(f"one picture on one thread: best {min(times):.2f} ms, median {sorted(times)[100]:.2f} ms")


if __name__ == "__main__":
    main()
