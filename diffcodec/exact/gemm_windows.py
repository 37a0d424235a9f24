"""Normalisation and attention by torch, on the CPU or a CUDA device: as their definitions.

In doubles, which hold every integer here (window_bounds.py): sums, products and sums of products in
any order, with or without a fused addition. Quotients of such integers, rounded downwards, are
those of the integers. Roots, of one number a group, are numpy's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffcodec.exact.attention import EXP2, Attention
from diffcodec.exact.normalisation import MOST, Norm, lines

PART = {"cpu": 1 << 20, "cuda": 1 << 25}  # logits that are held at a time, roughly


def normalise(norm: Norm, x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """(N, H, W, C) int32 -> the same, cut to +-MOST; scale, offset: (N, C) int64, on the CPU."""
    n, height, width, channels = x.shape
    side, depth = norm.window, channels // norm.groups
    u = (x + (1 << norm.shift >> 1) >> norm.shift).clamp_(-norm.limit, norm.limit).double()
    u = u.reshape(n, height // side, side, width // side, side, norm.groups, depth)
    axes = (2, 4, 6)
    S1, S2 = (sums.sum(dim=axes).long().cpu().numpy() for sums in (u, u * u))
    factors = (t[:, None, None].numpy() for t in (scale, offset))
    A, B = (
        torch.from_numpy(part).double().to(x.device).reshape(*part.shape[:3], norm.groups, depth)
        for part in lines(norm, norm.count(channels), S1, S2, *factors)
    )
    u = u.mul_(A[:, :, None, :, None]).add_((B + (1 << norm.gain >> 1))[:, :, None, :, None])
    h = u.mul_(2.0**-norm.gain).floor_().clamp_(-MOST, MOST)
    return h.reshape(x.shape).int()


def attend(attention: Attention, x: Tensor, exp2: Tensor) -> Tensor:
    """(N, H, W, 3 C) int32 -> (N, H, W, C) int32, cut to +-MOST; exp2: the table, of doubles."""
    n, height, width, channels = x.shape
    side, heads = attention.window, attention.heads
    depth = channels // 3 // heads
    parts = x.reshape(n, height // side, side, width // side, side, 3, heads, depth)
    parts = parts.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, side * side, depth)
    limits = attention.query, attention.key, attention.value
    q, k, v = (p.clamp(-most, most).double() for p, most in zip(parts, limits, strict=True))
    room = PART[x.device.type] // side**2
    rows, many = max(1, min(side**2, room)), max(1, room // side**2)
    out = torch.empty_like(v)
    for i in range(0, len(q), many):  # windows and heads
        these = slice(i, i + many)
        for top in range(0, side**2, rows):
            part = q[these, top : top + rows]
            out[these, top : top + rows] = _mixed(attention, part, k[these], v[these], exp2)
    out = out.reshape(n, height // side, width // side, heads, side, side, depth)
    return out.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, height, width, heads * depth).int()


def _mixed(attention: Attention, q: Tensor, k: Tensor, v: Tensor, exp2: Tensor) -> Tensor:
    """Values weighted for some queries, (B, rows, depth)."""
    logits = q @ k.transpose(1, 2)
    half = 1 << attention.shift >> 1
    logits = logits.add_(half).mul_(2.0**-attention.shift).floor_()
    below = (logits.amax(dim=2, keepdim=True) - logits).clamp_(max=EXP2 - 1)
    p = exp2[below.long()]
    total = p.sum(dim=2, keepdim=True)
    mixed = (p @ v).mul_(2.0 ** (attention.finer + 1)).add_(total)
    return mixed.div_(2 * total).floor_().clamp_(-MOST, MOST)
