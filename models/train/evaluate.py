#!/usr/bin/env python3
"""How good a model is on folders in YOLO's form, or how much it sees on pictures that hold no code.

    python evaluate.py codes.onnx DATA                # mAP, recall by class and by size, false positives
    python evaluate.py codes.onnx --empty PICTURES    # every box at or above 0.5 on pictures without codes

Takes an exported .onnx or the .pt of train.py. AP as in COCO: 101 points of recall, IoU 0.50:0.95, the best 100 boxes of a picture.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from dataset import SIZE, letterbox, listed, read
from symbols import CLASSES

KEEP = 0.001  # boxes with lower scores do not count, not even for AP; what other detectors are measured with
MOST = 100  # nor do more of a picture, as in COCO
SURE = 0.5  # what counts as said: recall, false positives
SAME = 0.45  # of two boxes of one class that overlap more, the better one stays
SIZES = (("small", 0, 32), ("medium", 32, 96), ("large", 96, 1e9))  # square root of the area, in input pixels


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", type=Path)
    options.add_argument("data", nargs="?", type=Path)
    options.add_argument("--empty", type=Path, help="pictures without codes, searched through all folders")
    options.add_argument("--limit", type=int, default=1 << 30)
    options.add_argument("--json", type=Path, help="write the figures there too")
    options = options.parse_args()
    run = runner(options.model)
    figures = empty(run, options.empty) if options.empty else evaluate(run, listed(options.data)[: options.limit])
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def runner(path):
    """uint8 pictures [N, S, S, 3] → [N, 4 + classes, anchors]"""

    def tensor(pictures):
        return np.ascontiguousarray(np.transpose(pictures, (0, 3, 1, 2)).astype(np.float32) / 255)

    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda pictures: session.run(None, {session.get_inputs()[0].name: tensor(pictures)})[0]
    import torch

    from network import Detector

    model = Detector()
    model.load_state_dict(torch.load(path, map_location="cpu"))
    model.eval()
    return lambda pictures: model(torch.from_numpy(tensor(pictures))).detach().numpy()


def found(output, least):
    """One picture's rows of class, score, x0, y0, x1, y1, best first."""
    scores = output[4:]
    kinds = scores.argmax(0)
    best = scores.max(0)
    at = np.flatnonzero(best >= least)
    at = at[np.argsort(-best[at], kind="stable")]
    centre, half = output[:2, at].T, output[2:4, at].T / 2
    boxes, kinds, best = np.concatenate([centre - half, centre + half], 1), kinds[at], best[at]
    rows, left = [], np.ones(len(at), bool)
    for i in range(len(at)):
        if left[i]:
            rows.append([kinds[i], best[i], *boxes[i]])
            left &= ~((kinds == kinds[i]) & (overlap(boxes[i : i + 1], boxes)[0] > SAME))
    return np.array(rows, np.float32).reshape(-1, 6)


def overlap(a, b):
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clip(0).prod(-1)
    return common / ((a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1)[None] - common + 1e-9)


def evaluate(run, files, batch=16):
    thresholds = np.arange(0.5, 0.96, 0.05)
    said = {c: [] for c in range(len(CLASSES))}  # score, right at each threshold
    wanted = {c: 0 for c in said}
    seen = {c: {name: [0, 0] for name, _, _ in SIZES} for c in said}  # found, wanted at SURE and IoU 0.5
    empty_pictures = empty_boxes = wrong = 0
    for first in range(0, len(files), batch):
        samples = [letterbox(*read(f)) for f in files[first : first + batch]]
        for output, (_, truth) in zip(run(np.stack([p for p, _ in samples])), samples):
            rows = found(output, KEEP)[:MOST]
            if not len(truth):
                empty_pictures += 1
                empty_boxes += int((rows[:, 1] >= SURE).sum())
            for c in said:
                mine, real = rows[rows[:, 0] == c], truth[truth[:, 0] == c][:, 1:]
                wanted[c] += len(real)
                right = match(mine, real, thresholds)
                said[c] += [(row[1], r) for row, r in zip(mine, right)]
                wrong += int(((mine[:, 1] >= SURE) & ~right[:, 0]).sum()) if len(mine) else 0
                sure = mine[mine[:, 1] >= SURE]
                ious = overlap(real, sure[:, 2:]).max(1) if len(sure) and len(real) else np.zeros(len(real))
                for box, iou in zip(real, ious):
                    side = float(np.prod(box[2:] - box[:2])) ** 0.5
                    name = next(n for n, low, high in SIZES if low <= side < high)
                    seen[c][name][0] += int(iou >= 0.5)
                    seen[c][name][1] += 1
    ap = {c: [average_precision(said[c], wanted[c], t) for t in range(len(thresholds))] for c in said if wanted[c]}
    part = lambda pairs: round(sum(p[0] for p in pairs) / max(1, sum(p[1] for p in pairs)), 4)
    return {
        "pictures": len(files),
        "codes": sum(wanted.values()),
        "map50": round(float(np.mean([a[0] for a in ap.values()])), 4),
        "map50_95": round(float(np.mean(list(ap.values()))), 4),
        "classes": {
            CLASSES[c]: {"codes": wanted[c], "ap50": round(float(a[0]), 4), "ap50_95": round(float(np.mean(a)), 4), "recall": part(seen[c].values())}
            | {f"recall_{name}": part([seen[c][name]]) for name, _, _ in SIZES}
            for c, a in ap.items()
        },
        "recall": {name: part([seen[c][name] for c in said]) for name, _, _ in SIZES},
        "false_positives_per_empty_picture": round(empty_boxes / max(1, empty_pictures), 4),
        "false_positives_per_picture": round(wrong / max(1, len(files)), 4),
    }


def match(rows, real, thresholds):
    """[rows, thresholds]: whether the row is the first to find its code."""
    right = np.zeros((len(rows), len(thresholds)), bool)
    if not len(rows) or not len(real):
        return right
    ious = overlap(rows[:, 2:], real)
    for t, threshold in enumerate(thresholds):
        free = np.ones(len(real), bool)
        for i in range(len(rows)):  # best score first
            j = int(np.where(free, ious[i], 0).argmax())
            if free[j] and ious[i, j] >= threshold:
                free[j], right[i, t] = False, True
    return right


def average_precision(said, wanted, t):
    said = sorted(said, key=lambda s: -s[0])
    hits = np.array([r[t] for _, r in said], bool)
    recall = hits.cumsum() / max(1, wanted)
    precision = np.maximum.accumulate((hits.cumsum() / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.mean([precision[i] if (i := np.searchsorted(recall, r)) < len(recall) else 0 for r in np.linspace(0, 1, 101)]))


def empty(run, folder):
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif"))
    boxes, pictures = [], 0
    for file in files:
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if picture is None:
            continue
        pictures += 1
        canvas, _ = letterbox(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.zeros((0, 5), np.float32))
        for row in found(run(canvas[None])[0], SURE):
            boxes.append({"picture": str(file.relative_to(folder)), "class": CLASSES[int(row[0])], "score": round(float(row[1]), 3), "box": [round(float(v)) for v in row[2:]]})
    return {"pictures": pictures, "false_positives": len(boxes), "boxes": boxes}


if __name__ == "__main__":
    main()
