"""Universal adversarial perturbation: one pattern for all pictures."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from birqa.attacks.trained import TrainedAttack


class Pattern(nn.Module):
    """A square pattern in [-1, 1] that is repeated over a picture.

    In training, pictures that are smaller meet another part of it in every batch, so that all of it learns.
    """

    def __init__(self, side: int, seed: int) -> None:
        super().__init__()
        self.pattern = nn.Parameter(torch.zeros(1, 3, side, side))
        self.places = torch.Generator().manual_seed(seed)

    def forward(self, dist: Tensor) -> Tensor:
        """(N, 3, H, W), the same for every picture."""
        side, (height, width) = self.pattern.shape[-1], dist.shape[-2:]
        if self.training:
            # Brought back before it is used: samples left beyond have no gradient and would stay there.
            self.pattern.data.clamp_(-1, 1)
        pattern = self.pattern.clamp(-1, 1)
        if self.training:
            top, left = (
                int(torch.randint(side, (), generator=self.places)) if length < side else 0
                for length in (height, width)
            )
            pattern = pattern.roll((-top, -left), (2, 3))
        tiled = pattern.repeat(1, 1, -(-height // side), -(-width // side))
        return tiled[..., :height, :width].expand_as(dist)


@dataclass(frozen=True, kw_only=True)
class UAP(TrainedAttack):
    """A 256 x 256 pattern, tiled, trained with Adam.

    Shumitskaya et al., "Universal perturbation attack on differentiable no-reference image- and
    video-quality metrics", 2022.
    """

    name: ClassVar[str] = "uap"
    revision: ClassVar[int] = 3

    side: int = 256
    # The pattern is in units of the budget, where 1e-3 of [0, 1] is some .03 at 8/255.
    learning_rate: float = 0.03

    def new_generator(self) -> nn.Module:
        return Pattern(self.side, self.seed)
