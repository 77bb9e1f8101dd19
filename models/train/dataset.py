"""Pictures and boxes from YOLO's folders, varied on the way to the network.

Owns: reading, and variety that keeps boxes true: turns, mirror images, zoom, colour, noise.
"""

from pathlib import Path

import cv2
import numpy as np
import torch

from network import SIZE


def listed(folder):
    """Pictures of `folder`/images that have a label file (an empty one says: no codes here)."""
    folder = Path(folder)
    labels = {p.stem for p in (folder / "labels").glob("*.txt")}
    return sorted(p for p in (folder / "images").iterdir() if p.stem in labels)


def read(file):
    """RGB picture and rows of class, x0, y0, x1, y1 in its pixels."""
    picture = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    text = (file.parent.parent / "labels" / f"{file.stem}.txt").read_text().split()
    rows = np.array(text, np.float32).reshape(-1, 5)
    h, w = picture.shape[:2]
    centre, size = rows[:, 1:3] * [w, h], rows[:, 3:5] * [w, h]
    return picture, np.concatenate([rows[:, :1], centre - size / 2, centre + size / 2], 1)


def letterbox(picture, boxes):
    """As the server does it: scaled to fit, centred, the rest grey."""
    h, w = picture.shape[:2]
    scale = min(SIZE / w, SIZE / h)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    left, top = (SIZE - size[0]) // 2, (SIZE - size[1]) // 2
    canvas = np.full((SIZE, SIZE, 3), 114, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    boxes = boxes.copy()
    boxes[:, 1:] = boxes[:, 1:] * scale + [left, top, left, top]
    return canvas, boxes


def vary(rng, picture, boxes, side=SIZE):
    """Another picture with the same codes, side×side. A side below SIZE is a window, mostly one that holds a code."""
    h, w = picture.shape[:2]
    smallest = 0.75 if side == SIZE else 0.45  # in a window the largest codes are whole only when they are scaled down
    zoom = SIZE / max(h, w) * np.exp(rng.uniform(np.log(smallest), np.log(1.6)))
    stretch = np.exp(rng.normal(0, 0.06))
    sx, sy = zoom * stretch, zoom / stretch
    tx, ty = (rng.uniform(*sorted((0, side - length * s))) for length, s in ((w, sx), (h, sy)))
    if side < SIZE and len(boxes) and rng.random() < 0.8:
        x0, y0, x1, y1 = boxes[rng.integers(len(boxes)), 1:]
        tx, ty = side * rng.uniform(0.2, 0.8, 2) - [(x0 + x1) / 2 * sx, (y0 + y1) / 2 * sy]
    method = cv2.INTER_AREA if zoom < 0.6 else cv2.INTER_LINEAR
    if zoom < 0.6:  # an affine warp would alias
        picture = cv2.resize(picture, (max(1, round(w * sx)), max(1, round(h * sy))), interpolation=method)
        scale = np.array([[picture.shape[1] / (w * sx), 0], [0, picture.shape[0] / (h * sy)]])
        matrix = np.array([[1 / scale[0, 0], 0, tx], [0, 1 / scale[1, 1], ty]])
    else:
        matrix = np.array([[sx, 0, tx], [0, sy, ty]])
    picture = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114))
    boxes = boxes.copy()
    boxes[:, 1:] = boxes[:, 1:] * [sx, sy, sx, sy] + [tx, ty, tx, ty]
    whole = np.prod(boxes[:, 3:] - boxes[:, 1:3], 1)
    boxes[:, 1:] = boxes[:, 1:].clip(0, side)
    seen = np.prod(boxes[:, 3:] - boxes[:, 1:3], 1)
    for box in boxes[(seen < 0.45 * whole) & (seen > 0)]:  # too little left to ask for it
        x0, y0, x1, y1 = (int(v) for v in box[1:] + [-1, -1, 2, 2])
        picture[max(0, y0) : y1, max(0, x0) : x1] = rng.integers(0, 256, 3)
    boxes = boxes[(seen >= 0.45 * whole) & (np.minimum(*(boxes[:, 3:] - boxes[:, 1:3]).T) > 6)]
    for _ in range(int(rng.integers(4))):
        picture = np.rot90(picture)
        boxes = np.stack([boxes[:, 0], boxes[:, 2], side - boxes[:, 3], boxes[:, 4], side - boxes[:, 1]], 1)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        boxes = np.stack([boxes[:, 0], side - boxes[:, 3], boxes[:, 2], side - boxes[:, 1], boxes[:, 4]], 1)
    picture = np.ascontiguousarray(picture)
    if rng.random() < 0.3:
        picture = picture[..., rng.permutation(3)]
    gain, shift = np.exp(rng.normal(0, 0.15, 3)) * np.exp(rng.normal(0, 0.2)), rng.normal(0, 12)
    table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)
    picture = np.stack([table[picture[..., c], c] for c in range(3)], -1)
    if rng.random() < 0.15:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.1))
    return picture, boxes


class Pictures(torch.utils.data.IterableDataset):
    """Endless and shuffled; looks again at the folder from time to time, since synthesis may still be adding to it."""

    def __init__(self, folders, seed, side=SIZE):
        self.folders, self.seed, self.side = folders, seed, side

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([*self.seed, worker.id if worker else 0])
        cv2.setNumThreads(1)
        while True:
            files = [f for folder in self.folders for f in listed(folder)]
            for i in rng.permutation(len(files))[:6000]:
                picture, boxes = read(files[i])
                yield vary(rng, picture, boxes, self.side)


def collate(samples):
    most = max(1, max(len(boxes) for _, boxes in samples))
    rows = np.zeros((len(samples), most, 5), np.float32)
    valid = np.zeros((len(samples), most), bool)
    for i, (_, boxes) in enumerate(samples):
        rows[i, : len(boxes)] = boxes
        valid[i, : len(boxes)] = True
    pictures = np.stack([p for p, _ in samples])
    rows = torch.from_numpy(rows)
    return torch.from_numpy(pictures), rows[..., 0].long(), rows[..., 1:], torch.from_numpy(valid)
