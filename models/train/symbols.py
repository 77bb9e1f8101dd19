"""Machine-readable codes as matrices of modules, made by a real encoder.

Owns: which symbologies each class has and what is written into them. Knows nothing of paper, light or cameras.
"""

import string

import numpy as np
import zxingcpp

CLASSES = ["qr_code", "barcode", "data_matrix", "aztec", "pdf417"]

_DIGITS = string.digits
_UPPER = string.digits + string.ascii_uppercase
_TEXT = string.ascii_letters + string.digits + " -./:?=&_"


def _text(rng, alphabet, low, high):
    return "".join(rng.choice(list(alphabet), int(rng.integers(low, high + 1))))


def _digits(rng, n):
    return _text(rng, _DIGITS, n, n)


def _url(rng, high):
    return f"https://{_text(rng, string.ascii_lowercase, 3, 12)}.{rng.choice(['com', 'org', 'net', 'de', 'cn', 'io'])}/{_text(rng, _TEXT[:62], 0, high)}"


def _payload(rng, high):
    """Short codes are common, long ones must be known too."""
    length = int(np.exp(rng.uniform(np.log(4), np.log(high))))
    return _url(rng, length) if rng.random() < 0.5 else _text(rng, _TEXT, length, length)


# name of the format, its share within the class, and what may be written into it
_FORMATS = {
    "qr_code": [
        ("QRCode", 0.9, lambda r: _payload(r, 200)),
        ("MicroQRCode", 0.06, lambda r: _digits(r, int(r.integers(3, 12)))),
        ("RMQRCode", 0.04, lambda r: _text(r, _UPPER, 5, 30)),
    ],
    "barcode": [
        ("EAN13", 0.26, lambda r: _digits(r, 12)),
        ("EAN8", 0.06, lambda r: _digits(r, 7)),
        ("UPCA", 0.08, lambda r: _digits(r, 11)),
        ("UPCE", 0.04, lambda r: "0" + _digits(r, 6)),
        ("Code128", 0.24, lambda r: _text(r, _UPPER + "-", 6, 24)),
        ("Code39", 0.1, lambda r: _text(r, _UPPER, 4, 14)),
        ("Code93", 0.04, lambda r: _text(r, _UPPER, 4, 14)),
        ("ITF", 0.06, lambda r: _digits(r, 2 * int(r.integers(3, 9)))),
        ("Codabar", 0.03, lambda r: "A" + _text(r, _DIGITS, 5, 12) + "B"),
        ("DataBarOmni", 0.03, lambda r: _digits(r, 13)),
        ("DataBarLtd", 0.02, lambda r: "0" + _digits(r, 12)),
        ("DataBarStkOmni", 0.02, lambda r: _digits(r, 13)),
        ("DataBarExp", 0.02, lambda r: "[01]" + _digits(r, 14)),
    ],
    "data_matrix": [("DataMatrix", 1.0, lambda r: _payload(r, 80))],
    "aztec": [
        ("Aztec", 0.95, lambda r: _payload(r, 160)),
        ("AztecRune", 0.05, lambda r: str(int(r.integers(0, 256)))),
    ],
    "pdf417": [
        ("PDF417", 0.92, lambda r: _text(r, _TEXT, 8, 250)),
        ("MicroPDF417", 0.08, lambda r: _text(r, _UPPER, 4, 30)),
    ],
}


def symbol(rng, name):
    """Modules of one code of class `name`: uint8 [rows, columns], 0 is ink, 255 paper, no quiet zone.

    Bars are one row high unless the symbology is stacked: how tall they are is the label's affair.
    """
    formats = _FORMATS[name]
    shares = np.array([share for _, share, _ in formats])
    while True:
        kind, _, content = formats[rng.choice(len(formats), p=shares / shares.sum())]
        try:
            code = zxingcpp.create_barcode(content(rng), getattr(zxingcpp.BarcodeFormat, kind))
        except ValueError:  # a random text may not fit, or its check digit not match
            continue
        modules = np.array(code.to_image(scale=1, add_quiet_zones=False, add_hrt=False))
        modules = _trim(modules)
        if name == "barcode" and "Stk" not in kind:
            modules = modules[modules.shape[0] // 4 :][:1]
            modules = _trim(modules)
        return modules


def _trim(modules):
    rows = np.flatnonzero((modules == 0).any(1))
    columns = np.flatnonzero((modules == 0).any(0))
    return modules[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
