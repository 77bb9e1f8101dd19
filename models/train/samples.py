#!/usr/bin/env python3
"""Sample pictures for the demo page and the golden test: things with codes on a desk, rendered as a phone might see them.

    python samples.py OUT      # OUT/desk.jpg, parcel.jpg, ticket.jpg, shelf.jpg: always the same

Owns: what the things look like, flat, and where they lie. Nothing here is learnt from, and every pixel is made here.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

SIZE = (1280, 960)
PUBLISHED = (960, 720)
_SANS, _BOLD = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"


def code(form, text, width, height=None):
    """The printed symbol without its quiet zone, about `width` pixels wide."""
    matrix = np.array(zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, form)).to_image(scale=1, add_quiet_zones=False))
    dark = np.argwhere(matrix == 0)
    matrix = matrix[dark[:, 0].min() : dark[:, 0].max() + 1, dark[:, 1].min() : dark[:, 1].max() + 1]
    if height:  # a linear code is one row of bars
        matrix = matrix[:1]
    unit = max(1, round(width / matrix.shape[1]))
    return Image.fromarray(matrix).resize((matrix.shape[1] * unit, height or matrix.shape[0] * unit), Image.Resampling.NEAREST)


class Card:
    """A flat thing that is printed on."""

    def __init__(self, width, height, paper):
        self.image = Image.new("RGB", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)

    def text(self, x, y, what, size, ink=(30, 30, 30), bold=False):
        self.draw.text((x, y), what, fill=ink, font=ImageFont.truetype(_BOLD if bold else _SANS, size))
        return self

    def bar(self, x, y, width, height, colour):
        self.draw.rectangle((x, y, x + width, y + height), fill=colour)
        return self

    def symbol(self, x, y, picture):
        self.image.paste(picture, (x, y))
        return self


def parcel_label():
    card = Card(640, 900, (250, 249, 244)).bar(0, 0, 640, 110, (24, 24, 28)).text(30, 26, "PARCEL  24h", 52, (250, 250, 250), True)
    card.text(30, 135, "FROM", 22).text(30, 165, "Workshop 7\nCanal Street 12\n1012 Harbour", 30)
    card.bar(0, 300, 640, 4, (30, 30, 30)).text(30, 320, "TO", 22).text(30, 350, "Mrs. A. Lindqvist\nOld Mill Lane 3\n4410 Northfield", 36, bold=True)
    card.bar(0, 510, 640, 4, (30, 30, 30)).symbol(40, 535, code("PDF417", "PARCEL/24H/WORKSHOP 7/LINDQVIST/4410/0.8KG/00340434", 540))
    return card.symbol(80, 700, code("Code128", "00340434161094042557", 440, 130)).text(110, 840, "0034 0434 1610 9404 2557", 30)


def ticket():
    card = Card(820, 360, (252, 244, 226)).bar(0, 0, 24, 360, (176, 42, 48)).text(60, 30, "NIGHT OF THE CELLOS", 40, (120, 24, 30), True)
    card.text(60, 100, "Concert hall, door B", 30).text(60, 150, "Fri 18 Dec, 20:00", 30).text(60, 220, "ROW 12   SEAT 7", 42, bold=True)
    return card.text(60, 300, "No re-entry. Keep this ticket.", 20, (110, 100, 90)).symbol(570, 96, code("QRCode", "https://example.org/t/9F3K-22A7-C0DE", 220))


def boarding_pass():
    card = Card(520, 700, (236, 243, 250)).bar(0, 0, 520, 90, (18, 72, 140)).text(28, 22, "BOARDING PASS", 38, (250, 250, 250), True)
    card.text(28, 120, "HAM  >  LIS", 62, bold=True).text(28, 220, "GATE\nC14", 30).text(190, 220, "SEAT\n21F", 30).text(350, 220, "BOARDS\n09:40", 30)
    return card.symbol(130, 340, code("Aztec", "M1LINDQVIST/ANNA E7QX2PK HAMLISTP 0571 349Y021F0042 100", 260)).text(150, 640, "Have a good flight", 24)


def cereal_box():
    card = Card(560, 760, (214, 120, 30)).bar(0, 0, 560, 200, (246, 214, 120)).text(40, 40, "OAT & HONEY", 58, (120, 60, 10), True)
    card.text(40, 125, "crunchy flakes  500 g", 32, (120, 60, 10))
    card.text(40, 240, "Ingredients: oats 71 %, honey 12 %,\nsugar, sunflower oil, salt.\nStore cool and dry.", 25, (60, 30, 5))
    card.bar(150, 440, 370, 270, (252, 252, 252)).symbol(190, 460, code("EAN13", "400638133393", 290, 190))
    return card.text(200, 660, "4 006381 333931", 30)


def circuit_part():
    card = Card(420, 300, (40, 92, 60)).bar(20, 20, 150, 14, (196, 170, 90)).bar(20, 50, 150, 14, (196, 170, 90))
    for x in range(30, 400, 28):
        card.bar(x, 266, 14, 22, (196, 170, 90))
    card.text(24, 84, "PCB-0417  rev C", 26, (225, 235, 225)).text(24, 124, "U7  SN 88213-06", 22, (225, 235, 225))
    return card.bar(250, 60, 136, 136, (250, 250, 250)).symbol(264, 74, code("DataMatrix", "SN88213-06/REVC/2026W48", 110))


def keyboard():
    card = Card(900, 300, (52, 54, 58))
    for row, letters in enumerate(("QWERTYUIOP", "ASDFGHJKL;", "ZXCVBNM,./")):
        for i, letter in enumerate(letters):
            x, y = 20 + i * 86 + row * 8, 20 + row * 90
            card.bar(x, y, 76, 78, (236, 236, 232)).text(x + 12, y + 10, letter, 30)
    return card


def desk(rng, tone, grain):
    """A table top: boards of wood, or stone when `grain` is 0."""
    w, h = SIZE
    base = np.ones((h, w, 3), np.float32) * tone
    if grain:
        lines = cv2.GaussianBlur(rng.normal(0, 1, (h, 8)).astype(np.float32), (0, 0), 1.2)
        wave = cv2.resize(lines, (w, h), interpolation=cv2.INTER_CUBIC) * grain
        for y in range(0, h, h // 4):
            wave[y : y + 3] -= 28
            wave[y + 3 : y + h // 4] += rng.normal(0, 6)
        base += wave[..., None]
    else:
        for cells in (4, 12, 40, 160):
            base += (cv2.resize(rng.random((cells, cells)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC) - 0.5)[..., None] * 26
    return base


def lay(canvas, card, centre, width, turn, tilt=(0.0, 0.0)):
    """Put a card there, `width` pixels wide, turned by `turn` degrees and seen a little from the side; its shadow falls down right."""
    picture = np.asarray(card.image)[..., ::-1].astype(np.float32)
    h, w = picture.shape[:2]
    a = np.radians(turn)
    spin = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    corners = (np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2) @ spin.T * (width / w)
    depth = 1 + corners @ (np.array(tilt) / 1000)
    seen = corners / depth[:, None] + centre
    matrix = cv2.getPerspectiveTransform(np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32), seen.astype(np.float32))
    size = (canvas.shape[1], canvas.shape[0])
    factor = width / w
    if factor < 1:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.45 / factor)
    warped = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_LINEAR)
    alpha = cv2.GaussianBlur(cv2.warpPerspective(np.ones((h, w), np.float32), matrix, size), (0, 0), 0.7)[..., None]
    shadow = cv2.GaussianBlur(cv2.warpAffine(alpha[..., 0], np.float32([[1, 0, 12], [0, 1, 16]]), size), (0, 0), 14)[..., None]
    canvas *= 1 - 0.45 * shadow * (1 - alpha)
    canvas += (warped - canvas) * alpha


def take(rng, canvas, lamp, strength=0.35):
    """Light from `lamp`, a lens, a sensor."""
    h, w = canvas.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    far = np.hypot(x - lamp[0], y - lamp[1]) / np.hypot(w, h)
    canvas = canvas * (1.12 - strength * far)[..., None]
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.6) + rng.normal(0, 3.0, canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def pictures():
    rng = np.random.default_rng(2026)
    wood, pale, stone, dark = (92, 132, 172), (170, 196, 214), (176, 178, 182), (60, 62, 70)
    canvas = desk(rng, wood, 14)
    for card, *place in (
        (parcel_label(), (290, 430), 390, -7, (0.05, -0.12)),
        (ticket(), (850, 220), 560, 6, (0.08, -0.1)),
        (boarding_pass(), (720, 660), 300, -12, (0.0, -0.1)),
        (cereal_box(), (1080, 630), 290, 9, (0.05, -0.08)),
        (circuit_part(), (370, 850), 330, 4, (0.0, -0.1)),
    ):
        lay(canvas, card, *place)
    yield "desk", take(rng, canvas, (200, 100))
    canvas = desk(rng, stone, 0)
    lay(canvas, parcel_label(), (640, 470), 560, 12, (0.2, -0.3))
    yield "parcel", take(rng, canvas, (1100, 200))
    canvas = desk(rng, dark, 0)
    lay(canvas, keyboard(), (560, 180), 1000, -3, (0.0, -0.05))
    lay(canvas, ticket(), (660, 620), 900, -9, (-0.15, 0.25))
    yield "ticket", take(rng, canvas, (640, 900), 0.5)
    canvas = desk(rng, pale, 8)
    for i in range(4):
        lay(canvas, cereal_box(), (190 + i * 305, 470 + 14 * (i % 2)), 270, (-2, 1, 3, -1)[i], (0.04 * (i - 1.5), 0))
    yield "shelf", take(rng, canvas, (640, 0))


def write(out):
    for name, picture in pictures():
        picture = cv2.resize(picture, PUBLISHED, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(out / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    write(Path(sys.argv[1]))
