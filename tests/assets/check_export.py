#!/usr/bin/env python3
"""Read a COCO export with pycocotools: every picture is there, every box is in its picture, and the truth scores 1.

    check_coco.py FOLDER PICTURES
"""

import sys
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

folder, wanted = Path(sys.argv[1]), int(sys.argv[2])
pictures = 0
for split in ("train", "val"):
    coco = COCO(str(folder / "annotations" / f"instances_{split}.json"))
    for image in coco.loadImgs(coco.getImgIds()):
        assert (folder / split / image["file_name"]).is_file(), image
        pictures += 1
        for box in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            x, y, w, h = box["bbox"]
            assert 0 <= x and 0 <= y and w > 0 and h > 0 and x + w <= image["width"] + 0.01 and y + h <= image["height"] + 0.01, box
    answers = [{"image_id": a["image_id"], "category_id": a["category_id"], "bbox": a["bbox"], "score": 0.9} for a in coco.dataset["annotations"]]
    if answers:
        evaluation = COCOeval(coco, coco.loadRes(answers), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] > 0.999, evaluation.stats
assert pictures == wanted, f"{pictures} pictures, not {wanted}"
