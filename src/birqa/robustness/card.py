"""A robustness card: what attacks do to a metric on a rated set, with intervals."""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from birqa import __version__
from birqa.attacks import Attack, TrainedAttack, create_attack
from birqa.attacks.base import bidirectional
from birqa.attacks.honest import Honest
from birqa.attacks.subjects import Subject
from birqa.engines.torch import to_tensor
from birqa.evaluation.agreement import (
    MIN_REFERENCES,
    RESAMPLES,
    Interval,
    bootstrap_interval,
    enough_references,
    resample_references,
    spearman,
)
from birqa.files import KeptResults
from birqa.pairing import Pair
from birqa.ratings import RatedPair
from birqa.robustness.measures import common_domain, integral_change, ir_score, measure
from birqa.robustness.protocol import Protocol
from birqa.robustness.sanity import check
from birqa.robustness.subset import load_middle
from birqa.robustness.transport import neural_domain
from birqa.training.batches import files_digest, unrated_batches

FORMAT = 1
EVERYTHING = "everything: weights and data"
"""What attackers know who follow the best gradient there is."""
BATCH = 16
"""Pictures that are attacked together."""
OUT_OF_ORDER = 0.05
"""Share by which the gains of attacks may be out of order by chance."""
# Of the sanity report: few pictures, and the ends of the usual budgets.
SANITY_PICTURES = 4
SANITY_BUDGETS = (2 / 255, 8 / 255)
SANITY_QUERIES = 500

Scores = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the number of attacks on single pictures that are done, and that of all of them."""


@dataclass(frozen=True)
class Attacked:
    """Scores (n,) of one metric: clean, and by (attack's name, sign, budget)."""

    contents: list[str]
    """Tells each pair of pictures from others."""
    clean: Scores
    after: dict[tuple[str, int, float], Scores]

    def pushed(self, attack: Attack, budget: float, sign: Scores) -> Scores:
        """Scores after each picture was pushed where `sign` (n,) says: 1 up, -1 down."""
        up, down = (self.after[attack.name, way, budget] for way in (1, -1))
        return np.where(sign > 0, up, down)


def make_card(
    subject: Subject,
    data: str,
    pairs: Sequence[RatedPair],
    protocol: Protocol,
    cache: Path,
    base: Subject | None = None,
    form: str | None = None,
    train_pairs: Sequence[Pair] = (),
    progress: Progress | None = None,
    resamples: int = RESAMPLES,
    about: str = "",
) -> dict[str, Any]:
    """Attack `subject`, and `base` beside it for the IR-Score, on `pairs` of the set called `data`.

    Gives the card as JSON would hold it. `about` is what readers of its figures should know of the data, for
    the page. `form` chooses what attackers differentiate (see
    `Subject.surrogate`). `train_pairs` are for attacks that are trained. Raises ValueError where an attack
    cannot be made on the metric, and where the ratings give no ranks.
    """
    started = time.monotonic()
    for attack in protocol.attacks:
        if isinstance(attack, TrainedAttack) and not train_pairs:
            raise ValueError(
                f"{attack.name} is trained on other pictures first: give train_pairs (--train-pairs)."
            )
    mos = np.array([pair.mos for pair in pairs])
    if len(mos) < 3 or np.ptp(mos) == 0:
        raise ValueError(
            f"{len(mos)} pairs with {len(set(mos.tolist()))} different ratings: ranks need at least 3 pairs, "
            "not all rated alike."
        )
    kept = KeptResults[float](cache)
    subjects = [subject] if base is None else [subject, base]
    forms = [form] if base is None else [form, _same_form(base, form)]
    steps = 2 * len(pairs) * len(protocol.attacks)
    measured = [
        _scores_under_attack(one, pairs, protocol, kept, followed, train_pairs, report)
        for one, followed, report in zip(
            subjects, forms, _shares(progress, steps, len(subjects)), strict=True
        )
    ]
    refs = [str(pair.ref) for pair in pairs]
    attacks = [
        _describe(attack, measured, mos, refs, protocol, resamples) | {"settings": attack.settings()}
        for attack in protocol.attacks
    ]
    sanity = _sanity(subject, pairs, protocol)
    clean = measured[0].clean
    every = np.concatenate([clean, *measured[0].after.values()])
    outside = subject.outside(torch.from_numpy(every))
    return {
        "format": FORMAT,
        "metric": {"name": subject.name, "version": subject.version},
        "base": None
        if base is None
        else {
            "name": base.name,
            "version": base.version,
            "differentiated": _followed(base, protocol, forms[1]),
        },
        "data": {
            "name": data,
            "pairs": len(pairs),
            "references": len(set(refs)),
            "digest": hashlib.sha256(
                json.dumps([[pair.ref.name, pair.dist.name, pair.mos] for pair in pairs]).encode()
                + "".join(measured[0].contents).encode()
            ).hexdigest()[:12],
        },
        "about": " ".join(about.split()),
        "threat_model": {
            "norm": "L-infinity on RGB in [0, 1], clamped; the reference is never touched",
            "knowledge": EVERYTHING if form is None else f"weights and data; follows the {form} gradient",
            "differentiated": _followed(subject, protocol, form),
            "headline": protocol.headline,
        },
        "protocol": protocol.to_dict(),
        "clean": {
            **_with_interval("srocc", lambda rows: spearman(clean[rows], mos[rows]), refs, resamples),
            **_two_alternatives(clean, clean, mos, refs, resamples),
        },
        "attacks": attacks,
        "sanity": sanity,
        "warnings": [
            *([outside] if outside else []),
            *_too_few(refs),
            *_drawn(subject),
            *_out_of_order(attacks),
            *sanity["warnings"],
        ],
        "environment": {
            "birqa": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "device": subject.device,
            "minutes": round((time.monotonic() - started) / 60, 1),
        },
    }


def _followed(subject: Subject, protocol: Protocol, form: str | None) -> str:
    """What attackers differentiate; named one by one where some follow more than the others."""
    usual = form or next(iter(subject.surrogates), "nothing")
    more = {
        attack.name: followed
        for attack in protocol.attacks
        if attack.white_box and (followed := subject.followed(attack, form)) != usual
    }
    return "; ".join([usual, *(f"{name}: {followed}" for name, followed in more.items())])


def _same_form(base: Subject, form: str | None) -> str | None:
    """The form of the base's gradient that leaves its attacker as strong as the one that follows `form`:
    the gradient of what is inside a purifier is the base's own. None, its best, where it has no such form."""
    if form is None or form in base.surrogates:
        return form
    inner = form.removeprefix("bare ")
    return inner if inner in base.surrogates else None


def _too_few(refs: Sequence[str]) -> list[str]:
    if enough_references(refs):
        return []
    count = len(set(refs))
    return [
        f"pictures of {count} references only, where {MIN_REFERENCES} are needed: the intervals, drawn from "
        "them, are far too narrow"
    ]


def _drawn(subject: Subject) -> list[str]:
    if not subject.drawn:
        return []
    return [
        f"{subject.drawn} is drawn anew for every picture, attacks follow the mean of {subject.draws} draws: "
        "who takes more, or keeps the best drawn of many like pictures, gets further"
    ]


def _out_of_order(attacks: Sequence[dict[str, Any]]) -> list[str]:
    """Where an attack gains less than one that it should be stronger than: it did not get through."""
    gains = {
        one["settings"]["attack"]: {
            f"{255 * budget['budget']:g}/255 {way}": budget[way]["gain"]
            for budget in one["budgets"]
            for way in ("up", "down")
        }
        for one in attacks
    }
    adversaries = [name for name in gains if name != Honest.name]
    if not adversaries:
        return []
    together = adversaries[0] if len(adversaries) == 1 else "every attack"
    gains[together] = {
        where: max(gains[name][where] for name in adversaries) for where in gains[adversaries[0]]
    }
    # The stronger one first.
    orders = [("ifgsm", "fgsm"), ("pgd", "fgsm"), *(("autoattack", name) for name in adversaries)]
    found = []
    for stronger, weaker in [*orders, (together, Honest.name)]:
        if stronger not in gains or weaker not in gains:
            continue
        places = sorted(
            where
            for where, gain in gains[weaker].items()
            if gains[stronger][where] < (1 - OUT_OF_ORDER) * gain
        )
        if places:
            found.append(
                f"{stronger} gains less than {weaker} at {', '.join(places)}: it is not converged, and the "
                "metric holds less than it seems"
            )
    return found


def _shares(progress: Progress | None, steps: int, subjects: int) -> list[Progress]:
    """One progress over several subjects, each of so many steps."""

    def share(first: int) -> Progress:
        return lambda done, of: progress(first + done, steps * subjects) if progress else None

    return [share(index * steps) for index in range(subjects)]


def _scores_under_attack(
    subject: Subject,
    pairs: Sequence[RatedPair],
    protocol: Protocol,
    cache: KeptResults[float],
    form: str | None,
    train_pairs: Sequence[Pair],
    progress: Progress,
) -> Attacked:
    training = [protocol.train_steps, protocol.train_crop, protocol.seed, files_digest(train_pairs)]
    surrogates = {attack.name: subject.surrogate(attack, form) for attack in protocol.attacks}

    def key(content: str, attack: Attack | None = None, sign: int = 0, budget: float = 0) -> str:
        how: list[Any] = [subject.identity, content]
        if attack:
            how += [attack.settings(), form, sign, budget]
            how += [subject.draws] if subject.draws else []
            how += training if isinstance(attack, TrainedAttack) else []
        return hashlib.sha256(json.dumps(how).encode()).hexdigest()[:24]

    trained: set[tuple[str, int]] = set()

    def train(attack: TrainedAttack, sign: int) -> None:
        if (attack.name, sign) in trained:
            return
        batches = (
            (torch.from_numpy(crops.dist).to(subject.device), torch.from_numpy(crops.ref).to(subject.device))
            for crops in unrated_batches(
                train_pairs, protocol.train_steps, crop=protocol.train_crop, seed=protocol.seed
            )
        )
        attack.train(surrogates[attack.name], batches, sign)
        trained.add((attack.name, sign))

    clean: list[float] = []
    told: list[str] = []
    done, steps = 0, 2 * len(pairs) * len(protocol.attacks)
    after: dict[tuple[str, int, float], list[float]] = {}
    for dist, ref, contents in _chunks(pairs, protocol.crop, subject.device):
        with torch.no_grad():
            if any(key(content) not in cache.kept for content in contents):
                scores = subject.metric(dist, ref).tolist()
                cache.add({key(content): score for content, score in zip(contents, scores, strict=True)})
        clean += [cache.kept[key(content)] for content in contents]
        told += contents
        for attack in protocol.attacks:
            for sign in (1, -1):
                missing = [
                    index
                    for index, content in enumerate(contents)
                    if any(
                        key(content, attack, sign, budget) not in cache.kept for budget in protocol.budgets
                    )
                ]
                if missing:
                    if isinstance(attack, TrainedAttack):
                        train(attack, sign)
                    attacked = attack(
                        surrogates[attack.name],
                        dist[missing],
                        ref[missing],
                        protocol.budgets,
                        "up" if sign == 1 else "down",
                    )
                    with torch.no_grad():
                        cache.add(
                            {
                                key(contents[index], attack, sign, budget): score
                                for budget, pictures in zip(protocol.budgets, attacked, strict=True)
                                for index, score in zip(
                                    missing, subject.metric(pictures, ref[missing]).tolist(), strict=True
                                )
                            }
                        )
                for budget in protocol.budgets:
                    after.setdefault((attack.name, sign, budget), []).extend(
                        cache.kept[key(content, attack, sign, budget)] for content in contents
                    )
                done += len(contents)
                progress(done, steps)
    return Attacked(told, np.array(clean), {name: np.array(values) for name, values in after.items()})


def _chunks(pairs: Sequence[RatedPair], crop: int, device: str) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    """Consecutive pairs of one size: dist and ref (N, 3, H, W), and what tells each content from others."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for pair in pairs:
        dist, ref = (to_tensor(image) for image in load_middle(pair, crop))
        if waiting and (len(waiting) == BATCH or waiting[0][0].shape != dist.shape):
            yield _stacked(waiting, device)
            waiting = []
        waiting.append((dist, ref))
    if waiting:
        yield _stacked(waiting, device)


def _stacked(waiting: list[tuple[Tensor, Tensor]], device: str) -> tuple[Tensor, Tensor, list[str]]:
    contents = [
        hashlib.sha256(dist.numpy().tobytes() + ref.numpy().tobytes()).hexdigest() for dist, ref in waiting
    ]
    dist, ref = (torch.cat(list(column)).to(device) for column in zip(*waiting, strict=True))
    return dist, ref, contents


def _describe(
    attack: Attack,
    measured: Sequence[Attacked],
    mos: Scores,
    refs: Sequence[str],
    protocol: Protocol,
    resamples: int,
) -> dict[str, Any]:
    """What one attack did to the first of `measured`, and its IR-Score where a base was measured too."""
    signs = bidirectional(torch.from_numpy(mos)).numpy()
    ways = {"up": np.ones_like(mos), "down": -np.ones_like(mos), "bidirectional": signs}
    subject = measured[0]
    budgets = []
    for budget in protocol.budgets:
        after = {way: subject.pushed(attack, budget, sign) for way, sign in ways.items()}
        budgets.append(
            {
                "budget": budget,
                "headline": budget == protocol.headline,
                **{
                    way: measure(subject.clean, after[way], mos, sign, refs, resamples).to_dict()
                    for way, sign in ways.items()
                },
                **_two_alternatives(after["down"], after["up"], mos, refs, resamples),
            }
        )
    changes = [_changes(one, attack, mos, signs, protocol) for one in measured]

    def at(rows: NDArray[np.int64], index: int) -> dict[float, Scores]:
        return {budget: values[rows] for budget, values in changes[index].items()}

    record: dict[str, Any] = {
        "white_box": attack.white_box,
        "budgets": budgets,
        **_with_interval(
            "integral_change", lambda rows: integral_change(protocol.budgets, at(rows, 0)), refs, resamples
        ),
    }
    if len(measured) == 2:
        record |= _with_interval(
            "ir_score", lambda rows: ir_score(protocol.budgets, at(rows, 0), at(rows, 1)), refs, resamples
        )
    return record


def _changes(
    scores: Attacked, attack: Attack, mos: Scores, signs: Scores, protocol: Protocol
) -> dict[float, Scores]:
    """Changes under the bidirectional attack, on the scale of the ratings."""
    after = [scores.pushed(attack, budget, signs) for budget in protocol.budgets]
    bring = {"quantile": common_domain, "neural": neural_domain}[protocol.domain]
    # In one call, as the neural map is fitted anew in each.
    before, *moved = np.split(
        bring(np.concatenate([scores.clean, *after]), scores.clean, mos), 1 + len(after)
    )
    return {budget: values - before for budget, values in zip(protocol.budgets, moved, strict=True)}


def _two_alternatives(
    better: Scores, worse: Scores, mos: Scores, refs: Sequence[str], resamples: int
) -> dict[str, float | Interval]:
    """Share of pairs of one reference where the score of the better rated picture is still the higher.

    `better` and `worse` (n,) are the scores of pictures when they play those parts.
    """
    names = np.asarray(refs)
    first, second = np.nonzero((names[:, None] == names[None, :]) & (mos[:, None] > mos[None, :]))
    if not len(first):
        return {}
    gap = better[first] - worse[second]
    earned = np.where(gap > 0, 1.0, np.where(gap < 0, 0.0, 0.5))
    return _with_interval(
        "two_afc", lambda rows: float(earned[rows].mean()), names[first].tolist(), resamples
    )


def _with_interval(
    name: str, figure: Callable[[NDArray[np.int64]], float], refs: Sequence[str], resamples: int
) -> dict[str, float | Interval]:
    """The figure on all rows and its interval; empty where it is not a number."""
    whole = figure(np.arange(len(refs)))
    if not np.isfinite(whole):
        return {}
    drawn = np.array([figure(rows) for rows in resample_references(refs, resamples, 0)])
    return {name: whole, f"{name}_interval": bootstrap_interval(drawn[np.isfinite(drawn)])}


def _sanity(subject: Subject, pairs: Sequence[RatedPair], protocol: Protocol) -> dict[str, Any]:
    dist, ref = _changed_pictures(pairs, protocol.crop)
    dist, ref = dist.to(subject.device), ref.to(subject.device)
    attacks = {form: create_attack("pgd") for form in subject.surrogates}
    square = create_attack("square", queries=SANITY_QUERIES)
    report = check(subject.metric, subject.surrogates, attacks, square, dist, ref, SANITY_BUDGETS).to_dict()
    return report | {"pictures": len(dist)}


def _changed_pictures(pairs: Sequence[RatedPair], crop: int) -> tuple[Tensor, Tensor]:
    """A few (dist, ref) of one size, spread over the pairs. Pictures that equal their reference are left out
    where there are others: a metric at its best has no slope."""
    spread = np.linspace(0, len(pairs) - 1, SANITY_PICTURES).astype(int).tolist()
    order = [*dict.fromkeys(spread), *(index for index in range(len(pairs)) if index not in spread)]
    chosen: list[tuple[Tensor, Tensor]] = []
    for index in order:
        dist, ref = (to_tensor(image) for image in load_middle(pairs[index], crop))
        if not torch.equal(dist, ref) and (not chosen or dist.shape == chosen[0][0].shape):
            chosen.append((dist, ref))
        if len(chosen) == SANITY_PICTURES:
            break
    if not chosen:
        dist, ref = (to_tensor(image) for image in load_middle(pairs[0], crop))
        return dist, ref
    first, second = zip(*chosen, strict=True)
    return torch.cat(first), torch.cat(second)
