"""BiRQA: feature pyramid -> fusion -> CSRAM bottom-up -> SCGB top-down -> reliability-aware head.

Source: "BiRQA: Bidirectional Robust Quality Assessment for Images" (Gushchin, Antsiferova, Vatolin, 2026).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.features.maps import FeatureMaps
from birqa.grid import CORNER, LUMA, Grid, bands, choose_grid, margins
from birqa.network.config import BiRQAConfig
from birqa.network.csram import CSRAM
from birqa.network.fusion import AdaptiveFusion, ResidualBlock
from birqa.network.head import LevelHead
from birqa.network.pooling import Coverage
from birqa.network.precision import full_precision
from birqa.network.scgb import SCGB
from birqa.pyramid import CHANNELS, HALO


class Explanation(NamedTuple):
    """The score and its parts. N pictures, L levels from fine to coarse, grids h_l x w_l."""

    score: Tensor
    """(N,), in [0, 1]; sum over levels of reliability * level_score."""
    level_score: Tensor
    """(N, L), in [0, 1]."""
    reliability: Tensor
    """(N, L), weights that sum to 1."""
    strength: list[Tensor]
    """L - 1 CSRAM strength maps, (N, 1, h_l, w_l) >= 0, for levels 1..L-1 (empty without CSRAM)."""
    confidence: list[Tensor]
    """L - 1 CSRAM confidence maps in (0, 1), shaped as the strength maps."""
    quality: Tensor
    """(N, 1, h_0, w_0), in [0, 1]: reliability-weighted local score, finest level."""
    grid: Grid = CORNER
    """Of the cells that were averaged."""


class Network(nn.Module):
    """The trained part: feature pyramid -> score."""

    def __init__(self, config: BiRQAConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.fusion = nn.ModuleList(
            AdaptiveFusion(width, config.patch, config.squeeze, blocks)
            for width, blocks in zip(widths, config.blocks, strict=True)
        )
        steps = list(pairwise(widths))
        self.csram = nn.ModuleList(CSRAM(fine, coarse) for fine, coarse in steps if config.csram)
        self.scgb = nn.ModuleList(SCGB(fine, coarse) for fine, coarse in steps if config.scgb)
        self.head = nn.ModuleList(
            LevelHead(
                width,
                config.head_width,
                config.head_hidden,
                config.gem_powers,
                config.reliability_head,
                config.reliability_bound,
            )
            for width in widths
        )
        # Log of the damage at which half of the evidence is counted.
        self.evidence_scale = nn.Parameter(torch.full((len(widths),), -4.0))
        self.apply(_initialise)

    def evidence(self, maps: Tensor) -> list[Tensor]:
        """D / (D + k_l) on each level's grid; D = (1 - SSIM) + 10 |colour difference|^2 + LBP difference."""
        mean = F.avg_pool2d(maps, self.config.patch)
        square = F.avg_pool2d(maps * maps, self.config.patch)
        one_minus_ssim, _, _, lbp = torch.split(mean, list(CHANNELS.values()), dim=1)
        _, _, colour, _ = torch.split(square, list(CHANNELS.values()), dim=1)
        damage = F.relu(one_minus_ssim) + lbp + 10 * colour.sum(1, keepdim=True)
        evidence = []
        for level in range(self.config.levels):
            if level:
                damage = F.avg_pool2d(damage, 2)
            evidence.append(damage / (damage + torch.exp(self.evidence_scale[level])))
        return evidence

    def forward(
        self, pyramid: list[Tensor], size: Tensor, explain: bool = False, levels: bool = False
    ) -> Tensor | Explanation:
        """pyramid: level l (N, 7, H / 2^l, W / 2^l); size: (height, width) of the picture before padding.

        Gives the scores (N,); with `levels` (N, 1 + L), each followed by the scores of its levels; or an
        `Explanation`.
        """
        config = self.config
        coverage = [
            Coverage.of(
                size, maps.shape[-2] // config.patch, maps.shape[-1] // config.patch, config.patch * 2**level
            )
            for level, maps in enumerate(pyramid)
        ]
        features = [
            fusion(maps, cover) for fusion, maps, cover in zip(self.fusion, pyramid, coverage, strict=True)
        ]
        strength, confidence = [], []
        for level, csram in enumerate(self.csram):
            features[level + 1], s, c = csram(
                features[level], features[level + 1], coverage[level + 1].inside
            )
            strength.append(s)
            confidence.append(c)
        for level in reversed(range(len(self.scgb))):
            features[level] = self.scgb[level](features[level], features[level + 1])

        # Powers of up to 8 are beyond what the short mantissa of mixed precision can hold.
        if features[0].dtype != pyramid[0].dtype:
            features = [feature.to(pyramid[0].dtype) for feature in features]
        with torch.autocast(size.device.type, enabled=False):
            heads = [
                head(feature, evidence, cover, explain)
                for head, feature, evidence, cover in zip(
                    self.head, features, self.evidence(pyramid[0]), coverage, strict=True
                )
            ]
        level_score = torch.stack([level.score for level in heads], dim=1)
        logits = torch.stack([level.logit for level in heads], dim=1)
        reliability = torch.softmax(logits, dim=1)
        # The weights sum to 1 only up to rounding; counted from the top, no damage gives exactly 1.
        score = torch.clamp(1 - (reliability * (1 - level_score)).sum(1), min=0)
        if levels:
            return torch.cat([score[:, None], level_score], dim=1)
        if not explain:
            return score
        quality = torch.ones_like(heads[0].local_score)
        for index, level in enumerate(heads):
            local = F.interpolate(level.local_score, scale_factor=float(2**index), mode="bilinear")
            quality = quality - reliability[:, index, None, None, None] * (1 - local)
        return Explanation(score, level_score, reliability, strength, confidence, quality.clamp(min=0))


def _initialise(module: nn.Module) -> None:
    """He initialisation; residual branches start near zero, and the levels start equally reliable."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, CSRAM | SCGB):
        nn.init.normal_(module.value.weight, std=1e-2)
    elif isinstance(module, ResidualBlock):
        nn.init.normal_(module.second.weight, std=1e-2)
    elif isinstance(module, LevelHead) and module.reliability:
        nn.init.zeros_(module.reliability_out.weight)


def mirrored(image: Tensor, above: int, below: int, left: int, right: int) -> Tensor:
    """So many rows and columns more, the picture mirrored at its outermost pixels, as often as it takes."""
    for dimension, (before, after) in ((-2, (above, below)), (-1, (left, right))):
        if before or after:
            last = image.shape[dimension] - 1
            # A list, as torch.compile does not follow the same arithmetic on a tensor.
            places = [place % max(1, 2 * last) for place in range(-before, last + 1 + after)]
            places = [2 * last - place if place > last else place for place in places]
            image = image.index_select(dimension, torch.tensor(places, device=image.device))
    return image


def edged(image: Tensor, width: int) -> Tensor:
    """The outermost rows and columns repeated so often on every side, as F.pad does, whose gradient
    torch.compile does not follow."""
    for dimension in (-2, -1):
        length = image.shape[dimension]
        first, last = (image.narrow(dimension, place, 1) for place in (0, length - 1))
        image = torch.cat([*[first] * width, image, *[last] * width], dimension)
    return image


def shrunk(image: Tensor, factor: int, grid: Grid) -> Tensor:
    """Means over factor x factor pixels; mirrored to whole cells of the grid."""
    if factor == 1:
        return image
    return F.avg_pool2d(mirrored(image, *margins(grid, image.shape[-2:], factor)), factor)


@torch.no_grad()
def find_grids(dist: Tensor, ref: Tensor, shrink: int) -> list[Grid]:
    """`birqa.grid.find_grid` for each pair of a batch (N, 3, H, W)."""
    if shrink == 1:
        return [CORNER] * len(dist)
    weights = torch.tensor(LUMA).to(dist)[:, None, None]
    sums = torch.zeros(len(dist), shrink**2, device=dist.device)
    counts = torch.zeros(shrink**2)
    with full_precision(dist.device):
        for band in bands(dist.shape[-2:], shrink):
            change = ((dist[..., band, :] - ref[..., band, :]) * weights).sum(1, keepdim=True)
            squares = F.avg_pool2d(change, shrink, stride=1).square()
            cells = [squares[..., row::shrink, column::shrink] for row, column in np.ndindex(shrink, shrink)]
            sums += torch.stack([one.sum((1, 2, 3)) for one in cells], dim=1)
            counts += torch.tensor([one[0].numel() for one in cells])
    # As numbers: where a function is differentiated (torch.func) tensors hold no array.
    differences = np.array((sums.cpu() / counts).tolist(), np.float32)
    return [choose_grid(one.reshape(shrink, shrink)) for one in differences]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Mirrored down and right to a multiple: edges repeated would be streaks of damage, such as no picture
    has, and count. Then the edges repeated by the features' halo on every side."""
    height, width = image.shape[-2:]
    return edged(mirrored(image, 0, -height % multiple, 0, -width % multiple), HALO)


class BiRQA(nn.Module):
    """The metric as a module: (dist, ref) RGB (N, 3, H, W) in [0, 1], H and W >= 32 -> scores (N,) in [0, 1].

    1.0 means identical; higher is better. Differentiable in `dist`.
    """

    def __init__(self, config: BiRQAConfig | None = None) -> None:
        super().__init__()
        self.config = config or BiRQAConfig()
        self.features = FeatureMaps(
            self.config.levels, self.config.lbp, self.config.lbp_temperature, self.config.feature_floor
        )
        self.network = Network(self.config)
        self.mixed = False
        """Whether the network (never features and head) runs in bfloat16 where that is safe; for training."""

    def forward(self, dist: Tensor, ref: Tensor, levels: bool = False) -> Tensor:
        """With `levels`, (N, 1 + L): each score followed by the scores of its levels, fine to coarse."""
        grids = find_grids(dist, ref, self.config.shrink)
        if len(set(grids)) == 1:
            return self._run(dist, ref, grids[0], levels=levels)
        singly = [
            self._run(dist[at : at + 1], ref[at : at + 1], grid, levels=levels)
            for at, grid in enumerate(grids)
        ]
        return torch.cat(singly)

    def mean_of_grids(self, dist: Tensor, ref: Tensor) -> Tensor:
        """(N,): the mean of the scores on every grid of cells, where the score itself jumps from one to
        another; for attacks."""
        grids = np.ndindex(self.config.shrink, self.config.shrink)
        return torch.stack([self._run(dist, ref, grid) for grid in grids]).mean(0)

    def explain(self, dist: Tensor, ref: Tensor) -> Explanation:
        """The score with its parts; see `Explanation`."""
        grids = set(find_grids(dist, ref, self.config.shrink))
        if len(grids) > 1:
            raise ValueError("these pairs are scored on different grids of cells: explain them one by one.")
        (grid,) = grids
        explanation: Explanation = self._run(dist, ref, grid, explain=True)
        return explanation._replace(grid=grid)

    def _run(self, dist: Tensor, ref: Tensor, grid: Grid, **wanted: bool):  # type: ignore[no-untyped-def]
        multiple, shrink = self.config.multiple, self.config.shrink
        with full_precision(dist.device):
            dist, ref = shrunk(dist, shrink, grid), shrunk(ref, shrink, grid)
            pyramid = self.features(pad_to_multiple(dist, multiple), pad_to_multiple(ref, multiple))
            size = torch.tensor(dist.shape[-2:], dtype=dist.dtype, device=dist.device)
            with torch.autocast(dist.device.type, torch.bfloat16, enabled=self.mixed):
                return self.network(pyramid, size, **wanted)
