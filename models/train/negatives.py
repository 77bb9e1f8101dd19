#!/usr/bin/env python3
"""Write pictures without codes in which a model sees one, as YOLO's folders: what it has to learn next.

    python negatives.py codes.onnx OUT --count 6000 --seed 3

Of `count` pictures (parts of photographs, and scenes without codes) those are kept in which a box scores LEAST or more.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from dataset import letterbox
from evaluate import found, runner
from scenes import blank, caption, crop

LEAST = 0.15
BATCH = 16


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--count", type=int, default=6000)
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--captions", type=float, default=0.0, help="share of them, 0 to 1, that are words written over a picture, besides those among the scenes")
    options = options.parse_args()
    cv2.setNumThreads(1)
    (options.out / "images").mkdir(parents=True, exist_ok=True)
    (options.out / "labels").mkdir(parents=True, exist_ok=True)
    run = runner(options.model)
    kept = 0
    for first in range(0, options.count, BATCH):
        generators = [np.random.default_rng([options.seed, first + i]) for i in range(BATCH)]
        pictures = [_picture(rng, options.captions) for rng in generators]
        seen = [letterbox(picture, np.zeros((0, 5), np.float32))[0] for picture in pictures]
        for i, output in enumerate(run(np.stack(seen)[..., ::-1])):
            if len(found(output, LEAST)):
                cv2.imwrite(str(options.out / "images" / f"{first + i:07}.jpg"), pictures[i], [cv2.IMWRITE_JPEG_QUALITY, 92])
                (options.out / "labels" / f"{first + i:07}.txt").write_text("")
                kept += 1
        if first // BATCH % 25 == 24:
            print(f"{first + BATCH}/{options.count} pictures, {kept} kept", flush=True)


def _picture(rng, captions):
    if rng.random() < captions:
        return caption(rng)
    return crop(rng) if rng.random() < 0.6 else blank(rng)


if __name__ == "__main__":
    main()
