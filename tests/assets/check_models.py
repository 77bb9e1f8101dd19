#!/usr/bin/env python3
"""Run the tests' models with ONNX Runtime and compare with answers.json.

Fills the input and reads the outputs by what the sidecar says, in the plainest way there is, so that the sidecars are
checked as well. Where there is no sidecar the model is a YOLOv8 export.
"""

import ast
import json
import threading
import tomllib
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from make_models import BOXES, HEIGHT, PICTURES, SCORE, WIDTH

HERE = Path(__file__).resolve().parent


class Model:
    def __init__(self, name):
        self.name = name
        sidecar = HERE / f"{name}.toml"
        self.sidecar = tomllib.loads(sidecar.read_text()) if sidecar.exists() else {}
        self.input = self.sidecar.get("input", {})
        self.decoder = self.sidecar.get("decoder", {"family": "yolov8"})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        # Ultralytics writes a Python dictionary.
        names = ast.literal_eval(metadata.get("names", "{}"))
        self.labels = self.sidecar.get("labels") or list(names.values())

    def tensor(self, pictures):
        """RGB colours -> the batch that the model wants, a fixed larger batch filled up with black."""
        info = self.session.get_inputs()[0]
        nhwc = self.input.get("layout") == "nhwc"
        height, width = info.shape[1:3] if nhwc else info.shape[2:4]
        pixels = np.asarray(pictures, np.float64).reshape(-1, 1, 1, 3).repeat(height, 1).repeat(width, 2)
        channels = self.input.get("channels", "rgb")
        if channels == "bgr":
            pixels = pixels[..., ::-1]
        elif channels == "gray":
            pixels = (pixels @ [299, 587, 114])[..., None] / 1000
        scale = float(Fraction(self.input.get("scale", "1/255")))
        values = (pixels * scale - self.input.get("mean", 0.0)) / self.input.get("std", 1.0)
        values = values if nhwc else values.transpose(0, 3, 1, 2)
        if isinstance(info.shape[0], int):
            missing = info.shape[0] - len(values)
            values = np.concatenate([values, np.zeros((missing, *values.shape[1:]))])
        element = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}[info.type]
        return values.astype(element)

    def run(self, pictures, options=None):
        """The outputs by name, for a batch of pictures of one colour each."""
        feeds = {self.session.get_inputs()[0].name: self.tensor(pictures)}
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, feeds, options)))

    def answer(self, picture):
        outputs = {name: value[0].astype(np.float64) for name, value in self.run([picture]).items()}
        return self.decode(outputs)

    def decode(self, outputs):
        family = self.decoder["family"].replace("-", "_")
        if family == "classifier":
            powers = np.exp(outputs["logits"] - outputs["logits"].max())
            order = sorted(range(len(powers)), key=lambda k: -powers[k])[: self.sidecar["top_k"]]
            return [{"label": self.labels[k], "score": powers[k] / powers.sum()} for k in order]
        found = []
        for box, scores in globals()[family](self.decoder, outputs):
            k = int(np.argmax(scores))
            if scores[k] >= SCORE:
                found.append({"label": self.labels[k], "score": scores[k], "box": list(box)})
        return sorted(found, key=lambda d: self.labels.index(d["label"]))


# ---- one decoder a family: (decoder's sidecar, outputs of one picture) -> box, class scores ----


def corners(cx, cy, w, h):
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def one_hot(k, score):
    return [score if i == k else 0.0 for i in range(3)]


def grids(strides):
    for s in strides:
        for y in range(HEIGHT // s):
            for x in range(WIDTH // s):
                yield s, x, y


def yolov8(decoder, outputs):
    rows = outputs["output0"] if decoder.get("rows") else outputs["output0"].T
    return [(corners(*row[:4]), row[4:]) for row in rows]


def yolov5(_, outputs):
    return [(corners(*row[:4]), row[4] * row[5:]) for row in outputs["output0"]]


def yolox(decoder, outputs):
    for (s, x, y), row in zip(grids(decoder["strides"]), outputs["output"], strict=True):
        yield corners((x + row[0]) * s, (y + row[1]) * s, np.exp(row[2]) * s, np.exp(row[3]) * s), row[4] * row[5:]


def end_to_end(_, outputs):
    return [(row[:4], one_hot(int(row[5]), row[4])) for row in outputs["output0"]]


def ssd(decoder, outputs):
    boxes = outputs[decoder["boxes"]] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return zip(boxes, outputs[decoder["scores"]][:, 1:])


def ssd_post(decoder, outputs):
    boxes = outputs[decoder["boxes"]][:, [1, 0, 3, 2]] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    classes = outputs[decoder["classes"]].astype(int) - decoder["first_class"]
    assert outputs[decoder["count"]] == len(boxes)
    return [(box, one_hot(k, score)) for box, k, score in zip(boxes, classes, outputs[decoder["scores"]])]


def picodet(decoder, outputs):
    scores = np.concatenate([outputs[name] for name in decoder["scores"]])
    boxes = np.concatenate([outputs[name] for name in decoder["boxes"]])
    for (s, x, y), score, box in zip(grids(decoder["strides"]), scores, boxes, strict=True):
        bins = np.exp(box.reshape(4, 8))
        left, top, right, bottom = (bins / bins.sum(1, keepdims=True)) @ np.arange(8) * s
        cx, cy = (x + 0.5) * s, (y + 0.5) * s
        yield (cx - left, cy - top, cx + right, cy + bottom), score


def fastestdet(_, outputs):
    _, rows, columns = outputs["output"].shape
    for y in range(rows):
        for x in range(columns):
            c = outputs["output"][:, y, x]
            w, h = WIDTH / (1 + np.exp(-c[3])), HEIGHT / (1 + np.exp(-c[4]))
            centre = (x + np.tanh(c[1])) / columns * WIDTH, (y + np.tanh(c[2])) / rows * HEIGHT
            yield corners(*centre, w, h), c[0] ** 0.6 * c[5:] ** 0.4


def yunet(decoder, outputs):
    cls, obj, bbox, kps = (
        np.concatenate([outputs[f"{name}_{s}"] for s in decoder["strides"]]) for name in ("cls", "obj", "bbox", "kps")
    )
    for (s, x, y), c, o, b, k in zip(grids(decoder["strides"]), cls, obj, bbox, kps, strict=True):
        score = np.sqrt(np.clip(c, 0, 1) * np.clip(o, 0, 1))
        if score[0] >= SCORE:
            x1, y1, x2, y2 = BOXES[0]
            points = (k.reshape(5, 2) + [x, y]) * s
            want = [((x1 + x2) / 2, (y1 + y2) / 2), (x1, y1), (x2, y1), (x1, y2), (x2, y2)]
            assert np.allclose(points, want, atol=0.01), points
        yield corners((x + b[0]) * s, (y + b[1]) * s, np.exp(b[2]) * s, np.exp(b[3]) * s), score


# ---- the checks ----


def same(found, wanted):
    if len(found) != len(wanted):
        return False
    return all(
        f["label"] == w["label"]
        and abs(f["score"] - w["score"]) < 0.002
        and np.allclose(f.get("box", []), w.get("box", []), atol=0.05)
        for f, w in zip(found, wanted)
    )


def check_answers():
    for name, wanted in json.loads((HERE / "answers.json").read_text()).items():
        model = Model(name)
        for picture, answer in wanted.items():
            if answer is not None:
                found = model.answer(PICTURES[picture])
                assert same(found, answer), f"{name}, {picture}: {found}, wanted {answer}"
        check_batch(model, wanted)


def check_batch(model, wanted):
    """Pictures in a batch are answered as each alone, where the model takes several."""
    batch = model.session.get_inputs()[0].shape[0]
    pictures = [p for p, answer in wanted.items() if answer is not None][:4]
    if batch != 1:
        outputs = model.run([PICTURES[p] for p in pictures])
        for i, picture in enumerate(pictures):
            found = model.decode({name: value[i].astype(np.float64) for name, value in outputs.items()})
            assert same(found, wanted[picture]), f"{model.name}, {picture} in a batch: {found}"


def check_misbehaviour():
    assert np.isnan(Model("nan").run([PICTURES["red"]])["output0"]).all()
    both = Model("nan").run([PICTURES["green"], PICTURES["red"]])["output0"]
    assert not np.isnan(both[0]).any() and np.isnan(both[1]).all()

    crowd = Model("crowd").answer(PICTURES["red"])
    assert len(crowd) == 1536 and all(d["score"] > 0.999 for d in crowd)
    assert Model("crowd").answer(PICTURES["blue"]) == []

    fails("red picture", lambda: Model("fail").run([PICTURES["red"]]))
    fails("red in the batch", lambda: Model("fail").run([PICTURES["green"], PICTURES["red"]]))
    for name in ("broken", "hang_is_not_a_model"):
        fails(name, lambda: Model(name))
    assert len(onnxruntime.InferenceSession(HERE / "two_inputs.onnx").get_inputs()) == 2

    options = onnxruntime.RunOptions()
    stop = threading.Timer(0.5, lambda: setattr(options, "terminate", True))
    stop.start()
    fails("hang", lambda: Model("hang").run([PICTURES["red"]], options))
    assert not stop.is_alive(), "hang.onnx ended before it was told to"


def fails(what, action):
    try:
        action()
    except Exception:
        return
    raise AssertionError(f"{what}: no error")


def check_files():
    total = 0
    for path in sorted(HERE.glob("*.onnx")):
        total += path.stat().st_size
        assert path.stat().st_size < 20_000, path
        if path.stem != "broken":
            model = onnx.load(path)
            assert model.ir_version <= 10 and all(o.version <= 22 for o in model.opset_import), path
    assert total < 200_000
    return total


if __name__ == "__main__":
    size = check_files()
    check_answers()
    check_misbehaviour()
    print(f"tests/assets: {len(list(HERE.glob('*.onnx')))} models, {size} bytes, all answer as answers.json says")
