"""Metrics whose worst case is known by hand."""

import torch


def linear(weights):
    """score = sum of weights * dist, per picture."""
    return lambda dist, ref: (dist * weights).sum((1, 2, 3))


def smooth(dist, ref):
    """Higher where neighbours are alike; sees the distorted picture only."""
    return -(dist[..., 1:] - dist[..., :-1]).abs().mean((1, 2, 3))


def wavy(dist, ref):
    """Smooth, with many slopes: no single step is best."""
    return torch.sin(40 * (dist - ref)).mean((1, 2, 3)) - (dist - ref).square().mean((1, 2, 3))


def flat(dist, ref):
    """Rounds away every gradient; what is left is seen by queries only."""
    return (torch.round(dist * 16) / 16).mean((1, 2, 3)) + 0 * dist.sum()


def pictures(count=3, height=24, width=20, seed=0, low=0.2, high=0.8):
    """(dist, ref), away from 0 and 1 so that clamping plays no part."""
    drawn = torch.rand((2, count, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return tuple(low + (high - low) * drawn)
