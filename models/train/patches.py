"""Flat things with a code on them, to be put into a scene: labels.

Owns: print, paper, text, borders. A patch is (picture uint8 [h, w, 3], opacity uint8 [h, w], outline [n, 2] or None);
the outline follows the printed symbol without its quiet zone.
"""

import subprocess
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from symbols import symbol


@cache
def fonts(held_back):
    """The installed TrueType fonts; every fifth is held back for validation."""
    listed = subprocess.run(["fc-list", ":lang=en", "file"], capture_output=True, text=True, check=False).stdout
    files = sorted(line.rstrip(": \n") for line in listed.splitlines() if line.rstrip(": \n").endswith((".ttf", ".otf")))
    return [f for i, f in enumerate(files) if (i % 5 == 0) == held_back] or files


_WORDS = (
    "the of and price net weight best before lot serial made in model no fragile this side up store cool dry ingredients "
    "sugar salt water contains energy fat protein total date order ship to from express parcel kg ml EUR USD scan me ticket "
    "gate seat class name address street city invoice page part rev type voltage input output 2026 100% bio original 中文 "
    "new open close menu news report table figure chapter model result error seconds"
).split()


def words(rng, n):
    return " ".join(
        str(rng.integers(0, 10 ** int(rng.integers(1, 9)))) if rng.random() < 0.25 else rng.choice(_WORDS) for _ in range(n)
    )


@cache
def font(file, size):
    try:
        return ImageFont.truetype(file, size)
    except OSError:
        return ImageFont.load_default(size)


def text_mask(rng, held_back, width, height, size, lines=None):
    """Lines of text as opacity, uint8 [height, width]."""
    page = Image.new("L", (width, height))
    draw = ImageDraw.Draw(page)
    available = fonts(held_back)
    drawn = font(available[int(rng.integers(len(available)))] if available else "", int(size))
    step = size * rng.uniform(1.05, 1.6)
    y, n = rng.uniform(0, size * 0.3), 0
    while y < height and (lines is None or n < lines):
        text = words(rng, 1 + int(width / size / 2.5))
        if rng.random() < 0.2:
            text = text.upper()
        draw.text((rng.uniform(0, size), y), text[: int(rng.integers(3, len(text) + 4))], fill=255, font=drawn)
        y, n = y + step, n + 1
    return np.array(page)


def writing(rng, held_back, size):
    """One to three words in letters `size` pixels high, as opacity, just as large as they are."""
    available = fonts(held_back)
    drawn = font(available[int(rng.integers(len(available)))] if available else "", max(6, int(size)))
    text = words(rng, int(rng.integers(1, 4)))
    text = text.upper() if rng.random() < 0.25 else text.title() if rng.random() < 0.3 else text
    left, top, right, bottom = (int(v) for v in drawn.getbbox(text))
    page = Image.new("L", (max(16, right - left), max(16, bottom - top)))
    ImageDraw.Draw(page).text((-left, -top), text, fill=255, font=drawn)
    return np.array(page)


def colour(rng, low=0, high=255, strength=0.5):
    """A colour about as bright as asked; `strength` 0 is grey."""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, 60 * strength, 3) * (rng.random() < 0.6), 0, 255)


def ink_and_paper(rng):
    if rng.random() < 0.08:  # inverted
        return colour(rng, 190, 255), colour(rng, 0, 90)
    if rng.random() < 0.25:  # coloured print, or poor contrast
        paper = colour(rng, 130, 255, 0.8)
        return np.clip(paper * rng.uniform(0.1, 0.5) + rng.normal(0, 15, 3), 0, 255), paper
    return colour(rng, 0, 60, 0.3), colour(rng, 185, 255, 0.2)


# The least pixels of the picture a module takes: below it nothing that could tell the class is left.
LEAST = {"qr_code": 1.2, "barcode": 0.5, "data_matrix": 1.6, "aztec": 1.4, "pdf417": 0.8}


def label(rng, held_back, name, pixels):
    """A label with one code of class `name` whose longer side takes about `pixels`, or more where its modules would be too small to see."""
    modules = symbol(rng, name)
    rows, columns = modules.shape
    pixels = max(pixels, LEAST[name] * max(rows, columns))
    if rows == 1:
        rows = max(8, columns * np.exp(rng.uniform(np.log(0.12), np.log(0.95))))
    elif name == "pdf417":
        rows = rows * rng.uniform(1.0, 1.6)
    unit = pixels / max(rows, columns)
    scale = int(np.clip(np.ceil(unit * 1.5), 1, 8)) if max(modules.shape) * 1.0 < 400 else 1
    mask = _print(rng, name, modules, scale)
    w, h = max(12, round(columns * unit)), max(12, round(rows * unit))
    mask = cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA if mask.shape[1] >= w else cv2.INTER_LINEAR)
    ink, paper = ink_and_paper(rng)

    quiet = unit * rng.choice([0.5, 1, 2, 3, 4, 8], p=[0.05, 0.15, 0.3, 0.2, 0.2, 0.1])
    margins = np.full(4, quiet)  # left, top, right, bottom
    rich = rng.random()
    if rich < 0.45:  # a larger label
        margins += rng.exponential(0.35, 4) * max(w, h) * (rng.random(4) < 0.6)
    hrt = name == "barcode" and rng.random() < 0.65
    size = max(4, h * rng.uniform(0.08, 0.16) if w > h * 1.2 else w * rng.uniform(0.06, 0.1))
    if hrt:
        margins[3] += size * 1.3
    margins = np.minimum(margins, pixels * 1.2 + 6).astype(int) + 1
    left, top, right, bottom = margins
    page = np.zeros((h + top + bottom, w + left + right), np.uint8)
    if rich < 0.45:
        page = _surroundings(rng, held_back, page, (left, top, w, h), quiet)
    if hrt:
        page = _digits_below(rng, held_back, page, (left, top, w, h), size)
    page[top : top + h, left : left + w] = mask
    picture = paper + (ink - paper) * (page[..., None] / 255.0)
    opacity = np.full(page.shape, 255, np.uint8)
    if rng.random() < 0.12:  # printed straight on what is behind
        opacity = np.maximum(page, np.uint8(rng.integers(0, 120)))
    if name == "qr_code" and rng.random() < 0.12:
        _logo(rng, picture, left + w / 2, top + h / 2, min(w, h) * rng.uniform(0.1, 0.24))
    if rng.random() < 0.25:
        cv2.rectangle(picture, (0, 0), (page.shape[1] - 1, page.shape[0] - 1), (ink + 40).tolist(), max(1, int(unit)))
    return (picture.astype(np.uint8), opacity, _rectangle(left, top, w, h)), unit


def _rectangle(x, y, w, h, n=8):
    t = np.linspace(0, 1, n)
    edge = np.concatenate([np.stack([t, 0 * t], 1), np.stack([0 * t + 1, t], 1), np.stack([t, 0 * t + 1], 1), np.stack([0 * t, t], 1)])
    return edge * [w, h] + [x, y]


def _print(rng, name, modules, scale):
    """How much ink there is, uint8: plain modules, dots, rounded ones, or ink that spread."""
    ink = 255 - modules
    if name != "barcode" and scale >= 4 and rng.random() < 0.15:
        dot = np.zeros((scale, scale), np.uint8)
        cv2.circle(dot, (scale // 2, scale // 2), max(1, int(scale * rng.uniform(0.3, 0.52))), 255, -1)
        return np.kron(ink // 255, dot)
    ink = cv2.resize(ink, (ink.shape[1] * scale, ink.shape[0] * scale), interpolation=cv2.INTER_NEAREST)
    chance = rng.random()
    if scale >= 4 and chance < 0.12:
        ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    elif scale >= 4 and chance < 0.2:
        ink = cv2.erode(ink, np.ones((2, 2), np.uint8))
    elif scale >= 4 and chance < 0.28:
        ink = cv2.threshold(cv2.GaussianBlur(ink, (0, 0), scale * 0.35), 127, 255, cv2.THRESH_BINARY)[1]
    if chance > 0.93 and min(ink.shape) > 20:  # worn print
        wear = cv2.resize(rng.random((12, 12)).astype(np.float32), ink.shape[::-1], interpolation=cv2.INTER_CUBIC)
        ink = (ink * np.clip(wear * 2 + 0.1, 0, 1)).astype(np.uint8)
    return ink


def _surroundings(rng, held_back, page, box, quiet):
    """Text and lines on the label, kept away from the code."""
    x, y, w, h = box
    height, width = page.shape
    if min(height, width) > 12:
        page = np.maximum(page, text_mask(rng, held_back, width, height, max(4, min(height, width) * rng.uniform(0.06, 0.2))))
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(height))
        page[at : at + max(1, height // 60)] = 255
    clear = int(max(1, quiet))
    page[max(0, y - clear) : y + h + clear, max(0, x - clear) : x + w + clear] = 0
    return page


def _digits_below(rng, held_back, page, box, size):
    x, y, w, h = box
    available = fonts(held_back)
    drawn = font(available[int(rng.integers(len(available)))] if available else "", int(size))
    image = Image.fromarray(page)
    text = " ".join(str(rng.integers(10)) for _ in range(max(4, int(w / size)))) if rng.random() < 0.5 else str(rng.integers(10**6, 10**13))
    ImageDraw.Draw(image).text((x + rng.uniform(0, w * 0.2), y + h + size * 0.05), text, fill=255, font=drawn)
    return np.array(image)


def _logo(rng, picture, x, y, r):
    around = [colour(rng, 150, 255).tolist(), colour(rng, 0, 255, 1).tolist()]
    for radius, c in zip((r * 1.2, r), around):
        if rng.random() < 0.5:
            cv2.circle(picture, (int(x), int(y)), max(1, int(radius)), c, -1)
        else:
            cv2.rectangle(picture, (int(x - radius), int(y - radius)), (int(x + radius), int(y + radius)), c, -1)
