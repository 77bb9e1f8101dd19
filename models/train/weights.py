"""Weights to begin with: train.py's own, or those of an exported .onnx, whose normalisation export.py folded into the convolutions.

Owns: undoing that folding, so that whoever has the published model alone can go on training it.
"""

from pathlib import Path

import torch
from torch import nn

from network import SIZE, Detector


def load(model, path, pictures):
    """Into `model`; `pictures` (float [N, 3, S, S] in 0..1, a few dozen of the training's) are what an .onnx's normalisation is measured on."""
    path = Path(path)
    if path.suffix != ".onnx":
        model.load_state_dict(torch.load(path, map_location="cpu"))
        return
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    tensors |= {node.output[0]: tensors[node.input[0]].float() for node in graph.node if node.op_type == "Cast" and node.input[0] in tensors}
    folded = [[tensors[name] for name in node.input[1:3]] for node in graph.node if node.op_type == "Conv" and len(node.input) == 3]
    convolutions = _in_order(model)
    assert len(folded) == len(convolutions), f"{path} has {len(folded)} convolutions, the network {len(convolutions)}"
    after = {a: b for block in model.modules() if isinstance(block, nn.Sequential) for a, b in zip(block, list(block)[1:])}
    with torch.no_grad():
        hooks = []
        for convolution, (weight, bias) in zip(convolutions, folded):
            convolution.weight.copy_(weight)
            if convolution.bias is not None:
                convolution.bias.copy_(bias)
            else:
                hooks.append(convolution.register_forward_hook(_unfold(after[convolution], bias)))
        model.eval()(pictures)
        for hook in hooks:
            hook.remove()


def _in_order(model):
    """The convolutions as they are run, which is how an exported graph lists them."""
    order = []
    hooks = [m.register_forward_hook(lambda m, *_: order.append(m)) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, model.size, model.size))
    for hook in hooks:
        hook.remove()
    return order


def _unfold(norm, bias):
    """A normalisation by what the convolution gives just now that, together with its scale and shift, adds `bias` and nothing else."""

    def hook(_module, _inputs, output):
        mean, variance = output.mean((0, 2, 3)), output.var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)

    return hook
