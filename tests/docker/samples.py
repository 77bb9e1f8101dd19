#!/usr/bin/env python3
"""The pictures that the demo page of a service offers: samples.py ADDRESS fetches the page and each of them, and prints how many
there are. Ends with 1 when the page or a picture does not come, or there are none.
"""

import json
import sys
import urllib.request

address = sys.argv[1].rstrip("/")


def fetch(path):
    with urllib.request.urlopen(address + path, timeout=10) as answer:
        return answer.read()


if b"<html" not in fetch("/"):
    sys.exit("no page")
samples = json.loads(fetch("/about"))["samples"]
for sample in samples:
    for path in (sample["address"], sample["small"]):
        if not fetch(path).startswith(b"\xff\xd8"):
            sys.exit(f"{path} is no JPEG")
print(len(samples))
sys.exit(0 if samples else 1)
