#!/usr/bin/env python3
"""Read an export with what people would read it with: every picture is there, every box is in its picture.

    check_export.py FORMAT FOLDER PICTURES

COCO by pycocotools, which also scores the truth against itself; Label Studio's tasks by its own SDK against the labelling interface beside
them; ImageFolder as torchvision walks it and YOLO as its documentation has it. Prints SKIPPED where the package is not installed.
"""

import json
import sys
from pathlib import Path

form, folder, wanted = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])


def is_picture(path):
    head = path.read_bytes()[:8]
    return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def coco():
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    pictures = 0
    for split in ("train", "val"):
        truth = COCO(str(folder / "annotations" / f"instances_{split}.json"))
        for image in truth.loadImgs(truth.getImgIds()):
            assert is_picture(folder / split / image["file_name"]), image
            pictures += 1
            for box in truth.loadAnns(truth.getAnnIds(imgIds=image["id"])):
                x, y, w, h = box["bbox"]
                assert 0 <= x and 0 <= y and w > 0 and h > 0 and x + w <= image["width"] + 0.01 and y + h <= image["height"] + 0.01, box
        fields = ("image_id", "category_id", "bbox")
        answers = [{"score": 0.9, **{field: a[field] for field in fields}} for a in truth.dataset["annotations"]]
        if answers:
            evaluation = COCOeval(truth, truth.loadRes(answers), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert evaluation.stats[0] > 0.999, evaluation.stats
    return pictures


def label_studio():
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "interface.xml").read_text())
    tasks = json.loads((folder / "tasks.json").read_text())
    for task in tasks:
        labels = {part: task.pop(part) for part in ("annotations", "predictions")}
        assert interface.validate_task(task), task
        assert all(map(interface.validate_annotation, labels["annotations"])), labels
        assert all(map(interface.validate_prediction, labels["predictions"])), labels
        # Where Label Studio looks for it: below its document root.
        assert is_picture(folder / task["data"]["image"].partition("?d=")[2]), task["data"]
    return len(tasks)


def imagefolder():
    pictures = 0
    classes = {split: sorted(entry.name for entry in (folder / split).iterdir() if entry.is_dir()) for split in ("train", "val") if (folder / split).is_dir()}
    for split, names in classes.items():
        for name in names:
            files = sorted((folder / split / name).iterdir())
            assert files, "torchvision refuses a class without pictures"
            assert all(is_picture(file) for file in files)
            pictures += len(files)
    return pictures


def yolo():
    names = [line.strip() for line in (folder / "data.yaml").read_text().partition("names:\n")[2].splitlines()]
    pictures = 0
    for image in folder.glob("*/images/*"):
        assert is_picture(image)
        pictures += 1
        for line in (image.parent.parent / "labels" / image.with_suffix(".txt").name).read_text().splitlines():
            number, *box = line.split()
            x, y, w, h = map(float, box)
            assert int(number) < len(names) and 0 <= x - w / 2 + 1e-5 and x + w / 2 <= 1 + 1e-5 and 0 <= y - h / 2 + 1e-5 and y + h / 2 <= 1 + 1e-5, line
    return pictures


try:
    found = {"coco": coco, "label-studio": label_studio, "imagefolder": imagefolder, "yolo": yolo}[form]()
except ModuleNotFoundError as missing:
    print(f"SKIPPED: {form} is not read, for there is no {missing.name}: DETECTD_PYTHON names a Python that has it")
    sys.exit()
assert found == wanted, f"{found} pictures, not {wanted}"
