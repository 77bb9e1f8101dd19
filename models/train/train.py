#!/usr/bin/env python3
"""Train the detector on folders in YOLO's form (images/, labels/), as synthesise.py and `detectd export` write them.

    python train.py DATA... --out RUN --steps 8000          # again with the same RUN: goes on where it stopped
    python train.py DATA... --out RUN --side 256 --steps 20000 --until 16000   # windows: half the work a picture
    python train.py DATA... --out RUN --finetune codes.onnx --rate 0.0005 --steps 1000
    python train.py DATA... --out RUN --processes 2 --threads 1   # on few cores two halves of a batch side by side are the faster way

RUN/last.pt holds everything to go on with, RUN/best.pt the averaged weights that evaluate.py and export.py take.
"""

import argparse
import math
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed

import weights
from dataset import Pictures, collate
from loss import loss
from network import SIZE, Detector


def arguments():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", nargs="+", type=Path)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--steps", type=int, default=8000)
    options.add_argument("--until", type=int, help="stop there; the learning rate still falls as for --steps")
    options.add_argument("--side", type=int, default=SIZE, help="side of the windows it learns from, a multiple of 32")
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--rate", type=float, default=0.003, help="learning rate at its highest")
    options.add_argument("--finetune", type=Path, help="weights to begin with: a .pt of this script, or an exported .onnx")
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--processes", type=int, default=1, help="each learns from its part of every batch, with --threads and --workers of its own")
    options.add_argument("--seed", type=int, default=1)
    return options.parse_args()


def main():
    options = arguments()
    if options.batch % options.processes:
        raise SystemExit("--batch must be a multiple of --processes")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.processes == 1:
        return train(0, options)
    with tempfile.TemporaryDirectory() as meeting:
        torch.multiprocessing.spawn(train, (options, f"file://{meeting}/point"), options.processes)


def train(rank, options, meeting=None):
    """What the `rank`th process does. All hold the same weights; the first shows, saves, and keeps the averaged ones."""
    if meeting:
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=options.processes)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Detector(size=options.side)
    if options.finetune:
        weights.load(model, options.finetune, _some(options))
    if meeting:  # pictures may have been added between one process' look at them and another's
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, 0)
    model.to(device, memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}])
    mean = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=_moving_average, use_buffers=True)
    step = 0
    if (options.out / "last.pt").exists():
        saved = torch.load(options.out / "last.pt", map_location=device)
        model.load_state_dict(saved["model"])
        mean.load_state_dict(saved["mean"])
        optimiser.load_state_dict(saved["optimiser"])
        step = saved["step"]
        if rank == 0:
            print(f"going on at step {step}", flush=True)

    loader = torch.utils.data.DataLoader(
        Pictures(options.data, [options.seed + step, rank], options.side), options.batch // options.processes, num_workers=options.workers, collate_fn=collate, prefetch_factor=4 if options.workers else None
    )
    model.train()
    began, saved_at, shown = time.monotonic(), time.monotonic(), []
    first = step
    until = min(options.steps, options.until or options.steps)
    for pictures, classes, targets, valid in loader:
        if step >= until:
            break
        for group in optimiser.param_groups:
            group["lr"] = options.rate * _schedule(step, options.steps)
        pictures = pictures.to(device).permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
        value, score, box = loss(model, pictures, classes.to(device), targets.to(device), valid.to(device))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        if meeting:
            _share(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        step += 1
        if rank > 0:
            continue
        mean.update_parameters(model)
        shown.append((value.item(), score, box))
        if step % 20 == 0:
            pace = (step - first) / (time.monotonic() - began)
            a, b, c = (sum(v) / len(shown) for v in zip(*shown))
            print(f"step {step}/{options.steps}  loss {a:.3f}  score {b:.3f}  box {c:.3f}  {pace * options.batch:.1f} pictures/s  {(until - step) / pace / 60:.0f} min left", flush=True)
            shown = []
        if time.monotonic() - saved_at > 120 or step == until:
            saved_at = time.monotonic()
            _save({"model": model.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, options.out / "last.pt")
            _save(mean.module.state_dict(), options.out / "best.pt")


def _share(model):
    """Every process' gradients become the mean of all."""
    gradients = [p.grad for p in model.parameters()]
    whole = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(whole)
    whole /= distributed.get_world_size()
    for gradient, part in zip(gradients, whole.split([g.numel() for g in gradients])):
        gradient.copy_(part.view_as(gradient))


def _some(options):
    """A few pictures as the network gets them."""
    pictures = (picture for picture, _ in Pictures(options.data, [options.seed], options.side))
    return torch.stack([torch.from_numpy(next(pictures)) for _ in range(64)]).permute(0, 3, 1, 2).float() / 255


def _schedule(step, steps):
    """Up over the first 300 steps, then down along a cosine to a fiftieth."""
    return min(1, (step + 1) / min(300, steps / 10 + 1)) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)


@torch.no_grad()
def _moving_average(averages, currents, count):
    decay = 0.999 * (1 - math.exp(-(int(count) + 1) / 300))
    for average, current in zip(averages, currents):
        if average.is_floating_point():
            average.lerp_(current, 1 - decay)
        else:
            average.copy_(current)


def _save(what, path):
    """Whole or not at all."""
    torch.save(what, path.with_suffix(".part"))
    path.with_suffix(".part").rename(path)


if __name__ == "__main__":
    main()
