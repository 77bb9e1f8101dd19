"""What the network is to give where: task-aligned assignment and the three losses of YOLOv8."""

import math

import torch
from torch.nn import functional as F

from network import BINS

TOP, ALPHA, BETA = 10, 0.5, 6.0


def iou(a, b, complete=False):
    """IoU of x0, y0, x1, y1, element by element; `complete` subtracts CIoU's penalties."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    sa, sb = (a[..., 2:] - a[..., :2]).clamp(min=1e-4), (b[..., 2:] - b[..., :2]).clamp(min=1e-4)
    value = common / (sa.prod(-1) + sb.prod(-1) - common + 1e-7)
    if not complete:
        return value
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2).sum(-1) / 4 / ((hull**2).sum(-1) + 1e-7)
    shape = (4 / math.pi**2) * (torch.atan(sb[..., 0] / sb[..., 1]) - torch.atan(sa[..., 0] / sa[..., 1])) ** 2
    with torch.no_grad():
        weight = shape / (1 - value + shape + 1e-7)
    return value - apart - weight * shape


@torch.no_grad()
def assign(scores, boxes, anchors, classes, targets, valid):
    """For each cell the target it answers for.

    scores [N, A, C] in 0..1, boxes [N, A, 4], anchors [A, 2], classes [N, T], targets [N, T, 4], valid [N, T] → which [N, A]
    (index of the target), taken [N, A], weight [N, A] (how good the best cell of that target is).
    """
    inside = (anchors[None, None] > targets[..., None, :2]).all(-1) & (anchors[None, None] < targets[..., None, 2:]).all(-1)
    inside &= valid[..., None]  # [N, T, A]
    index = classes.clamp(min=0)[:, None, :].expand(-1, scores.shape[1], -1)
    score = scores.gather(2, index).transpose(1, 2)
    overlap = iou(targets[:, :, None], boxes[:, None]).clamp(min=0)
    metric = score**ALPHA * overlap**BETA * inside
    best = metric.topk(TOP, -1)
    chosen = torch.zeros_like(metric).scatter_(2, best.indices, 1.0) * (metric > 0) * inside
    # A cell that several targets want goes to the one it overlaps most.
    owner = (overlap * chosen + chosen * 1e-9).argmax(1)
    taken = chosen.amax(1) > 0
    chosen = chosen * F.one_hot(owner, targets.shape[1]).transpose(1, 2)
    metric = metric * chosen
    ceiling = (overlap * chosen).amax(2, keepdim=True)
    weight = (metric / (metric.amax(2, keepdim=True) + 1e-9) * ceiling).amax(1)
    return owner, taken, weight


def _half(device):
    """Whether bfloat16 is the faster arithmetic there."""
    return device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)


def loss(model, pictures, classes, targets, valid):
    """Scores, boxes and distributions, weighted as in YOLOv8. Targets are in input pixels."""
    with torch.autocast(pictures.device.type, dtype=torch.bfloat16, enabled=_half(pictures.device)):
        distances, scores = model.raw(pictures)
    distances, scores = distances.float(), scores.float()
    boxes = model.boxes(distances)
    strides = model.strides
    owner, taken, weight = assign(scores.detach().sigmoid(), boxes.detach() * strides, model.anchors * strides, classes, targets, valid)
    wanted = torch.zeros_like(scores)
    kind = classes.gather(1, owner)
    wanted.scatter_(2, kind.clamp(min=0)[..., None], weight[..., None] * taken[..., None])
    total = wanted.sum().clamp(min=1)
    score_loss = F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / total
    if not taken.any():
        return 0.5 * score_loss + 0 * distances.sum(), score_loss.item(), 0.0
    goal = targets.gather(1, owner[..., None].expand(-1, -1, 4)) / strides
    share = weight[taken] / total
    box_loss = ((1 - iou(boxes[taken], goal[taken], complete=True)) * share).sum()
    anchors = model.anchors.expand(pictures.shape[0], -1, -1)
    sides = torch.cat([anchors - goal[..., :2], goal[..., 2:] - anchors], -1)[taken].clamp(0, BINS - 1.01)
    lower = sides.long()
    logits = distances[taken].log_softmax(-1)
    part = sides - lower
    bin_loss = -(logits.gather(2, lower[..., None])[..., 0] * (1 - part) + logits.gather(2, lower[..., None] + 1)[..., 0] * part)
    bin_loss = (bin_loss.mean(-1) * share).sum()
    return 7.5 * box_loss + 0.5 * score_loss + 1.5 * bin_loss, score_loss.item(), box_loss.item()
