"""Reliability-aware head: one score and one reliability per level, joined by a softmax.

Source: BiRQA section 3.4; GeM pooling after Radenovic et al., TPAMI 2019. That the level score is
1 / (1 + damage), with damage zero where the pictures are equal, is ours: it makes 1.0 the top of the range by
construction. Its slope never dies out, and the reliabilities are bounded, so that no level can drop out of
the training for good.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from birqa.network.pooling import Coverage

FLOOR = 1e-4
MAX_POWER = 8.0


class LevelScore(NamedTuple):
    """score (N,) in [0, 1], reliability logit (N,), and each cell's local score (N, 1, h, w) in [0, 1]."""

    score: Tensor
    logit: Tensor
    local_score: Tensor | None


class LevelHead(nn.Module):
    """z = GeM_p(e * relu(Conv1x1(F''))), damage = |W2| relu(W1 z), score = 1 / (1 + damage),
    logit = bound * tanh(MLP(z)).

    Each channel learns its own power p: some see the mean, others the worst places.
    e is the evidence (N, 1, h, w) in [0, 1), zero where the pictures are equal. Neither perceptron of the
    damage has a bias, so that no evidence means no damage.
    """

    def __init__(
        self,
        width: int,
        head_width: int,
        hidden: int,
        gem_powers: tuple[float, float],
        reliability: bool,
        reliability_bound: float,
    ) -> None:
        """Without `reliability`: mean pooling, and the same logit for every level."""
        super().__init__()
        self.reliability = reliability
        self.bound = reliability_bound
        self.project = nn.Conv2d(width, head_width, 1)
        self.damage_in = nn.Linear(head_width, hidden, bias=False)
        self.damage_out = nn.Parameter(torch.full((hidden,), 1 / hidden))
        if reliability:
            self.power = nn.Parameter(torch.linspace(*gem_powers, head_width))
            self.reliability_in = nn.Linear(head_width, hidden)
            self.reliability_out = nn.Linear(hidden, 1)

    def pool(self, cells: Tensor, coverage: Coverage) -> Tensor:
        if not self.reliability:
            return coverage.mean(cells)
        power = torch.clamp(self.power, 1.0, MAX_POWER)
        # exp(p log x): vectorised on every engine, where a general power is not.
        raised = coverage.mean(torch.exp(power[:, None, None] * torch.log(cells + FLOOR)))
        return torch.exp(torch.log(raised) / power) - FLOOR

    def damage(self, pooled: Tensor) -> Tensor:
        """(..., head_width) -> (...), at least 0."""
        return torch.matmul(F.relu(self.damage_in(pooled)), self.damage_out.abs())

    def forward(self, features: Tensor, evidence: Tensor, coverage: Coverage, explain: bool) -> LevelScore:
        cells = F.relu(self.project(features)) * evidence
        pooled = F.relu(self.pool(cells, coverage))
        local_score = None
        if explain:
            # The score the whole picture would have, were it everywhere like this cell.
            local_score = 1 / (1 + self.damage(cells.permute(0, 2, 3, 1)))[:, None]
        logit = torch.zeros_like(pooled[:, 0])
        if self.reliability:
            logit = self.reliability_out(F.relu(self.reliability_in(pooled)))[:, 0]
            logit = self.bound * torch.tanh(logit / self.bound)
        return LevelScore(1 / (1 + self.damage(pooled)), logit, local_score)
