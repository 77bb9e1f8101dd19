"""The detector: a small convolutional network in the shape of YOLOv8, about 520,000 weights.

Owns: layers, and how their outputs are read as boxes. Input float [N, 3, 384, 384], RGB in 0..1.
Output of `forward` in eval mode: [N, 4 + classes, 3024] with cx, cy, w, h in input pixels and scores in 0..1.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from symbols import CLASSES

SIZE = 384
STRIDES = (8, 16, 32)
BINS = 16  # a side's distance from its cell is a distribution over 0..15 strides


class Conv(nn.Sequential):
    def __init__(self, i, o, k=3, s=1, groups=1):
        super().__init__(nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o, eps=1e-3, momentum=0.03), nn.ReLU(inplace=True))


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.body = nn.Sequential(Conv(c, c), Conv(c, c))

    def forward(self, x):
        return x + self.body(x)


class Split(nn.Module):
    """Past and through n residual blocks `width` channels wide; all intermediate results are kept (C2f).

    Two convolutions in place of one that is split: with widths of whole vectors (16) ONNX Runtime then never unpacks its blocks of channels.
    """

    def __init__(self, i, o, n=1, width=None):
        super().__init__()
        width = width or o // 2
        self.past, self.enter = Conv(i, width, 1), Conv(i, width, 1)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(n))
        self.leave = Conv((2 + n) * width, o, 1)

    def forward(self, x):
        parts = [self.past(x), self.enter(x)]
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class Pool(nn.Module):
    """What lies far around a cell (SPPF)."""

    def __init__(self, c):
        super().__init__()
        self.enter, self.leave = Conv(c, c // 2, 1), Conv(2 * c, c, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class Head(nn.Module):
    def __init__(self, c, classes):
        super().__init__()
        self.box = nn.Sequential(Conv(c, 32), Conv(32, 32), nn.Conv2d(32, 4 * BINS, 1))
        self.score = nn.Sequential(Conv(c, c, 3, 1, c), Conv(c, 32, 1), Conv(32, 32, 3, 1, 32), Conv(32, 32, 1), nn.Conv2d(32, classes, 1))

    def forward(self, x):
        return self.box(x), self.score(x)


class Detector(nn.Module):
    def __init__(self, classes=len(CLASSES), size=SIZE):
        super().__init__()
        self.classes, self.size = classes, size
        self.stem = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 16, 3, 2), Split(16, 16, width=16))
        self.p3 = nn.Sequential(Conv(16, 32, 3, 2), Split(32, 32))
        self.p4 = nn.Sequential(Conv(32, 64, 3, 2), Split(64, 64, 2))
        self.p5 = nn.Sequential(Conv(64, 96, 3, 2), Split(96, 96), Pool(96))
        self.up4, self.up3 = Split(96 + 64, 64), Split(64 + 32, 32)
        self.down3, self.down4 = Conv(32, 32, 3, 2), Conv(64, 64, 3, 2)
        self.out4, self.out5 = Split(32 + 64, 64), Split(64 + 96, 80)
        self.heads = nn.ModuleList(Head(c, classes) for c in (32, 64, 80))
        for head, stride in zip(self.heads, STRIDES):  # few cells hold a code
            head.box[-1].bias.data[:] = 1.0
            head.score[-1].bias.data[:] = math.log(3 / classes / (SIZE / stride) ** 2)
        anchors, strides = [], []
        for stride in STRIDES:
            n = size // stride
            y, x = torch.meshgrid(torch.arange(n) + 0.5, torch.arange(n) + 0.5, indexing="ij")
            anchors.append(torch.stack([x, y], -1).view(-1, 2))
            strides.append(torch.full((n * n, 1), float(stride)))
        self.register_buffer("anchors", torch.cat(anchors), persistent=False)
        self.register_buffer("strides", torch.cat(strides), persistent=False)
        self.register_buffer("bins", torch.arange(BINS, dtype=torch.float32), persistent=False)
        # Of each side's bins their sum, weighted by the distances they stand for, and as it is.
        sums = torch.cat([torch.kron(torch.eye(4), self.bins), torch.kron(torch.eye(4), torch.ones(BINS))])
        self.register_buffer("sums", sums[..., None, None], persistent=False)

    def features(self, x):
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        p5 = self.p5(p4)
        n4 = self.up4(torch.cat([F.interpolate(p5, scale_factor=2.0), p4], 1))
        n3 = self.up3(torch.cat([F.interpolate(n4, scale_factor=2.0), p3], 1))
        n4 = self.out4(torch.cat([self.down3(n3), n4], 1))
        n5 = self.out5(torch.cat([self.down4(n4), p5], 1))
        return [head(n) for head, n in zip(self.heads, (n3, n4, n5))]

    def raw(self, x):
        """Distances as logits [N, 3024, 4, BINS] and scores as logits [N, 3024, classes]."""
        distances, scores = (torch.cat([f.flatten(2) for f in scales], 2).transpose(1, 2) for scales in zip(*self.features(x)))
        return distances.unflatten(2, (4, BINS)), scores

    def boxes(self, distances):
        """x0, y0, x1, y1 in strides."""
        d = distances.softmax(-1) @ self.bins
        return torch.cat([self.anchors - d[..., :2], self.anchors + d[..., 2:]], -1)

    def forward(self, x):
        """The same boxes from sums of exponentials, which are two cheap layers where softmax and mean are a tenth of ONNX Runtime's time."""
        rows = []
        for distances, scores in self.features(x):
            rows.append(torch.cat([F.conv2d(distances.clamp(max=60).exp(), self.sums), scores], 1).flatten(2))
        weighted, whole, scores = torch.cat(rows, 2).split((4, 4, self.classes), 1)
        d = weighted / whole * self.strides.T
        centre = self.anchors.T * self.strides.T
        low, high = centre - d[:, :2], centre + d[:, 2:]
        return torch.cat([(low + high) / 2, high - low, scores.sigmoid()], 1)
