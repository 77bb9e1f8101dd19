#!/usr/bin/env python3
"""Make the tests' models, one for each family and each kind of input, and say in answers.json what they answer.

Every detector finds the colour of the picture: the score of class k is the mean of channel k (0-1), its box is fixed,
and every other row of the output scores 0. So a red picture has one detection, and a wrong channel order, scale, axis
order or box convention gives another answer. The input is 96 wide and 64 high, so that exchanged axes show, too.

check_models.py runs what this writes and compares.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "models"))
from graph import Graph  # noqa: E402

WIDTH, HEIGHT = 96, 64
LABELS = ["red", "green", "blue"]
# x1, y1, x2, y2 by class; none touches another.
BOXES = [(8, 8, 40, 24), (48, 8, 88, 40), (16, 32, 40, 56)]
# Covers everything; stands in rows that must not be answered.
TRAP = (0, 0, 96, 64)
# Rows of a three-stride head on this input.
ROWS = 12 * 8 + 6 * 4 + 3 * 2

PICTURES = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "orange": (255, 102, 0),
}

# What is answered where a description does not say otherwise, and how many classes the classifier's says.
SCORE = 0.25
TOP_K = 2

METADATA = {
    "names": str(dict(enumerate(LABELS))),
    "task": "detect",
    "stride": "32",
    "imgsz": str([HEIGHT, WIDTH]),
    "description": "test model (tests/assets/make_models.py)",
}

F32, F16, U8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


# ---- inputs: a tensor of any kind -> [N, 3] mean of red, green, blue in 0-1 ----


class Input:
    """How a model wants its input; `scale`, `mean`, `std` are what the service has applied and the graph undoes."""

    def __init__(self, channels="rgb", layout="nchw", element=F32, batch="batch", scale=1 / 255, mean=0.0, std=1.0):
        self.channels, self.layout, self.element, self.batch = channels, layout, element, batch
        self.scale, self.mean, self.std = scale, mean, std

    def shape(self, width=WIDTH, height=HEIGHT):
        depth = 1 if self.channels == "gray" else 3
        if self.layout == "nchw":
            return [self.batch, depth, height, width]
        return [self.batch, height, width, depth]

    def means(self, g, name):
        x = name if self.element == F32 else g("Cast", name, to=F32)
        x = g("ReduceMean", x, g.ints(*((2, 3) if self.layout == "nchw" else (1, 2))), keepdims=0)
        x = g("Add", g("Mul", x, g.constant(self.std)), g.constant(self.mean))
        x = g("Mul", x, g.constant(1 / (255 * self.scale)))
        return g("Gather", x, g.ints(2, 1, 0), axis=1) if self.channels == "bgr" else x


# ---- outputs: [N, 3] means -> rows ----


def affine(g, means, constant, slopes):
    """[N, 3] -> [N, R, K]: `constant` [R, K] plus each channel's mean times its `slopes` [3, R, K]."""
    constant, slopes = np.asarray(constant, np.float32), np.asarray(slopes, np.float32)
    rows, columns = constant.shape
    flat = g("Gemm", means, g.constant(slopes.reshape(len(slopes), -1)), g.constant(constant.reshape(1, -1)))
    return g("Reshape", flat, g.ints(0, rows, columns))


def spread(g, rows, places, count):
    """[N, R, K] -> [N, count, K]: row i at places[i], zeros elsewhere."""
    place = np.zeros((count, len(places)), np.float32)
    place[places, range(len(places))] = 1
    return g("MatMul", g.constant(place), rows)


def cxcywh(box):
    x1, y1, x2, y2 = box
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def unit(box):
    x1, y1, x2, y2 = box
    return [x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT]


def slopes(columns_of_class, rows, columns):
    """Slopes that are 1 in row k at the columns that columns_of_class(k) names, for the mean of channel k."""
    slope = np.zeros((3, rows, columns), np.float32)
    for k in range(3):
        slope[k, k, columns_of_class(k)] = 1
    return slope


def yolov8_rows(g, means):
    """[N, ROWS, 4 + 3]; the three live rows lie at the start, in the middle and at the very end."""
    live = affine(g, means, [cxcywh(box) + [0, 0, 0] for box in BOXES], slopes(lambda k: [4 + k], 3, 7))
    return spread(g, live, [0, ROWS // 2, ROWS - 1], ROWS)


def yolov8_head(g, means):
    return g("Transpose", yolov8_rows(g, means), perm=[0, 2, 1])


def yolov5_head(g, means):
    rows = [cxcywh(box) + [1, 0, 0, 0] for box in BOXES] + [cxcywh(TRAP) + [0, 1, 1, 1]]
    live = affine(g, means, rows, slopes(lambda k: [5 + k], 4, 8))
    return spread(g, live, [5, 3 * ROWS // 2, 3 * ROWS - 1, 9], 3 * ROWS)


def cell(box, stride):
    """Column, row and the fractions within of the cell that holds the middle of a box."""
    cx, cy, _, _ = cxcywh(box)
    return int(cx // stride), int(cy // stride), cx / stride % 1, cy / stride % 1


# Class k lies on the grid of STRIDES[k], so that each grid is proved.
STRIDES = [8, 16, 32]
OFFSETS = [0, 96, 120]


def grid_row(k):
    """Row of class k within its own grid."""
    gx, gy, _, _ = cell(BOXES[k], STRIDES[k])
    return gy * (WIDTH // STRIDES[k]) + gx


def log_box(k):
    """Offsets in the cell, and log sizes in strides."""
    _, _, fx, fy = cell(BOXES[k], STRIDES[k])
    _, _, w, h = cxcywh(BOXES[k])
    return [fx, fy, math.log(w / STRIDES[k]), math.log(h / STRIDES[k])]


def yolox_head(g, means):
    rows = [log_box(k) + [1, 0, 0, 0] for k in range(3)] + [[0, 0, 1, 1, 0, 1, 1, 1]]
    live = affine(g, means, rows, slopes(lambda k: [5 + k], 4, 8))
    return spread(g, live, [OFFSETS[k] + grid_row(k) for k in range(3)] + [50], ROWS)


def end_to_end_head(g, means):
    live = affine(g, means, [list(box) + [0, k] for k, box in enumerate(BOXES)], slopes(lambda k: [4], 3, 6))
    return spread(g, live, [0, 1, 2], 20)


def fastestdet_head(g, means):
    """[N, 5 + 3, 4, 6]; objectness^0.6 x class^0.4 of the same mean is that mean."""
    stride, columns, rows = 16, 6, 4
    live, places = [], []
    for box in BOXES:
        gx, gy, fx, fy = cell(box, stride)
        sizes = [math.log(p / (1 - p)) for p in (cxcywh(box)[2] / WIDTH, cxcywh(box)[3] / HEIGHT)]
        live.append([0, math.atanh(fx), math.atanh(fy), *sizes, 0, 0, 0])
        places.append(gy * columns + gx)
    cells = spread(g, affine(g, means, live, slopes(lambda k: [0, 5 + k], 3, 8)), places, rows * columns)
    return g("Reshape", g("Transpose", cells, perm=[0, 2, 1]), g.ints(0, 8, rows, columns))


def classifier_head(g, means):
    return g("Mul", means, g.constant(10.0))


# ---- files ----


def save(name, build, source, outputs, size=(WIDTH, HEIGHT), metadata=None, sidecar=None):
    """Writes NAME.onnx and, when a guess does not suffice, NAME.toml."""
    g = Graph()
    tensors = build(g, source.means(g, "images"))
    for tensor, (output, _, _) in zip(tensors if isinstance(tensors, list) else [tensors], outputs):
        g.rename(tensor, output)
    g.save(HERE / f"{name}.onnx", [("images", source.element, source.shape(*size))], outputs, metadata)
    write_sidecar(name, sidecar)


def write_sidecar(name, text):
    if text is not None:
        (HERE / f"{name}.toml").write_text(text.strip() + "\n")


COLOURS = 'labels = ["red", "green", "blue"]\n'


def families():
    unit_rgb = Input()
    out8 = [("output0", F32, ["batch", 7, ROWS])]

    # Described by its metadata alone.
    save("yolov8", yolov8_head, unit_rgb, out8, metadata=METADATA)
    save(
        "yolov8_rows",
        yolov8_rows,
        unit_rgb,
        [("output0", F32, ["batch", ROWS, 7])],
        metadata=METADATA,
        sidecar='[decoder]\nfamily = "yolov8"\nrows = true\n',
    )
    save(
        "yolov5",
        yolov5_head,
        unit_rgb,
        [("output0", F32, ["batch", 3 * ROWS, 8])],
        sidecar=COLOURS
        + '\n[input]\nchannels = "rgb"\nscale = "1/255"\nresize = { mode = "letterbox", anchor = "center" }\n'
        + '\n[decoder]\nfamily = "yolov5"\n',
    )
    save(
        "yolox",
        yolox_head,
        Input(channels="bgr", scale=1.0),
        [("output", F32, ["batch", ROWS, 8])],
        sidecar=COLOURS
        + '\n[input]\nchannels = "bgr"\nscale = 1.0\nresize = { mode = "letterbox", anchor = "top-left" }\n'
        + '\n[decoder]\nfamily = "yolox"\nstrides = [8, 16, 32]\n',
    )
    save(
        "end_to_end",
        end_to_end_head,
        unit_rgb,
        [("output0", F32, ["batch", 20, 6])],
        metadata=METADATA,
        sidecar='[decoder]\nfamily = "end-to-end"\n',
    )
    save(
        "fastestdet",
        fastestdet_head,
        Input(channels="bgr"),
        [("output", F32, ["batch", 8, 4, 6])],
        sidecar=COLOURS
        + '\n[input]\nchannels = "bgr"\nscale = "1/255"\nresize = "stretch"\n\n[decoder]\nfamily = "fastestdet"\n',
    )
    ssd()
    ssd_post()
    picodet()
    yunet()
    save(
        "classifier",
        classifier_head,
        Input(mean=0.5, std=0.5),
        [("logits", F32, ["batch", 3])],
        size=(32, 32),
        sidecar=f'task = "classify"\ntop_k = {TOP_K}\n'
        + COLOURS
        + '\n[input]\nchannels = "rgb"\nscale = "1/255"\nmean = 0.5\nstd = 0.5\n'
        + 'resize = { mode = "center-crop", short = 36 }\n\n[decoder]\nfamily = "classifier"\nsoftmax = true\n',
    )


def ssd():
    """Boxes and scores apart; class 0 is the background, and five rows are nothing but background."""

    def heads(g, means):
        boxes = [unit(box) for box in BOXES] + [unit(TRAP)] * 5
        score_slopes = slopes(lambda k: [k + 1], 8, 4)
        for k in range(3):
            score_slopes[k, k, 0] = -1
        return [
            affine(g, means, [[1, 0, 0, 0]] * 8, score_slopes),
            affine(g, means, boxes, np.zeros((3, 8, 4))),
        ]

    save(
        "ssd",
        heads,
        Input(scale=1 / 128, mean=127 / 128),
        [("scores", F32, ["batch", 8, 4]), ("boxes", F32, ["batch", 8, 4])],
        sidecar=COLOURS
        + '\n[input]\nchannels = "rgb"\nscale = "1/128"\nmean = 0.9921875\nresize = "stretch"\n'
        + '\n[decoder]\nfamily = "ssd"\nboxes = "boxes"\nscores = "scores"\nlayout = "xyxy-unit"\nbackground = true\n',
    )


def ssd_post():
    """As TensorFlow exports it: bytes in, and as many boxes out as there are colours, none for a black picture."""

    def heads(g, means):
        mean = g("Reshape", means, g.ints(3))
        found = g("Reshape", g("NonZero", g("Greater", mean, g.constant(0.05))), g.ints(-1))
        boxes = g("Gather", g.constant([[y1, x1, y2, x2] for x1, y1, x2, y2 in map(unit, BOXES)]), found)
        classes = g("Add", g("Cast", found, to=F32), g.constant(1.0))
        one = g.ints(0)
        return [
            g("Unsqueeze", boxes, one),
            g("Unsqueeze", classes, one),
            g("Unsqueeze", g("Gather", mean, found), one),
            g("Cast", g("Shape", found), to=F32),
        ]

    save(
        "ssd_post",
        heads,
        Input(layout="nhwc", element=U8, batch=1, scale=1.0),
        [
            ("detection_boxes", F32, [1, "found", 4]),
            ("detection_classes", F32, [1, "found"]),
            ("detection_scores", F32, [1, "found"]),
            ("num_detections", F32, [1]),
        ],
        sidecar=COLOURS
        + '\n[input]\nchannels = "rgb"\nlayout = "nhwc"\nscale = 1.0\nresize = "stretch"\n'
        + '\n[decoder]\nfamily = "ssd-post"\nboxes = "detection_boxes"\nclasses = "detection_classes"\n'
        + 'scores = "detection_scores"\ncount = "num_detections"\nlayout = "yxyx-unit"\nfirst_class = 1\n',
    )


def picodet():
    """Distances as distributions over 8 bins; the input is normalised as ImageNet's."""

    def bins(distance):
        low, fraction = int(distance), distance % 1
        logits = [-60.0] * 8
        for bin, share in ((low, 1 - fraction), (low + 1, fraction)):
            if share > 0:
                logits[bin] = math.log(share)
        return logits

    def heads(g, means):
        scores, boxes = [], []
        for k, stride in enumerate(STRIDES):
            count = (WIDTH // stride) * (HEIGHT // stride)
            gx, gy, _, _ = cell(BOXES[k], stride)
            cx, cy = (gx + 0.5) * stride, (gy + 0.5) * stride
            x1, y1, x2, y2 = BOXES[k]
            logits = [v for d in (cx - x1, cy - y1, x2 - cx, y2 - cy) for v in bins(d / stride)]
            slope = np.zeros((3, 1, 3))
            slope[k, 0, k] = 1
            place = [grid_row(k)]
            scores.append(spread(g, affine(g, means, [[0, 0, 0]], slope), place, count))
            boxes.append(spread(g, affine(g, means, [logits], np.zeros((3, 1, 32))), place, count))
        return scores + boxes

    counts = [96, 24, 6]
    save(
        "picodet",
        heads,
        Input(mean=[[0.485, 0.456, 0.406]], std=[[0.229, 0.224, 0.225]]),
        [(f"scores_{s}", F32, ["batch", n, 3]) for s, n in zip(STRIDES, counts)]
        + [(f"boxes_{s}", F32, ["batch", n, 32]) for s, n in zip(STRIDES, counts)],
        sidecar=COLOURS
        + '\n[input]\nchannels = "rgb"\nscale = "1/255"\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n'
        + 'resize = "stretch"\n\n[decoder]\nfamily = "picodet"\nstrides = [8, 16, 32]\n'
        + 'scores = ["scores_8", "scores_16", "scores_32"]\nboxes = ["boxes_8", "boxes_16", "boxes_32"]\n',
    )


def yunet():
    """One class, found by its redness, on the grid of stride 16; its five landmarks are its middle and corners."""

    def heads(g, means):
        outputs = {"cls": [], "obj": [], "bbox": [], "kps": []}
        nothing = {width: np.zeros((3, 1, width)) for width in (1, 4, 10)}
        redness = np.zeros((3, 1, 1))
        redness[0] = 1
        for stride in STRIDES:
            count = (WIDTH // stride) * (HEIGHT // stride)
            gx, gy, fx, fy = cell(BOXES[0], stride)
            x1, y1, x2, y2 = BOXES[0]
            points = [(24, 16), (x1, y1), (x2, y1), (x1, y2), (x2, y2)]
            rows = {
                "cls": ([[0]], redness if stride == 16 else nothing[1]),
                "obj": ([[0]], redness if stride == 16 else nothing[1]),
                "bbox": ([[fx, fy, math.log((x2 - x1) / stride), math.log((y2 - y1) / stride)]], nothing[4]),
                "kps": ([[v for x, y in points for v in (x / stride - gx, y / stride - gy)]], nothing[10]),
            }
            place = [gy * (WIDTH // stride) + gx]
            for name, (constant, slope) in rows.items():
                outputs[name].append(spread(g, affine(g, means, constant, slope), place, count))
        return [tensor for tensors in outputs.values() for tensor in tensors]

    widths = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    save(
        "yunet",
        heads,
        Input(channels="bgr", scale=1.0),
        [
            (f"{name}_{s}", F32, ["batch", n, width])
            for name, width in widths.items()
            for s, n in zip(STRIDES, [96, 24, 6])
        ],
        sidecar='labels = ["red"]\n'
        + '\n[input]\nchannels = "bgr"\nscale = 1.0\nfill = 0\nresize = { mode = "letterbox", anchor = "top-left" }\n'
        + '\n[decoder]\nfamily = "yunet"\nstrides = [8, 16, 32]\nlandmarks = true\n',
    )


def inputs():
    """The same YOLOv8 head behind every kind of input."""
    v8 = '\n[decoder]\nfamily = "yolov8"\nrows = false\n'

    def variant(name, source, sidecar, element=F32):
        def head(g, means):
            rows = yolov8_head(g, means)
            return rows if element == F32 else g("Cast", rows, to=element)

        save(name, head, source, [("output0", element, [source.batch, 7, ROWS])], metadata=METADATA, sidecar=sidecar)

    variant(
        "u8_nhwc",
        Input(layout="nhwc", element=U8, scale=1.0),
        '[input]\nlayout = "nhwc"\nscale = 1.0\n' + v8,
    )
    variant("f32_nhwc", Input(layout="nhwc"), '[input]\nlayout = "nhwc"\nscale = "1/255"\n' + v8)
    variant("f16", Input(element=F16), None, element=F16)
    variant("bgr", Input(channels="bgr"), '[input]\nchannels = "bgr"\nscale = "1/255"\n' + v8)
    variant("batch1", Input(batch=1), None)
    variant("batch4", Input(batch=4), None)

    def bright_or_dark(g, mean):
        rows = [cxcywh(box) + [bright, dark] for box, bright, dark in ((BOXES[0], 0, 0), (BOXES[1], 0, 1))]
        slope = np.zeros((1, 2, 6))
        slope[0, 0, 4], slope[0, 1, 5] = 1, -1
        live = spread(g, affine(g, mean, rows, slope), [3, 77], ROWS)
        return g("Transpose", live, perm=[0, 2, 1])

    save(
        "gray",
        bright_or_dark,
        Input(channels="gray"),
        [("output0", F32, ["batch", 6, ROWS])],
        sidecar='labels = ["bright", "dark"]\n\n[input]\nchannels = "gray"\nscale = "1/255"\n' + v8,
    )


def focus():
    """A Focus as YOLOX and YOLOv5 began with, exported as PyTorch does: a slice for each axis, constants as nodes.

    Its weights are all different, and those that see one channel sum to 1: the largest of what it gives is the mean of
    a picture of one colour, whatever the padding does at the edges.
    """
    g = Graph()

    def number(value):
        tensor = helper.make_tensor("value", TensorProto.INT64, [1], [value])
        return g("Constant", value=tensor)

    def every_second(x, start, axis):
        return g("Slice", x, number(start), number(2**63 - 1), number(axis), number(2))

    offsets = [(0, 0), (1, 0), (0, 1), (1, 1)]
    parts = [every_second(every_second("images", y, 2), x, 3) for y, x in offsets]
    weights = np.zeros((3, 4, 3, 3, 3))
    share = np.random.Generator(np.random.PCG64(5)).uniform(0.1, 1, (3, 4, 3, 3))
    for k in range(3):
        weights[k, :, k] = share[k] / share[k].sum()
    joined = g("Concat", *parts, axis=1)
    kernel = g.constant(weights.reshape(3, 12, 3, 3))
    x = g("Conv", joined, kernel, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], group=1)
    means = g("ReduceMax", x, g.ints(2, 3), keepdims=0)
    g.rename(yolov8_head(g, means), "output0")
    images, rows = ("images", F32, Input().shape()), ("output0", F32, ["batch", 7, ROWS])
    g.save(HERE / "focus.onnx", [images], [rows], METADATA)


def misbehaviour():
    """Models that are slow, do nothing, or go wrong, some only when the picture is red."""
    outputs = [("output0", F32, ["batch", 7, ROWS])]

    def red(g, means, shape):
        return g("Reshape", g("Greater", g("Gather", means, g.ints(0), axis=1), g.constant(0.5)), g.ints(*shape))

    def nan(g, means):
        return g("Where", red(g, means, (-1, 1, 1)), g.constant(np.nan), yolov8_head(g, means))

    def fail(g, means):
        """A red picture makes an index that the runtime refuses while it runs, and the whole batch with it."""
        index = g("Mul", g("Cast", red(g, means, (-1,)), to=TensorProto.INT64), g.ints(1000))
        zero = g("Gather", g.constant([0.0]), index)
        return g("Add", yolov8_head(g, means), g("Reshape", zero, g.ints(-1, 1, 1)))

    def hang(g, means):
        """A red picture never ends: the loop's condition stays as it came."""
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["go_in"], ["go_out"]),
                helper.make_node("Identity", ["rows_in"], ["rows_out"]),
            ],
            "forever",
            [
                helper.make_tensor_value_info("turn", TensorProto.INT64, []),
                helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
                helper.make_tensor_value_info("rows_in", F32, None),
            ],
            [
                helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
                helper.make_tensor_value_info("rows_out", F32, None),
            ],
        )
        any_red = g("Cast", g("ReduceMax", g("Cast", red(g, means, (-1,)), to=F32), keepdims=0), to=TensorProto.BOOL)
        return g("Loop", "", any_red, yolov8_head(g, means), body=body)

    def slow(g, means):
        """Ten products of 512x512 matrices an image, which leave the means as they are."""
        side, times = 512, 10
        row = g("Expand", g("Unsqueeze", means, g.ints(2)), g.ints(1, 1, side))
        x = g("Pad", row, g.ints(0, 0, 0, 0, side - 3, 0))
        average = g("ConstantOfShape", g.ints(side, side), value=helper.make_tensor("v", F32, [1], [1 / side]))
        for _ in range(times):
            x = g("MatMul", x, average)
        x = g("Slice", x, g.ints(0, 0), g.ints(3, 1), g.ints(1, 2))
        return yolov8_head(g, g("Reshape", x, g.ints(-1, 3)))

    def crowd(g, means):
        """1,536 boxes of 2x2, none touching another's inside, all scored by redness."""
        boxes = [[2 * x + 1, 2 * y + 1, 2, 2] for y in range(HEIGHT // 2) for x in range(WIDTH // 2)]
        count = len(boxes)
        shape = g("Concat", g("Shape", means, start=0, end=1), g.ints(count, 4), axis=0)
        boxes = g("Expand", g("Cast", g.constant(boxes, np.uint8), to=F32), shape)
        mask = g("Unsqueeze", g("Mul", means, g.constant([[1, 0, 0]])), g.ints(1))
        scores = g("Expand", mask, g.ints(1, count, 1))
        return g("Transpose", g("Concat", boxes, scores, axis=2), perm=[0, 2, 1])

    for name, head in (("nan", nan), ("fail", fail), ("hang", hang), ("slow", slow)):
        save(name, head, Input(), outputs, metadata=METADATA)
    save(
        "crowd",
        crowd,
        Input(),
        [("output0", F32, ["batch", 7, 1536])],
        metadata=METADATA,
        sidecar='[decoder]\nfamily = "yolov8"\nrows = false\n',
    )

    g = Graph()
    shape = g("Concat", g("Shape", "images", start=0, end=1), g.ints(6, 4), axis=0)
    g.rename(g("ConstantOfShape", shape), "output0")
    g.save(HERE / "null.onnx", [("images", F32, ["batch", 3, 8, 8])], [("output0", F32, ["batch", 6, 4])])
    write_sidecar(
        "null",
        'labels = ["nothing", "never"]\n\n[input]\nchannels = "rgb"\nscale = "1/255"\nresize = "stretch"\n'
        + '\n[decoder]\nfamily = "yolov8"\nrows = false\n',
    )

    g = Graph()
    g.rename(g("Add", "left", "right"), "output0")
    picture = [1, 3, HEIGHT, WIDTH]
    g.save(HERE / "two_inputs.onnx", [("left", F32, picture), ("right", F32, picture)], [("output0", F32, picture)])

    garbage = np.random.Generator(np.random.PCG64(3)).integers(0, 256, 512, dtype=np.uint8)
    (HERE / "broken.onnx").write_bytes(garbage.tobytes())


# ---- what they answer ----


def answers():
    """{model: {picture: answer}} for pictures of one colour and the input's size; boxes in the order of the classes."""
    detectors = "yolov8 yolov8_rows yolov5 yolox end_to_end ssd ssd_post picodet fastestdet".split()
    detectors += "u8_nhwc f32_nhwc f16 bgr batch1 batch4 focus slow".split()

    def boxes(found):
        found = [(label, round(score, 4), list(box)) for label, score, box in found if score >= SCORE]
        return [{"label": label, "score": score, "box": box} for label, score, box in found]

    def colours(rgb):
        return boxes([(label, v / 255, box) for label, v, box in zip(LABELS, rgb, BOXES)])

    def shades(rgb):
        bright = (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]) / 255_000
        return boxes([("bright", bright, BOXES[0]), ("dark", 1 - bright, BOXES[1])])

    def classes(rgb):
        powers = [math.exp(10 * v / 255) for v in rgb]
        best = sorted(range(3), key=lambda k: -powers[k])[:TOP_K]
        return [{"label": LABELS[k], "score": round(powers[k] / sum(powers), 4)} for k in best]

    def by_picture(answer):
        return {name: answer(rgb) for name, rgb in PICTURES.items()}

    every = {name: by_picture(colours) for name in detectors}
    for name in ("nan", "fail", "hang"):
        every[name] = by_picture(lambda rgb: colours(rgb) if rgb[0] == 0 else None)
    every["yunet"] = by_picture(lambda rgb: [d for d in colours(rgb) if d["label"] == "red"])
    every["gray"] = by_picture(shades)
    every["classifier"] = by_picture(classes)
    every["null"] = by_picture(lambda rgb: [])
    return every


def write_answers():
    lines = []
    for model, pictures in answers().items():
        inner = ",\n".join(f"    {json.dumps(picture)}: {json.dumps(found)}" for picture, found in pictures.items())
        lines.append(f"  {json.dumps(model)}: {{\n{inner}\n  }}")
    (HERE / "answers.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    families()
    inputs()
    focus()
    misbehaviour()
    write_answers()
