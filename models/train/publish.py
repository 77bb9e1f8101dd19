#!/usr/bin/env python3
"""Put a trained model in its place, with the pictures and the golden answer that go with it.

    python publish.py WORK/codes.onnx FOLDER

Writes FOLDER/codes.onnx, codes.toml (its sidecar), codes.jpg (the golden picture), codes.json (what is found there, by an implementation that is
not the server's) and samples/*.jpg.
"""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np

import samples
from dataset import SIZE, letterbox
from evaluate import found, runner
from symbols import CLASSES

GOLDEN = "desk"
SCORE = 0.6  # as codes.toml says


def main():
    model, models = Path(sys.argv[1]), Path(sys.argv[2])
    (models / "samples").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, models / "codes.onnx")
    shutil.copyfile(Path(__file__).with_name("codes.toml"), models / "codes.toml")
    samples.write(models / "samples")
    shutil.move(models / "samples" / f"{GOLDEN}.jpg", models / "codes.jpg")
    answer = detections(runner(models / "codes.onnx"), cv2.imread(str(models / "codes.jpg")))
    lines = ",\n".join("  " + json.dumps(d) for d in answer)
    (models / "codes.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(answer)} codes in codes.jpg: {', '.join(d['label'] + ' ' + str(d['score']) for d in answer)}")


def detections(run, picture):
    """As `POST /detect` answers: label, score, box in pixels of the picture."""
    height, width = picture.shape[:2]
    scale = min(SIZE / width, SIZE / height)
    left, top = (SIZE - round(width * scale)) // 2, (SIZE - round(height * scale)) // 2
    canvas, _ = letterbox(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.zeros((0, 5), np.float32))
    boxes = []
    for kind, score, *box in found(run(canvas[None])[0], SCORE):
        box = (np.array(box) - [left, top, left, top]) / scale
        boxes.append({"label": CLASSES[int(kind)], "score": round(float(score), 4), "box": [round(float(v), 1) for v in box]})
    return boxes


if __name__ == "__main__":
    main()
