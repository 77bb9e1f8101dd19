#!/usr/bin/env python3
"""The mean of two states of the same training, weighed: what one of them alone sees without reason is often gone from it.

    python mix.py NEW.pt OLD.pt OUT.pt --old 0.25      # three quarters of NEW, one of OLD
"""

import argparse
from pathlib import Path

import torch


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("new", type=Path, help="a .pt of train.py")
    options.add_argument("old", type=Path, help="another one, with which it shares a beginning")
    options.add_argument("out", type=Path)
    options.add_argument("--old", dest="share", type=float, default=0.25, help="the second one's share, 0 to 1")
    options = options.parse_args()
    if not 0 <= options.share <= 1:
        raise SystemExit("--old must be 0 to 1: beyond its two states a network is none")
    new, old = (torch.load(path, map_location="cpu") for path in (options.new, options.old))
    mixed = {name: torch.lerp(tensor, old[name], options.share) if tensor.is_floating_point() else tensor for name, tensor in new.items()}
    torch.save(mixed, options.out)


if __name__ == "__main__":
    main()
