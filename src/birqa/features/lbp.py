"""Local binary patterns, and how much they differ between two pictures.

Source: Ojala, Pietikainen and Maenpaa, "Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns", IEEE TPAMI 2002, P = 8, R = 1 on the square 3x3 neighbourhood.
The full-reference form (share of the eight comparisons that differ) and the soft form are our defaults.
"""

import torch
from torch import Tensor

# Anti-clockwise from the right, which is also the order of scikit-image's angles.
NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
# Equal pixels must compare as equal whatever the rounding of their luma: far above a float's rounding (6e-8),
# and below the smallest difference of two 8-bit lumas (.001 / 255). Means of 2x2 of them may differ by a
# quarter of that, and then count as equal.
TIE = 1e-6


def _neighbour(luma: Tensor, row: int, column: int) -> Tensor:
    height, width = luma.shape[-2], luma.shape[-1]
    return luma[..., 1 + row : height - 1 + row, 1 + column : width - 1 + column]


def lbp_code(luma: Tensor) -> Tensor:
    """Sum over p of 1[g_p >= g_c] 2^p, for (N, 1, H, W); gives integers 0..255 of (N, 1, H - 2, W - 2)."""
    centre = _neighbour(luma, 0, 0) - TIE
    code = torch.zeros_like(centre, dtype=torch.int64)
    for bit, offset in enumerate(NEIGHBOURS):
        code = code + ((_neighbour(luma, *offset) >= centre).to(torch.int64) << bit)
    return code


def lbp_difference(ref: Tensor, dist: Tensor, margin: float = 0.0) -> Tensor:
    """Share of the eight comparisons 1[g_p >= g_c + margin] that differ between the pictures.

    Takes two lumas (N, 1, H, W), gives (N, 1, H - 2, W - 2) in [0, 1]. Its gradient is zero almost
    everywhere: see `soft_lbp_difference`.
    """
    ref_centre, dist_centre = (_neighbour(luma, 0, 0) + (margin - TIE) for luma in (ref, dist))
    differing = torch.zeros_like(ref_centre)
    for offset in NEIGHBOURS:
        ref_bit = _neighbour(ref, *offset) >= ref_centre
        dist_bit = _neighbour(dist, *offset) >= dist_centre
        differing = differing + (ref_bit ^ dist_bit).to(differing.dtype)
    return differing / len(NEIGHBOURS)


def soft_lbp_difference(ref: Tensor, dist: Tensor, temperature: float, margin: float = 0.0) -> Tensor:
    """Mean of |sigmoid((g_p - g_c - margin) / T)_ref - the same of dist| over the eight neighbours.

    Shapes and range as `lbp_difference`, which it approaches as T (in luma units) goes to 0; differentiable.
    """
    ref_centre, dist_centre = (_neighbour(luma, 0, 0) + margin for luma in (ref, dist))
    differing = torch.zeros_like(ref_centre)
    for offset in NEIGHBOURS:
        ref_bit = torch.sigmoid((_neighbour(ref, *offset) - ref_centre) / temperature)
        dist_bit = torch.sigmoid((_neighbour(dist, *offset) - dist_centre) / temperature)
        differing = differing + (ref_bit - dist_bit).abs()
    return differing / len(NEIGHBOURS)
