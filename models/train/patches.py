"""Flat things to be put into a scene: labels that carry a code, and things that look a little like codes but are none.

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
def _font(file, size):
    try:
        return ImageFont.truetype(file, size)
    except OSError:
        return ImageFont.load_default(size)


def text_mask(rng, held_back, width, height, size, lines=None):
    """Lines of text as opacity, uint8 [height, width]."""
    page = Image.new("L", (width, height))
    draw = ImageDraw.Draw(page)
    available = fonts(held_back)
    font = _font(available[int(rng.integers(len(available)))] if available else "", int(size))
    step = size * rng.uniform(1.05, 1.6)
    y, n = rng.uniform(0, size * 0.3), 0
    while y < height and (lines is None or n < lines):
        text = words(rng, 1 + int(width / size / 2.5))
        if rng.random() < 0.2:
            text = text.upper()
        draw.text((rng.uniform(0, size), y), text[: int(rng.integers(3, len(text) + 4))], fill=255, font=font)
        y, n = y + step, n + 1
    return np.array(page)


def colour(rng, low=0, high=255, strength=0.5):
    """A colour about as bright as asked; `strength` 0 is grey."""
    grey = rng.uniform(low, high)
    return np.clip(grey + rng.normal(0, 60 * strength, 3) * (rng.random() < 0.6), 0, 255)


def _ink_and_paper(rng):
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
    ink, paper = _ink_and_paper(rng)

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
    font = _font(available[int(rng.integers(len(available)))] if available else "", int(size))
    image = Image.fromarray(page)
    text = " ".join(str(rng.integers(10)) for _ in range(max(4, int(w / size)))) if rng.random() < 0.5 else str(rng.integers(10**6, 10**13))
    ImageDraw.Draw(image).text((x + rng.uniform(0, w * 0.2), y + h + size * 0.05), text, fill=255, font=font)
    return np.array(image)


def _logo(rng, picture, x, y, r):
    around = [colour(rng, 150, 255).tolist(), colour(rng, 0, 255, 1).tolist()]
    for radius, c in zip((r * 1.2, r), around):
        if rng.random() < 0.5:
            cv2.circle(picture, (int(x), int(y)), max(1, int(radius)), c, -1)
        else:
            cv2.rectangle(picture, (int(x - radius), int(y - radius)), (int(x + radius), int(y + radius)), c, -1)


# --- things that are no codes -------------------------------------------------------------------------------------------


def distractor(rng, held_back, pixels):
    """A patch of `pixels` on its longer side that carries no code."""
    w = max(16, int(pixels))
    h = max(16, int(pixels * rng.uniform(0.3, 1)))
    if rng.random() < 0.5:
        w, h = h, w
    if rng.random() < 0.3 and stamps(held_back):
        return _stamp(rng, held_back, pixels)
    kind = rng.choice(list(_KINDS), p=_SHARES)
    page = _KINDS[kind](rng, held_back, w, h)
    ink, paper = _ink_and_paper(rng)
    if rng.random() < 0.3:
        ink, paper = colour(rng, strength=1), colour(rng, strength=1)
    picture = paper + (ink - paper) * (page[..., None] / 255.0)
    opacity = np.full(page.shape, 255, np.uint8) if rng.random() < 0.7 else page
    return picture.astype(np.uint8), opacity, None


@cache
def stamps(held_back):
    """Cut-out pictures of things, letters and signs that Debian's tuxpaint-stamps-default installs; every fifth is held back."""
    files = sorted(Path("/usr/share/tuxpaint/stamps").rglob("*.png"))
    return [f for i, f in enumerate(files) if (i % 5 == 0) == held_back]


@cache
def _cut_out(file):
    picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
        return None
    scale = 400 / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _stamp(rng, held_back, pixels):
    files = stamps(held_back)
    picture = None
    while picture is None:
        picture = _cut_out(files[int(rng.integers(len(files)))])
    scale = max(16, pixels) / max(picture.shape[:2])
    w, h = max(4, round(picture.shape[1] * scale)), max(4, round(picture.shape[0] * scale))
    picture = cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture[..., :3]), np.ascontiguousarray(picture[..., 3]), None


def _paragraph(rng, held_back, w, h):
    return text_mask(rng, held_back, w, h, max(5, min(w, h) * np.exp(rng.uniform(np.log(0.04), np.log(0.4)))))


def _stripes(rng, _held_back, w, h):
    period = max(3, w * np.exp(rng.uniform(np.log(0.03), np.log(0.3))))
    x = np.arange(w) + rng.uniform(0, period)
    if rng.random() < 0.3:
        x = x + np.sin(x / w * rng.uniform(2, 9)) * period * 0.4
    row = np.where((x / period) % 1 < rng.uniform(0.2, 0.8), 255, 0).astype(np.uint8)
    page = np.tile(row, (h, 1))
    return np.ascontiguousarray(cv2.resize(page.T, (w, h))) if rng.random() < 0.4 else page


def _checker(rng, _held_back, w, h):
    n = max(4, int(min(w, h) / rng.uniform(2, 10)))
    y, x = np.mgrid[:h, :w]
    return np.where(((x // n) + (y // n)) % 2, 255, 0).astype(np.uint8)


def _grid(rng, held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    sx, sy = (max(4, int(s / rng.uniform(2, 14))) for s in (w, h))
    line = max(1, int(min(sx, sy) * rng.uniform(0.03, 0.2)))
    for x in range(0, w, sx):
        page[:, x : x + line] = 255
    for y in range(0, h, sy):
        page[y : y + line] = 255
    if rng.random() < 0.5:  # a table, a calendar, a crossword
        for y in range(0, h - sy, sy):
            for x in range(0, w - sx, sx):
                if rng.random() < 0.3:
                    page[y + line : y + sy, x + line : x + sx] = rng.choice([255, 120])
    if rng.random() < 0.5:
        page = np.maximum(page, text_mask(rng, held_back, w, h, max(4, sy * 0.5)))
    return page


def _keys(rng, held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    s = max(5, int(min(w, h) / rng.uniform(2, 7)))
    gap = max(1, int(s * rng.uniform(0.08, 0.25)))
    for row, y in enumerate(range(0, h, s)):
        shift = int(row * s * 0.3)
        for x in range(-shift, w, s):
            cv2.rectangle(page, (x + gap, y + gap), (x + s - gap, y + s - gap), int(rng.integers(180, 256)), -1)
    return np.minimum(page, 255 - text_mask(rng, held_back, w, h, max(4, s * 0.4)))


def _dots(rng, _held_back, w, h):
    n = max(3, int(min(w, h) / rng.uniform(4, 16)))
    y, x = np.mgrid[:h, :w]
    r = n * rng.uniform(0.2, 0.45)
    return np.where(((x % n) - n / 2) ** 2 + ((y % n) - n / 2) ** 2 < r * r, 255, 0).astype(np.uint8)


def _piano(rng, _held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    s = max(4, w // int(rng.integers(6, 22)))
    for i, x in enumerate(range(0, w, s)):
        page[:, x : x + 1] = 255
        if i % 7 not in (2, 6):
            page[: int(h * 0.6), x + int(s * 0.7) : x + int(s * 1.3)] = 255
    return page


def _bricks(rng, _held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    s = max(5, int(h / rng.uniform(3, 12)))
    line = max(1, int(s * rng.uniform(0.05, 0.2)))
    for row, y in enumerate(range(0, h, s)):
        page[y : y + line] = 255
        for x in range((row % 2) * s, w, 2 * s):
            page[y : y + s, x : x + line] = 255
    return page


def _weave(rng, _held_back, w, h):
    y, x = np.mgrid[:h, :w].astype(np.float32)
    p, q = rng.uniform(3, 14, 2)
    return (127 + 127 * np.sin(x * 6.28 / p) * np.sin(y * 6.28 / q)).astype(np.uint8)


def _spines(rng, held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    x = 0
    while x < w:
        n = int(w * rng.uniform(0.03, 0.2)) + 3
        page[:, x : x + n] = rng.integers(0, 256)
        x += n
    text = cv2.rotate(text_mask(rng, held_back, h, w, max(5, w * 0.07)), cv2.ROTATE_90_CLOCKWISE)
    return cv2.addWeighted(page, 0.7, text, 0.3, 0)


def _blocks(rng, _held_back, w, h):
    """Coarse random squares: pixel art, mosaics, camouflage. Too few and too grey to be a code."""
    n = int(rng.integers(2, 7))
    page = rng.integers(0, 256, (n, max(2, int(n * w / h)))).astype(np.uint8)
    return cv2.resize(page, (w, h), interpolation=rng.choice([cv2.INTER_NEAREST, cv2.INTER_CUBIC]))


def _facade(rng, _held_back, w, h):
    """Rows of windows, shutters or shelves: regular, each a little different inside."""
    page = np.full((h, w), int(rng.integers(0, 90)), np.uint8)
    sx, sy = (max(6, int(s / rng.uniform(2, 12))) for s in (w, h))
    left, top = int(sx * rng.uniform(0.1, 0.35)), int(sy * rng.uniform(0.08, 0.35))
    bars, slats = int(rng.integers(0, 3)), int(rng.integers(0, 8)) if rng.random() < 0.4 else 0
    for y in range(0, h - sy + 1, sy):
        for x in range(0, w - sx + 1, sx):
            pane = page[y + top : y + sy - top, x + left : x + sx - left]
            pane[:] = rng.integers(120, 256)
            for i in range(1, bars + 1):
                pane[:, pane.shape[1] * i // (bars + 1)] = 30
            for i in range(slats):
                pane[pane.shape[0] * i // slats] = 60
    return page


def _fence(rng, _held_back, w, h):
    """Bars of one or two widths in an even beat, across all of it: fences, blinds, radiators, cloth, corrugated sheet."""
    period = max(3, w / rng.uniform(6, 45))
    x = (np.arange(w) + rng.uniform(0, period)) / period
    x = x + np.cumsum(rng.normal(0, 0.02, w)) * (rng.random() < 0.4)
    wave = np.sin(2 * np.pi * x) + rng.uniform(0, 0.8) * np.sin(4 * np.pi * x + rng.uniform(0, 6))
    row = np.clip(127 + wave * rng.uniform(60, 600), 0, 255)
    page = np.tile(row, (h, 1)) * (0.75 + 0.25 * cv2.resize(rng.random((6, 6)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC))
    page = page.clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.resize(page.T, (w, h))) if rng.random() < 0.5 else page


def _shapes(rng, _held_back, w, h):
    page = np.zeros((h, w), np.uint8)
    for _ in range(int(rng.integers(1, 12))):
        centre = (int(rng.integers(w)), int(rng.integers(h)))
        size = int(max(2, min(w, h) * rng.uniform(0.03, 0.4)))
        tone, thick = int(rng.integers(60, 256)), int(rng.choice([-1, 1, 2, 4]))
        if rng.random() < 0.5:
            cv2.circle(page, centre, size, tone, thick)
        else:
            cv2.rectangle(page, centre, (centre[0] + size, centre[1] + int(size * rng.uniform(0.2, 2))), tone, thick)
    return page


_KINDS = {
    "paragraph": _paragraph,
    "stripes": _stripes,
    "checker": _checker,
    "grid": _grid,
    "keys": _keys,
    "dots": _dots,
    "piano": _piano,
    "bricks": _bricks,
    "weave": _weave,
    "spines": _spines,
    "blocks": _blocks,
    "shapes": _shapes,
    "facade": _facade,
    "fence": _fence,
}
_SHARES = np.array([0.24, 0.08, 0.05, 0.08, 0.06, 0.04, 0.04, 0.04, 0.04, 0.06, 0.04, 0.05, 0.09, 0.09])
