"""Things that look a little like codes but are none: text, stripes, grids, keys, facades, medals, cut-out pictures.

Owns: what training is to learn not to see. A patch is as in patches.py, without an outline.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from patches import colour, font, fonts, ink_and_paper, text_mask


def distractor(rng, held_back, pixels):
    """A patch of `pixels` on its longer side that carries no code."""
    w = max(16, int(pixels))
    h = max(16, int(pixels * rng.uniform(0.3, 1)))
    if rng.random() < 0.5:
        w, h = h, w
    chance = rng.random()
    if chance < 0.1:
        return medal(rng, held_back, pixels)
    if chance < 0.35 and stamps(held_back):
        return _stamp(rng, held_back, pixels)
    kind = rng.choice(list(_KINDS), p=_SHARES)
    page = _KINDS[kind](rng, held_back, w, h)
    ink, paper = ink_and_paper(rng)
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


def medal(rng, held_back, pixels):
    """Something round in relief, lit from one side: coins, medals, caps, stones."""
    w, h = max(16, int(pixels)), max(16, int(pixels * rng.uniform(0.75, 1)))
    y, x = np.mgrid[:h, :w].astype(np.float32)
    radius = np.hypot(x / (w - 1) * 2 - 1, y / (h - 1) * 2 - 1)
    height = np.zeros((h, w), np.float32)
    for cells in (3, 6, 12, 25, 50):
        bumps = rng.random((cells, cells)).astype(np.float32)
        height += cv2.resize(bumps, (w, h), interpolation=cv2.INTER_CUBIC) * rng.uniform(0, 2) / cells**0.6
    if rng.random() < 0.6:  # an inscription, a head, a figure
        struck = text_mask(rng, held_back, w, h, max(5, min(w, h) * rng.uniform(0.12, 0.7))) if rng.random() < 0.5 else _shapes(rng, held_back, w, h)
        height += cv2.GaussianBlur(struck, (0, 0), max(0.6, w * 0.012)) / 255.0 * rng.uniform(0.1, 0.6)
    if rng.random() < 0.7:  # the rim
        height += np.exp(-(((radius - rng.uniform(0.8, 0.93)) / 0.05) ** 2)) * rng.uniform(0.1, 0.6)
    height = cv2.GaussianBlur(height, (0, 0), 0.8) * w
    slope_y, slope_x = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    shade = 0.6 + (slope_x * np.cos(angle) + slope_y * np.sin(angle)) * rng.uniform(0.03, 0.25)
    metal = colour(rng, 110, 240, 0.5)
    picture = np.clip(shade[..., None] * metal + rng.normal(0, 3, (h, w, 1)), 0, 255)
    edge = 0.97 - rng.uniform(0, 0.1) * cv2.resize(rng.random((5, 5)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    return picture.astype(np.uint8), np.clip((edge - radius) * w * 0.5 * 255, 0, 255).astype(np.uint8), None


def _letters(rng, held_back, w, h):
    """A word as large as a sign, or one letter."""
    page = Image.new("L", (w, h))
    available = fonts(held_back)
    size = h * rng.uniform(0.5, 1.1)
    drawn = font(available[int(rng.integers(len(available)))] if available else "", int(size))
    text = "".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabdeghkmnprstw0123456789&#"), int(rng.integers(1, 7))))
    ImageDraw.Draw(page).text((rng.uniform(0, w * 0.2), (h - size * 1.2) / 2), text, fill=255, font=drawn, stroke_width=int(size * 0.05 * (rng.random() < 0.3)))
    page = np.array(page)
    if rng.random() < 0.3:  # of stripes, or hollow
        page = np.minimum(page, _stripes(rng, held_back, w, h)) if rng.random() < 0.5 else cv2.morphologyEx(page, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return page


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
    "letters": _letters,
}
_SHARES = np.array([0.2, 0.08, 0.05, 0.08, 0.06, 0.03, 0.04, 0.04, 0.04, 0.06, 0.04, 0.04, 0.08, 0.08, 0.08])
