#!/usr/bin/env python3
"""Write synthetic pictures with codes: YOLO's folders (images/*.jpg, labels/*.txt), so that any trainer reads them.

    python synthesise.py OUT --count 1000 --seed 1 [--held-back]
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from scenes import SHARES, SIZE, scene


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("out", type=Path)
    options.add_argument("--count", type=int, default=1000)
    options.add_argument("--first", type=int, default=0, help="number of the first picture")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--held-back", action="store_true", help="backgrounds and fonts that training never sees")
    options.add_argument("--shares", type=float, nargs=len(SHARES), default=SHARES, help="of the classes among the codes, to one: more of one that is still missed")
    options = options.parse_args()
    cv2.setNumThreads(1)
    (options.out / "images").mkdir(parents=True, exist_ok=True)
    (options.out / "labels").mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.count):
        label = options.out / "labels" / f"{number:07}.txt"
        if label.exists():  # an interrupted run goes on
            continue
        picture, boxes = scene(np.random.default_rng([options.seed, number]), options.held_back, options.shares)
        cv2.imwrite(str(options.out / "images" / f"{number:07}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        lines = [
            f"{kind} {(x0 + x1) / 2 / SIZE:.5f} {(y0 + y1) / 2 / SIZE:.5f} {(x1 - x0) / SIZE:.5f} {(y1 - y0) / SIZE:.5f}\n"
            for kind, (x0, y0, x1, y1) in boxes
        ]
        label.write_text("".join(lines))
        if (number + 1) % 500 == 0:
            print(f"{number + 1 - options.first}/{options.count} pictures in {options.out}", flush=True)


if __name__ == "__main__":
    main()
