"""Pictures as a camera might have taken them: backgrounds, patches bent and seen in perspective, light, lens, sensor, JPEG.

Owns: geometry and optics. `scene` gives one picture with the boxes of the codes in it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

import patches
from distractors import distractor, medal
from symbols import CLASSES

SIZE = 416
SHARES = (0.26, 0.28, 0.18, 0.14, 0.14)  # of the classes among the codes

# Pictures that packages install under free licences (see README.md); what is absent is done without.
_FOLDERS = [
    "/usr/share/backgrounds",
    "/usr/share/wallpapers",
    "/usr/share/pixmaps",
    "/usr/share/games/supertuxkart/data/textures",
    "/usr/share/games/supertuxkart/data/tracks",
]

# A code is asked for when one can see that it is one, and which. Its grey values spread at least that far (standard deviation);
FAINT = 11
# where only its modules tell which it is, the view leaves them at least this part of patches.LEAST;
SQUEEZED = {"qr_code": 0.8, "data_matrix": 0.8, "aztec": 0.8}
# and of what was printed at least so much is left by light, lens, sensor and file (correlation).
BLURRED = {"qr_code": 0.6, "data_matrix": 0.6, "aztec": 0.6, "pdf417": 0.4, "barcode": 0.2}


@cache
def photographs(held_back):
    """Files of background pictures; every fifth is held back for validation."""
    files = []
    for folder in _FOLDERS:
        files += sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    try:
        import skimage

        files += sorted(p for p in (Path(skimage.__file__).parent / "data").glob("*") if p.suffix in (".png", ".jpg", ".jpeg"))
    except ImportError:
        pass
    return [file for i, file in enumerate(files) if (i % 5 == 0) == held_back]


@cache
def _read(file):
    """At most 900 pixels wide; None for what is small or no picture."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None or min(picture.shape[:2]) < 128:
        return None
    scale = 900 / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def noise(rng, size, cells):
    """Smooth noise in 0..1 with about `cells` bumps a side."""
    small = rng.random((int(cells) + 2, int(cells) + 2)).astype(np.float32)
    return np.clip(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def crop(rng, held_back=False):
    """A square part of some photograph, uint8 BGR [SIZE, SIZE, 3]. There must be one: see `photographs`."""
    files, picture = photographs(held_back), None
    while picture is None:
        picture = _read(files[int(rng.integers(len(files)))])
    h, w = picture.shape[:2]
    side = int(min(h, w) * np.exp(rng.uniform(np.log(0.15), 0)))
    y, x = int(rng.integers(h - side + 1)), int(rng.integers(w - side + 1))
    part = cv2.resize(picture[y : y + side, x : x + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.rot90(part, int(rng.integers(4))) if rng.random() < 0.3 else part)


def background(rng, held_back):
    choice = rng.random()
    if choice < 0.5 and photographs(held_back):
        return crop(rng, held_back).astype(np.float32)
    base = np.empty((SIZE, SIZE, 3), np.float32)
    base[:] = patches.colour(rng, strength=0.8)
    if choice < 0.6:  # paper or a wall
        return base + (noise(rng, SIZE, rng.integers(2, 120))[..., None] - 0.5) * rng.uniform(0, 50)
    if choice < 0.72:  # a texture of several scales
        for cells in (2, 7, 25, 90, 250):
            base += (noise(rng, SIZE, cells)[..., None] - 0.5) * rng.uniform(0, 80) * patches.colour(rng, 60, 255) / 255
        return base
    if choice < 0.8:  # grain, as of wood or brushed metal
        lines = rng.normal(0, rng.uniform(3, 25), (SIZE, 1, 1)).astype(np.float32)
        base += cv2.resize(lines, (SIZE, SIZE))[..., None] * (0.5 + noise(rng, SIZE, 3)[..., None])
        return base if rng.random() < 0.5 else np.ascontiguousarray(base.transpose(1, 0, 2))
    for _ in range(int(rng.integers(3, 25))):  # boxes, shelves, desks
        w, h = (SIZE * rng.uniform(0.05, 0.7, 2)).astype(int)
        x, y = rng.integers(-w // 2, SIZE, 1)[0], rng.integers(-h // 2, SIZE, 1)[0]
        corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]) + rng.normal(0, 12, (4, 2)) * (rng.random() < 0.5)
        cv2.fillPoly(base, [corners.astype(np.int32)], patches.colour(rng, strength=0.9).tolist(), cv2.LINE_AA)
    return base


# --- patches into the scene ---------------------------------------------------------------------------------------------


def bend(rng, patch):
    """Around a cylinder, as on a bottle or a tin; the outline follows."""
    picture, opacity, outline = patch
    upright = rng.random() < 0.5
    if not upright:
        picture, opacity, outline = _transposed(picture, opacity, outline)
    h, w = opacity.shape
    half = rng.uniform(0.4, 1.25)
    bow = h * rng.uniform(-0.2, 0.2) + w * rng.uniform(-0.06, 0.06)
    pad = int(abs(bow)) + 1
    y, x = np.mgrid[: h + 2 * pad, :w].astype(np.float32)
    u = np.arcsin(np.clip((x / (w - 1) * 2 - 1) * np.sin(half), -1, 1)) / half
    maps = ((u + 1) / 2 * (w - 1)).astype(np.float32), (y - pad - bow * (np.cos(u * half) - np.cos(half))).astype(np.float32)
    picture = cv2.remap(picture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = (0.55 + 0.45 * np.cos(u * half * rng.uniform(0.5, 1.1)))[..., None]
    picture = (picture * shade).astype(np.uint8)
    opacity = cv2.remap(opacity, *maps, cv2.INTER_LINEAR)
    if outline is not None:
        v = outline[:, 0] / (w - 1) * 2 - 1
        outline = np.stack(
            [(np.sin(v * half) / np.sin(half) + 1) / 2 * (w - 1), outline[:, 1] + pad + bow * (np.cos(v * half) - np.cos(half))], 1
        )
    return (picture, opacity, outline) if upright else _transposed(picture, opacity, outline)


def _transposed(picture, opacity, outline):
    turned = np.ascontiguousarray(picture.transpose(1, 0, 2)), np.ascontiguousarray(opacity.T)
    return *turned, None if outline is None else outline[:, ::-1]


def view(rng, w, h):
    """Homography of a w×h patch turned in space, its middle at the origin, its size about kept."""
    turn = rng.choice([0, 90, 180, 270]) + rng.normal(0, 8) if rng.random() < 0.55 else rng.uniform(0, 360)
    tilt = np.radians(rng.normal(0, 24, 2).clip(-58, 58)) * (rng.random() < 0.75)
    c = np.radians(turn)
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    rx = np.array([[1, 0, 0], [0, np.cos(tilt[0]), -np.sin(tilt[0])], [0, np.sin(tilt[0]), np.cos(tilt[0])]])
    ry = np.array([[np.cos(tilt[1]), 0, np.sin(tilt[1])], [0, 1, 0], [-np.sin(tilt[1]), 0, np.cos(tilt[1])]])
    corners = np.array([[-w, -h, 0], [w, -h, 0], [w, h, 0], [-w, h, 0]]) / 2 @ (rx @ ry @ rz).T
    distance = max(w, h) * rng.uniform(1.3, 5)
    seen = corners[:, :2] * (distance / (distance + corners[:, 2:]))
    flat = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    return cv2.getPerspectiveTransform(flat, seen.astype(np.float32))


def put(rng, canvas, patch, taken, inside):
    """Blend the patch into the canvas where it covers no code; gives its outline there, or None when there is no room."""
    if rng.random() < 0.22 and min(patch[1].shape) > 12:
        patch = bend(rng, patch)
    picture, opacity, outline = patch
    h, w = opacity.shape
    matrix = view(rng, w, h)
    corners = cv2.perspectiveTransform(np.array([[[0, 0], [w, 0], [w, h], [0, h]]], np.float32), matrix)[0]
    low, high = corners.min(0), corners.max(0)
    for _ in range(8):
        slack = 0.0 if rng.random() < 0.85 else 0.35 * (high - low)
        room_low, room_high = -low - slack, SIZE - high + slack
        if (room_high <= room_low).any():
            if not inside:
                room_low, room_high = np.minimum(room_low, room_high), np.maximum(room_low, room_high) + 1
            else:
                return None
        shift = rng.uniform(room_low, room_high)
        box = np.concatenate([low + shift, high + shift])
        if all(_overlap(box, other) < 1e-6 for other in taken):
            break
    else:
        return None
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ matrix
    x0, y0 = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(box[2:]).astype(int) + 1, SIZE)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    local = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ matrix
    size = (int(x1 - x0), int(y1 - y0))
    warped = cv2.warpPerspective(picture, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpPerspective(opacity, local, size, flags=cv2.INTER_LINEAR)[..., None] / 255.0
    region = canvas[y0:y1, x0:x1]
    if rng.random() < 0.3:  # its shadow
        offset = int(max(1, min(size) * 0.04))
        region *= 1 - 0.4 * cv2.GaussianBlur(np.roll(alpha[..., 0], (offset, offset), (0, 1)), (0, 0), offset)[..., None]
    region += (warped - region) * alpha
    taken.append(box)
    return None if outline is None else cv2.perspectiveTransform(outline[None].astype(np.float32), matrix)[0]


def _overlap(a, b):
    side = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(side)) if (side > 0).all() else 0.0


# --- light, lens, sensor ------------------------------------------------------------------------------------------------


def illuminate(rng, canvas):
    if rng.random() < 0.5:  # uneven light
        canvas *= (1 + (noise(rng, SIZE, rng.integers(0, 4)) - 0.5) * rng.uniform(0, 1.2))[..., None]
    if rng.random() < 0.2:  # a hard shadow
        mask = np.zeros((SIZE, SIZE), np.float32)
        cv2.fillPoly(mask, [rng.integers(-80, SIZE + 80, (int(rng.integers(3, 6)), 2)).astype(np.int32)], 1.0)
        canvas *= (1 - cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.7, 14)) * rng.uniform(0.2, 0.65))[..., None]
    if rng.random() < 0.15:  # glare
        y, x = np.mgrid[:SIZE, :SIZE]
        cx, cy = rng.uniform(0, SIZE, 2)
        a, b = rng.uniform(8, 110, 2)
        canvas += (np.exp(-(((x - cx) / a) ** 2) - ((y - cy) / b) ** 2) * rng.uniform(60, 260))[..., None]
    if rng.random() < 0.08:  # the rows of a screen
        y, x = np.mgrid[:SIZE, :SIZE]
        wave = np.sin((x * rng.normal() + y * rng.normal()) * rng.uniform(0.3, 3))
        canvas *= (1 + wave * rng.uniform(0.02, 0.12))[..., None]
    return canvas


def occlude(rng, canvas, codes):
    """A finger, a thumb or a strip of tape over a small part of some code."""
    for x0, y0, x1, y1 in (code.box for code in codes):
        if rng.random() < 0.1 and min(x1 - x0, y1 - y0) > 24:
            size = np.array([x1 - x0, y1 - y0]) * rng.uniform(0.08, 0.22, 2)
            corner = np.array([rng.choice([x0, x1]), rng.choice([y0, y1])]) + rng.normal(0, 3, 2)
            tone = np.array([110, 140, 200]) * rng.uniform(0.4, 1.2) if rng.random() < 0.5 else patches.colour(rng)
            cv2.ellipse(canvas, tuple(int(v) for v in corner), tuple(int(v) + 1 for v in size), float(rng.uniform(0, 180)), 0, 360, tone.tolist(), -1, cv2.LINE_AA)
    return canvas


def photograph(rng, canvas, unit):
    """Lens, sensor and file. What blurs is held back when the modules of a code, `unit` pixels each, are small already."""
    strong = min(1.0, unit / 3)
    chance = rng.random()
    if chance < 0.35:
        canvas = cv2.GaussianBlur(canvas, (0, 0), 0.3 + min(rng.exponential(1.0), 2.5) * strong)
    elif chance < 0.5:
        n = int(3 + rng.integers(0, 11) * strong)
        kernel = np.zeros((n, n), np.float32)
        a = rng.uniform(0, np.pi)
        d = np.array([np.cos(a), np.sin(a)]) * n / 2
        cv2.line(kernel, tuple((n / 2 - d).astype(int).tolist()), tuple((n / 2 + d).astype(int).tolist()), 1.0)
        canvas = cv2.filter2D(canvas, -1, kernel / max(kernel.sum(), 1))
    elif chance < 0.62:  # from afar, or scaled down and up again
        f = rng.uniform(max(0.35, 1 - 0.65 * strong), 1)
        small = cv2.resize(canvas, None, fx=f, fy=f, interpolation=cv2.INTER_AREA)
        canvas = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    canvas = np.clip(canvas, 0, 255)
    if rng.random() < 0.5:
        canvas = 255 * (canvas / 255) ** np.exp(rng.normal(0, 0.35))
    if rng.random() < 0.5:
        canvas = canvas * np.exp(rng.normal(0, 0.1, 3)) * np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.3:
        canvas = 128 + (canvas - 128) * rng.uniform(0.35, 1.1)
    if rng.random() < 0.5:
        canvas = canvas + rng.normal(0, rng.exponential(7), canvas.shape).astype(np.float32)
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        canvas = cv2.cvtColor(cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.6:
        quality = int(rng.uniform(18, 95))
        canvas = cv2.imdecode(cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return canvas


def scene(rng, held_back=False, shares=SHARES):
    """One picture, uint8 BGR [SIZE, SIZE, 3], and its codes: [(class, (x0, y0, x1, y1))] in pixels."""
    while True:
        picture, printed, codes = _scene(rng, held_back, shares)
        if all(visible(picture, printed, code) for code in codes):
            return picture, [(code.kind, code.box) for code in codes]


@dataclass
class Code:
    """One code of a scene: its class, box and outline in pixels of the picture, and the pixels its modules take there at their narrowest."""

    kind: int
    box: tuple
    outline: np.ndarray
    module: float


def visible(picture, printed, code):
    """Whether one can see in `picture` what there is in `printed`, the scene before light and lens."""
    x0, y0, x1, y1 = (int(v) for v in code.box)
    after, before = (cv2.cvtColor(np.clip(p[y0 : y1 + 1, x0 : x1 + 1], 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32) for p in (picture, printed))
    name = CLASSES[code.kind]
    if after.std() < FAINT or code.module < SQUEEZED.get(name, 0) * patches.LEAST[name]:
        return False
    inside = np.zeros(after.shape, np.uint8)
    cv2.fillPoly(inside, [(_contour(code.outline) - [x0, y0]).astype(np.int32)], 1)
    inside = inside > 0
    # Only what modules are made of; shadows and bends have their own say on the rest.
    wide = max(2.0, 2.5 * code.module)
    a, b = ((p - cv2.GaussianBlur(p, (0, 0), wide))[inside] for p in (before, after))
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6)) >= BLURRED[name]


def _contour(outline):
    """The points of a patch's outline (top, right, bottom, left) one after the other around it."""
    top, right, bottom, left = np.split(outline, 4)
    return np.concatenate([top, right, bottom[::-1], left[::-1]])


def _narrowest(kind, unit, flat, seen):
    """Pixels that a module of `unit` takes where the view squeezes it most; `flat` and `seen` are the outline before and after."""
    n = len(flat) // 4
    length = lambda line: np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    across, along = ((length(seen[i * n : (i + 1) * n]) + length(seen[(i + 2) * n : (i + 3) * n])) / 2 / length(flat[i * n : (i + 1) * n]) for i in (0, 1))
    area = lambda outline: cv2.contourArea(_contour(outline).astype(np.float32))
    shrunk = area(seen) / area(flat)
    if CLASSES[kind] in ("barcode", "pdf417"):  # across the bars
        return unit * shrunk / along
    both = across**2 + along**2
    return unit * np.sqrt(max(0.0, (both - np.sqrt(max(0.0, both**2 - 4 * shrunk**2))) / 2))


def blank(rng, held_back=False):
    """One picture without codes."""
    chance = rng.random()
    if chance < 0.3:
        return _collection(rng, held_back)
    if chance < 0.6:
        return caption(rng, held_back)
    return _scene(rng, held_back, count=0)[0]


def _collection(rng, held_back):
    """Many small things in rows on a quiet ground, mostly round ones: coins, buttons."""
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[:] = patches.colour(rng, 0, 160, 0.4) if rng.random() < 0.7 else patches.colour(rng, strength=0.8)
    canvas += (noise(rng, SIZE, rng.integers(2, 60))[..., None] - 0.5) * rng.uniform(0, 60)
    rows = int(rng.integers(2, 8))
    pitch = SIZE / rows
    drawn = medal if rng.random() < 0.7 else distractor
    for y in range(rows):
        for x in range(rows):
            picture, opacity, _ = drawn(rng, held_back, pitch * rng.uniform(0.5, 0.95))
            h, w = opacity.shape
            top, left = (int(np.clip((at + 0.5) * pitch - side / 2 + rng.normal(0, pitch * 0.06), 0, SIZE - side)) for at, side in ((y, h), (x, w)))
            region = canvas[top : top + h, left : left + w]
            region += (picture - region) * (opacity[..., None] / 255.0)
    return photograph(rng, illuminate(rng, canvas), 3.0)


def caption(rng, held_back=False):
    """Words written straight over a picture, large and often white: titles, signs, subtitles, marks of an editor."""
    canvas = background(rng, held_back)
    for _ in range(int(rng.integers(1, 7))):
        page = patches.writing(rng, held_back, SIZE * np.exp(rng.uniform(np.log(0.03), np.log(0.35))))
        tone = rng.uniform(230, 255, 3) if rng.random() < 0.5 else patches.colour(rng, strength=1)
        put(rng, canvas, (np.broadcast_to(tone, (*page.shape, 3)).astype(np.uint8), page, None), [], False)
    return photograph(rng, illuminate(rng, canvas), 3.0)


def _scene(rng, held_back, shares=SHARES, count=None):
    canvas = background(rng, held_back)
    taken, codes, unit = [], [], 3.0
    if count is None:
        count = int(rng.choice([0, 1, 2, 3, 5, 8], p=[0.18, 0.38, 0.2, 0.12, 0.08, 0.04]))
    largest = SIZE * (0.95, 0.95, 0.6, 0.5, 0.35, 0.25)[min(count, 5)]
    for _ in range(int(rng.integers(0, 4)) if count else int(rng.integers(1, 6))):
        put(rng, canvas, distractor(rng, held_back, SIZE * np.exp(rng.uniform(np.log(0.08), np.log(0.9)))), [], False)
    for _ in range(count):
        kind = int(rng.choice(len(CLASSES), p=shares))
        smallest = 28 if CLASSES[kind] in ("qr_code", "data_matrix", "aztec") else 52
        pixels = np.exp(rng.uniform(np.log(smallest), np.log(max(largest, smallest + 1))))
        label, module = patches.label(rng, held_back, CLASSES[kind], pixels)
        outline = put(rng, canvas, label, taken, True)
        if outline is None:
            continue
        unit, module = min(unit, module), _narrowest(kind, module, label[2], outline)
        full = np.concatenate([outline.min(0), outline.max(0)])
        box = np.clip(full, 0, SIZE)
        if np.prod(box[2:] - box[:2]) < 0.5 * np.prod(full[2:] - full[:2]) or min(box[2:] - box[:2]) < 5:
            cut = np.clip(full, 0, SIZE).astype(int)  # too little of it is seen to ask for it: covered
            canvas[cut[1] : cut[3], cut[0] : cut[2]] = patches.colour(rng)
            continue
        codes.append(Code(kind, tuple(float(v) for v in box), outline, module))
    for _ in range(int(rng.integers(0, 3))):
        put(rng, canvas, distractor(rng, held_back, SIZE * rng.uniform(0.08, 0.4)), list(taken), True)
    printed = canvas.copy()
    canvas = occlude(rng, canvas, codes)
    canvas = illuminate(rng, canvas)
    return photograph(rng, canvas, unit), printed, codes
