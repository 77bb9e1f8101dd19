#!/usr/bin/env python3
"""Make colours.onnx, its sample picture and what it finds there.

The model finds patches of strong colour: red, yellow, green, cyan, blue, magenta. Nothing in it was trained; every number
was chosen by hand, so that the service works, and can be tested, before anybody brings a model of their own.

How it works, on the 320x320 input:
1. Average 4x4 pixels. Of each such block take the chroma (largest minus smallest channel) as strength and the nearest
   of six hues as class: six maps of 80x80, at most one of them not zero at a place.
2. Average 2x2 of these: how much of each 8x8 cell is covered, six maps of 40x40.
3. From each cell look left, right, up and down: the sum of the products of the coverages on the way is the length of the
   run of that colour, whole cells and the fraction of the last one alike. The four lengths are the box.
4. The score is the coverage of the cell times how much in the middle of its box it lies; a cell with a better one beside
   it gets none, so that of all cells of a patch the middle one is left, or a few that NMS makes one.

The output is what a YOLOv8 export gives, [batch, 4 + 6, 1600] with cx, cy, w, h in input pixels, and so are the
metadata. Patches of 16 input pixels and more are found; boxes fit upright rectangles and ellipses.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from graph import Graph
from onnx import TensorProto
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
LABELS = ["red", "yellow", "green", "cyan", "blue", "magenta"]
SIZE = 320
BLOCK = 4
CELL = 8
CELLS = SIZE // CELL

# Chroma (0-1) up to which a block is grey, and the steepness above: full strength at 0.45.
GREY = 0.2
STEEPNESS = 4.0

SCORE = 0.5
IOU = 0.45


def build(path):
    g = Graph()
    cells = coverage(g, "images")
    left, right, up, down = runs(g, cells)
    rows = g("Concat", boxes(g, left, right, up, down), scores(g, cells, left, right, up, down), axis=1)
    g.rename(g("Reshape", rows, g.ints(0, 4 + len(LABELS), CELLS * CELLS)), "output0")
    metadata = {
        "names": str(dict(enumerate(LABELS))),
        "task": "detect",
        "stride": str(CELL),
        "imgsz": str([SIZE, SIZE]),
        "description": "patches of strong colour, hand-made (models/make_colours.py)",
        "license": "MIT OR Apache-2.0",
    }
    g.save(
        path,
        [("images", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [("output0", TensorProto.FLOAT, ["batch", 4 + len(LABELS), CELLS * CELLS])],
        metadata,
    )


def coverage(g, images):
    """[N, 3, 320, 320] in 0-1 -> [N, 6, 40, 40]: how much of each cell is of each colour."""
    blocks = g("AveragePool", images, kernel_shape=[BLOCK, BLOCK], strides=[BLOCK, BLOCK])
    red, green, blue = g.many("Split", [blocks], 3, axis=1, num_outputs=3)
    low = g("Min", red, green, blue)
    chroma = g("Sub", g("Max", red, green, blue), low)

    # Colour = grey + primary (largest less middle) + secondary (middle less smallest); the larger part names the hue.
    def primary(a, b, c):
        return g("Sub", a, g("Max", b, c))

    def secondary(a, b, c):
        return g("Sub", g("Min", a, b), c)

    hues = g(
        "Concat",
        primary(red, green, blue),
        secondary(red, green, blue),
        primary(green, red, blue),
        secondary(green, blue, red),
        primary(blue, red, green),
        secondary(red, blue, green),
        axis=1,
    )
    nearest = g("GreaterOrEqual", hues, g("ReduceMax", hues, g.ints(1), keepdims=1))
    steep = g("Mul", g("Sub", chroma, g.constant(GREY)), g.constant(STEEPNESS))
    strength = g("Clip", steep, g.constant(0.0), g.constant(1.0))
    colours = g("Mul", g("Cast", nearest, to=TensorProto.FLOAT), strength)
    side = CELL // BLOCK
    return g("AveragePool", colours, kernel_shape=[side, side], strides=[side, side])


def runs(g, cells):
    """[N, 6, 40, 40] -> four of [N, 1, 40, 40]: cells from each cell, itself included, to where its colour ends."""
    # Four copies, each turned so that the way to look is to the right.
    across = g("Transpose", cells, perm=[0, 1, 3, 2])
    ways = g("Concat", mirror(g, cells), cells, mirror(g, across), across, axis=1)

    # Product and sum of products over windows of 1, 2, 4 … cells that begin here.
    product, length = ways, ways
    step = 1
    while step < CELLS:
        length = g("Add", length, g("Mul", product, shift(g, length, step)))
        if step * 2 < CELLS:
            product = g("Mul", product, shift(g, product, step))
        step *= 2

    left, right, up, down = g.many("Split", [length], 4, axis=1, num_outputs=4)
    # At a place that matters only one colour's run is longer than nothing.
    left, right, up, down = (g("ReduceMax", way, g.ints(1), keepdims=1) for way in (left, right, up, down))
    up = g("Transpose", mirror(g, up), perm=[0, 1, 3, 2])
    down = g("Transpose", down, perm=[0, 1, 3, 2])
    return mirror(g, left), right, up, down


def mirror(g, x):
    end = np.iinfo(np.int64).min
    return g("Slice", x, g.ints(-1), g.ints(end), g.ints(3), g.ints(-1))


def shift(g, x, step):
    """What lies `step` columns to the right; zero beyond the edge."""
    return g("Pad", x, g.ints(0, 0, 0, -step, 0, 0, 0, step))


def boxes(g, left, right, up, down):
    """[N, 4, 40, 40]: cx, cy, w, h in input pixels."""
    along = np.arange(CELLS, dtype=np.float32)
    half, one, cell = g.constant(0.5), g.constant(1.0), g.constant(float(CELL))

    def axis(before, after, index):
        # The cell itself is counted in both lengths.
        size = g("Sub", g("Add", before, after), one)
        centre = g("Add", g("Mul", g("Sub", after, before), half), g("Add", index, half))
        return g("Mul", centre, cell), g("Mul", size, cell)

    cx, w = axis(left, right, g.constant(along.reshape(1, 1, 1, CELLS)))
    cy, h = axis(up, down, g.constant(along.reshape(1, 1, CELLS, 1)))
    return g("Concat", cx, cy, w, h, axis=1)


def scores(g, cells, left, right, up, down):
    """[N, 6, 40, 40]: coverage x how central the cell lies in its box, 1 in the exact middle."""
    one = g.constant(1.0)

    def balance(before, after):
        return g("Div", g("Add", g("Min", before, after), one), g("Add", g("Max", before, after), one))

    central = g("Mul", cells, g("Sqrt", g("Mul", balance(left, right), balance(up, down))))
    # Only the best of each 5x5 neighbourhood counts: from near its rim a disc looks like a smaller one.
    best = g("MaxPool", central, kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    return g("Mul", central, g("Cast", g("GreaterOrEqual", central, best), to=TensorProto.FLOAT))


def paint():
    """The sample: shapes of five colours on grey, with a little noise and gradient as a camera would give."""
    width, height = 640, 480
    draft = Image.new("RGB", (width, height), (124, 124, 122))
    draw = ImageDraw.Draw(draft)
    shapes = [
        ("red", "rectangle", (60, 50, 239, 169), (214, 38, 40)),
        ("green", "ellipse", (330, 40, 469, 179), (44, 160, 60)),
        ("blue", "rectangle", (90, 250, 189, 429), (31, 70, 200)),
        ("yellow", "ellipse", (270, 260, 449, 369), (240, 210, 40)),
        ("magenta", "rectangle", (510, 230, 579, 419), (200, 40, 190)),
    ]
    for _, shape, box, colour in shapes:
        getattr(draw, shape)(box, fill=colour)
    # Things that are no strong colour: white, black, brown.
    draw.rectangle((520, 40, 600, 120), fill=(245, 245, 245))
    draw.ellipse((220, 400, 260, 440), fill=(15, 15, 15))
    draw.rectangle((390, 400, 470, 450), fill=(120, 100, 85))

    noise = np.random.Generator(np.random.PCG64(1)).normal(0.0, 1.0, (height, width, 1))
    shade = np.linspace(8.0, -8.0, width).reshape(1, width, 1)
    pixels = np.clip(np.asarray(draft, dtype=np.float64) + noise + shade, 0, 255)
    truth = [(label, [box[0], box[1], box[2] + 1, box[3] + 1]) for label, _, box, _ in shapes]
    return Image.fromarray(pixels.round().astype(np.uint8)), truth


def letterbox(picture):
    """-> [1, 3, 320, 320] in 0-1, factor, left, top; the same rule as the service's centred letterbox."""
    factor = min(SIZE / picture.width, SIZE / picture.height)
    width, height = round(picture.width * factor), round(picture.height * factor)
    left, top = (SIZE - width) // 2, (SIZE - height) // 2
    canvas = Image.new("RGB", (SIZE, SIZE), (114, 114, 114))
    canvas.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    tensor = np.asarray(canvas, dtype=np.float32).transpose(2, 0, 1)[None] / 255
    return tensor, factor, left, top


def detect(session, picture):
    """The detections of a picture, best first: label, score, box in the picture's pixels."""
    tensor, factor, left, top = letterbox(picture)
    (rows,) = session.run(None, {"images": tensor})
    rows = rows[0].T
    found = []
    for row in sorted(rows, key=lambda row: -row[4:].max()):
        label, score = LABELS[int(row[4:].argmax())], float(row[4:].max())
        if score < SCORE:
            break
        cx, cy, w, h = (float(v) for v in row[:4])
        box = [(cx - w / 2 - left) / factor, (cy - h / 2 - top) / factor]
        box += [(cx + w / 2 - left) / factor, (cy + h / 2 - top) / factor]
        box = [min(max(v, 0.0), limit) for v, limit in zip(box, (picture.width, picture.height) * 2)]
        if all(other["label"] != label or overlap(other["box"], box) <= IOU for other in found):
            found.append({"label": label, "score": score, "box": box})
    return found


def overlap(a, b):
    """IoU of two boxes."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    inside = max(w, 0.0) * max(h, 0.0)
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def match(found, truth, least):
    """Fails unless each thing painted is found once, under its name, and nothing else is."""
    assert len(found) == len(truth), (found, truth)
    for label, box in truth:
        best = max((overlap(d["box"], box) for d in found if d["label"] == label), default=0.0)
        assert best >= least, f"{label} {box}: IoU {best:.2f} in {found}"


def main():
    path = HERE / "colours.onnx"
    build(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    picture, truth = paint()
    picture.save(HERE / "colours.jpg", quality=85)
    found = detect(session, Image.open(HERE / "colours.jpg"))
    match(found, truth, 0.8)
    for d in found:
        d["score"] = round(d["score"], 4)
        d["box"] = [round(v, 1) for v in d["box"]]
    lines = ",\n".join("  " + json.dumps(d) for d in found)
    (HERE / "colours.json").write_text(f"[\n{lines}\n]\n")
    check_batch(session)
    check_random(session)
    print(f"colours.onnx: {path.stat().st_size} bytes, {len(found)} detections in colours.jpg")


def check_batch(session):
    """Each picture of a batch is answered as if it were alone."""
    one = letterbox(paint()[0])[0]
    both = np.concatenate([np.full_like(one, 0.5), one])
    (alone,) = session.run(None, {"images": one})
    (rows,) = session.run(None, {"images": both})
    assert np.array_equal(rows[1], alone[0]) and rows[0, 4:].max() == 0.0


def check_random(session):
    """Three shapes anywhere, of any size from 40 pixels up: found once each at IoU >= 0.5."""
    random = np.random.Generator(np.random.PCG64(7))
    colours = [(220, 40, 40), (230, 200, 40), (40, 170, 60), (40, 190, 200), (40, 70, 210), (200, 40, 180)]
    for _ in range(200):
        picture = Image.new("RGB", (640, 480), (int(random.integers(60, 200)),) * 3)
        draw, truth = ImageDraw.Draw(picture), []
        for place, kind in enumerate(random.permutation(6)[:3]):
            w, h = random.integers(40, 190), random.integers(40, 400)
            x, y = 10 + place * 210 + random.integers(0, 200 - w), 10 + random.integers(0, 460 - h)
            box = [int(x), int(y), int(x + w), int(y + h)]
            shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
            shape((box[0], box[1], box[2] - 1, box[3] - 1), fill=colours[kind])
            truth.append((LABELS[kind], box))
        match(detect(session, picture), truth, 0.5)


if __name__ == "__main__":
    main()
