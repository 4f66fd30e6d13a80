"""Metrics under attack, ours and others': what is scored, and what an attacker may differentiate."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from birqa.attacks.base import Attack, Forms, Metric, one_score_each
from birqa.features.maps import LbpMode
from birqa.metric import require_device

GRADIENTS: tuple[LbpMode, ...] = ("straight-through", "soft", "hard")
"""Forms of our own metrics, by what stands in for the gradient of the hard LBP; the first is the default."""
EXACT = ("straight-through", "hard")
"""Those of them whose scores are the metric's own, so that the best of what each finds can be told."""
EVERY_GRID = "every grid"
"""Their mean on all grids of cells, straight-through: smooth where the choice of a grid makes scores jump."""


@dataclass(frozen=True)
class Subject:
    """A metric whose scores are to be moved."""

    name: str
    version: str
    metric: Metric
    surrogates: dict[str, Metric] = field(default_factory=dict)
    """What an attacker may differentiate in the metric's place, by name, the best first; empty where nothing
    can be differentiated."""
    range: tuple[float, float] | None = None
    """Of the scores, where one is stated."""
    device: str = "cpu"
    content: str = ""
    """Of what decides the scores beyond name and version: a digest."""
    drawn: str = ""
    """What of it is drawn anew for every picture, however little that was changed."""
    draws: int = 0
    """Over so many draws of that each call of a surrogate takes the mean; 0 where nothing is drawn."""
    exact: tuple[str, ...] = ()
    """Those surrogates that score as the metric itself, where there are several: attacks that are a worst
    case follow each of them."""

    @property
    def identity(self) -> str:
        """Tells its scores from those of any other metric."""
        return " ".join(filter(None, (self.name, self.version, self.content)))

    def surrogate(self, attack: Attack, form: str | None = None) -> Metric:
        """What `attack` is given: the form asked for, by default the best one.

        Raises ValueError for an attack that needs gradients on a metric without any.
        """
        if not attack.white_box:
            return self.metric
        if not self.surrogates:
            from birqa.attacks import ATTACKS
            from birqa.attacks.honest import Honest

            others = ", ".join(
                name for name, kind in ATTACKS.items() if not kind.white_box and kind is not Honest
            )
            raise ValueError(
                f"{self.name} cannot be differentiated, which {attack.name} needs: use a black-box attack "
                f"({others})."
            )
        if form is not None and form not in self.surrogates:
            raise ValueError(f"{self.name} has no {form} gradient, only {', '.join(self.surrogates)}.")
        first, *more = (self.surrogates[one] for one in self._followed(attack, form))
        return Forms([first, *more]) if more else first

    def followed(self, attack: Attack, form: str | None = None) -> str:
        """The names of what `surrogate` gives to `attack`; nothing where it has no surrogates."""
        return " and ".join(self._followed(attack, form)) or "nothing"

    def _followed(self, attack: Attack, form: str | None) -> tuple[str, ...]:
        if form is not None:
            return (form,)
        return (attack.every_form and self.exact) or tuple(self.surrogates)[:1]

    def outside(self, scores: Tensor) -> str | None:
        """A sentence for scores that are not finite or leave the stated range."""
        low, high = float(scores.min()), float(scores.max())
        if not torch.isfinite(scores).all():
            return f"{self.name} gives scores that are not finite numbers."
        if self.range and not (self.range[0] - 1e-4 <= low and high <= self.range[1] + 1e-4):
            return (
                f"{self.name} gives scores from {low:.4g} to {high:.4g}, outside its stated range "
                f"{self.range[0]:g} .. {self.range[1]:g}."
            )
        return None


def load_subject(spec: str | Path, device: str = "cpu") -> Subject:
    """The metric that `spec` names.

    `birqa`, `birqa.kadid` or a folder: ours; `piq:vsi`, `pyiqa:topiq_fr`: those packages'; each with
    gradients. `python:package.module:name`: a callable on tensors as `birqa.attacks.Metric`, taken to be
    differentiable. Any other spec of `birqa.evaluation.peers` is a metric without gradients. Raises
    ValueError or ImportError where there is no such metric or device.
    """
    require_device(device)
    kind, colon, rest = str(spec).removeprefix("-").partition(":")
    if not colon or isinstance(spec, Path):
        return _own(str(spec), device)
    from birqa.evaluation.peers import fingerprint, load_callable, refuse_minus, source_digest

    refuse_minus(str(spec), kind)
    if kind in ("piq", "pyiqa"):
        loaded, larger_is_better = {"piq": _piq, "pyiqa": _pyiqa}[kind](rest, device)
        metric = _oriented(loaded, 1.0 if larger_is_better else -1.0)
        package = getattr(importlib.import_module(kind), "__version__", "")
        return Subject(f"{kind}:{rest}", package, metric, {"plain": metric}, device=device)
    if kind == "python":
        metric = _oriented(load_callable(rest), -1.0 if str(spec).startswith("-") else 1.0)
        return Subject(str(spec), source_digest(rest)[:12], metric, {"plain": metric}, device=device)
    metric = _without_gradients(str(spec))
    content = fingerprint(str(spec)).removeprefix(str(spec)).strip()
    return Subject(str(spec), "", metric, device=device, content=content)


def _own(name: str, device: str) -> Subject:
    from birqa.engines.torch import load_module
    from birqa.metric import MetricInfo
    from birqa.registry import find_model

    model = find_model(name)
    forms: dict[str, Metric] = {form: load_module(model, device, form) for form in GRADIENTS}
    if model.config.shrink > 1:
        forms[EVERY_GRID] = load_module(model, device, GRADIENTS[0]).mean_of_grids
    return Subject(
        model.name,
        f"{model.version} {model.fingerprint}",
        load_module(model, device),
        forms,
        MetricInfo(model.name, model.version).range,
        device,
        content=model.digest[:12],
        exact=EXACT,
    )


def _oriented(metric: Callable[[Tensor, Tensor], Any], sign: float) -> Metric:
    def score(dist: Tensor, ref: Tensor) -> Tensor:
        return sign * one_score_each(metric(dist, ref), len(dist))

    return score


def _piq(name: str, device: str) -> tuple[Metric, bool]:
    from birqa.evaluation.peers import PIQ, piq_function

    function = piq_function(name)
    return lambda dist, ref: function(dist, ref, reduction="none"), PIQ[name]


def _pyiqa(name: str, device: str) -> tuple[Metric, bool]:
    from birqa.evaluation.peers import pyiqa_loss

    metric = pyiqa_loss(name, device=device)
    return metric, not metric.lower_better


def _without_gradients(spec: str) -> Metric:
    from birqa.evaluation.peers import score_of_arrays

    score_one = score_of_arrays(spec, "the pictures that an attack makes in between")

    @torch.no_grad()
    def score(dist: Tensor, ref: Tensor) -> Tensor:
        images = zip(*(x.permute(0, 2, 3, 1).cpu().numpy() for x in (dist, ref)), strict=True)
        return torch.tensor([score_one(one, other) for one, other in images]).to(dist)

    return score
