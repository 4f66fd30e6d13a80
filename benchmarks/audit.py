"""Fits the detector of `birqa audit` and measures it on attacks and photographs that it has not seen.

    python benchmarks/audit.py build/sets/kadid-train/meta.csv build/sets/kadid-test/meta.csv \
        --large ../shared/data/kodak --out benchmarks/results/audit.json --picture docs/audit.png \
        --detector src/birqa/weights/audit.json

Fitted on photographs of the training split, clean and pushed up by PGD. The threshold is set, and false
alarms and detections are measured, on held-out photographs: half of their references for the one, half for
the other. Pictures are the middle of each, as in the robustness cards. Clean are KADID-10k's distortions and,
as a group of its own that no more may be suspected of, photographs reduced and enlarged again. Larger
photographs treated so are only measured.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.Image import Resampling

from birqa.attacks import create_attack
from birqa.attacks.subjects import load_subject
from birqa.engines.torch import to_tensor
from birqa.files import replacing
from birqa.images import load_image
from birqa.metric import create_metric
from birqa.pairing import list_pictures
from birqa.plots import new_figure, save_figure
from birqa.ratings import read_rated_pairs
from birqa.registry import find_model
from birqa.robustness.audit import MOVES, Detector, Viewer, Views, fit, threshold_at
from birqa.robustness.subset import load_middle, stratified

PAPERS_STEP = {"step": 1 / 255}
SEEN = {"pgd": PAPERS_STEP}
UNSEEN = {
    "fgsm": {},
    "cw": {},
    "apgd": {"steps": 30},
    "zhang": {"steps": 50},
    "korhonen": {},
    "square": {"queries": 100},
}
# Pictures that really became better: to find these is a false alarm.
HONEST = {"honest": {}}
AWARE = {"pgd that knows of the shifts": PAPERS_STEP}
BUDGETS = (2 / 255, 4 / 255, 8 / 255)
FALSE_ALARMS = 0.01
# By how much photographs are reduced, how, and how they are enlarged again.
RESAMPLED = [
    (factor, down, up)
    for factor in (4 / 3, 2, 3)
    for down, up in (
        (Resampling.BOX, Resampling.NEAREST),
        (Resampling.BILINEAR, Resampling.BILINEAR),
        (Resampling.BICUBIC, Resampling.BICUBIC),
        (Resampling.LANCZOS, Resampling.LANCZOS),
        (Resampling.BOX, Resampling.LANCZOS),
    )
]


def moved(picture: torch.Tensor, by: tuple[int, int]) -> torch.Tensor:
    """As the audit moves it, for an attack that takes that into account."""
    up, left = by
    return torch.nn.functional.pad(picture[..., up:, left:], (0, left, 0, up), mode="reflect")


def also_moved(score):
    """The score of a pair, and of the audit's moved pairs the one that it looks at, together."""
    return lambda dist, ref: (
        score(dist, ref) + torch.stack([score(moved(dist, by), moved(ref, by)) for by in MOVES]).amax(0)
    )


def resampled(ref: np.ndarray, factor: float, down: Resampling, up: Resampling) -> np.ndarray:
    image = Image.fromarray(ref)
    small = image.resize((round(image.width / factor), round(image.height / factor)), down)
    return np.array(small.resize(image.size, up))


def attacked(pairs: list, names: dict, subject, batch: int = 16) -> dict[tuple[str, float], list]:
    """Pictures pushed up, by attack and budget, each with its reference."""
    made: dict[tuple[str, float], list] = {}
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        dist, ref = (torch.cat([to_tensor(pair[k]) for pair in part]) for k in (0, 1))
        for name, settings in names.items():
            attack = create_attack("pgd" if name in AWARE else name, eight_bit=True, **settings)
            score = subject.surrogate(attack)
            if name in AWARE:
                score = also_moved(score)
            for budget, pictures in zip(BUDGETS, attack(score, dist, ref, BUDGETS), strict=True):
                levels = torch.round(pictures * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
                made.setdefault((name, budget), []).extend(
                    (one, original) for one, (_, original) in zip(levels, part, strict=True)
                )
    return made


def draw(path: Path, clean: np.ndarray, pushed: dict[str, np.ndarray]) -> None:
    figure = new_figure(5.2, 4.2)
    axes = figure.add_subplot()
    thresholds = np.sort(np.concatenate([clean, *pushed.values()]))
    alarms = [(clean > threshold).mean() for threshold in thresholds]
    for name, values in pushed.items():
        axes.plot(alarms, [(values > threshold).mean() for threshold in thresholds], label=name)
    axes.set_xscale("symlog", linthresh=0.01)
    axes.axvline(FALSE_ALARMS, color="grey", linewidth=0.8)
    axes.set_xlabel("false alarms on clean pictures")
    axes.set_ylabel("detected")
    axes.legend(fontsize=7, loc="lower right")
    save_figure(figure, path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--plain", default="birqa.kadid")
    parser.add_argument("--hardened", default="birqa.kadid-aat")
    parser.add_argument("--clean", type=int, default=1000, help="clean pictures of either split")
    parser.add_argument("--attacked", type=int, default=80, help="attacked pictures of either split")
    parser.add_argument("--side", type=int, default=128, help="of the middle; 0 takes whole pictures")
    parser.add_argument("--large", type=Path, required=True, help="folder of whole photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--detector", type=Path, required=True)
    args = parser.parse_args()
    look = Viewer(create_metric(args.plain), create_metric(args.hardened))
    subject = load_subject(args.plain)

    def views(pairs: list) -> list[Views]:
        return [look(dist, ref) for dist, ref in pairs]

    train, test = (read_rated_pairs(path) for path in (args.train, args.test))

    def references(pairs: list) -> list[np.ndarray]:
        first = {pair.ref: pair for pair in pairs}
        return [load_middle(first[ref], args.side)[1] for ref in sorted(first)]

    ways = itertools.cycle(RESAMPLED)
    fitted = fit(
        views([load_middle(pair, args.side) for pair in stratified(train, args.clean, seed=1)])
        + views([(resampled(ref, *next(ways)), ref) for ref in references(train)]),
        [
            one
            for pairs in attacked(
                [load_middle(pair, args.side) for pair in stratified(train, args.attacked)], SEEN, subject
            ).values()
            for one in views(pairs)
        ],
    )
    detector = Detector(
        args.plain,
        args.hardened,
        (find_model(args.plain).fingerprint, find_model(args.hardened).fingerprint),
        fitted,
        0.0,
        FALSE_ALARMS,
    )
    refs = sorted({pair.ref for pair in test})
    # Of the clean pictures, one half of the references sets the threshold, the other measures it.
    clean = {
        part: np.array(
            [
                detector.suspicion(one)
                for one in views(
                    [
                        load_middle(pair, args.side)
                        for pair in stratified(
                            [pair for pair in test if pair.ref in refs[part::2]], args.clean, seed=1
                        )
                    ]
                )
            ]
        )
        for part in (0, 1)
    }
    enlarged = {
        part: np.array(
            [
                detector.suspicion(look(resampled(ref, *way), ref))
                for ref in references([pair for pair in test if pair.ref in refs[part::2]])
                for way in RESAMPLED
            ]
        )
        for part in (0, 1)
    }
    threshold = max(threshold_at(group[0].tolist(), FALSE_ALARMS) for group in (clean, enlarged))
    large = np.array(
        [
            detector.suspicion(look(resampled(ref, *way), ref))
            for ref in map(load_image, list_pictures([args.large]))
            for way in RESAMPLED
        ]
    )
    measured = stratified([pair for pair in test if pair.ref in refs[1::2]], args.attacked)
    pushed = attacked(
        [load_middle(pair, args.side) for pair in measured], SEEN | UNSEEN | HONEST | AWARE, subject
    )
    suspicions = {
        key: np.array([detector.suspicion(one) for one in views(pairs)]) for key, pairs in pushed.items()
    }
    gains = {
        key: float(
            np.mean([float(look.plain(*pair)[0]) for pair in pairs])
            - np.mean([float(look.plain(*load_middle(pair, args.side))[0]) for pair in measured])
        )
        for key, pairs in pushed.items()
    }
    rows = [
        {
            "attack": name,
            "seen": name in SEEN,
            "budget": budget,
            "gain": gains[name, budget],
            "detected": float((values > threshold).mean()),
        }
        for (name, budget), values in suspicions.items()
    ]
    record = {
        "plain": args.plain,
        "hardened": args.hardened,
        "fingerprints": detector.fingerprints,
        "side": args.side,
        "attacked": len(measured),
        "clean": len(clean[1]),
        "false_alarms": float((clean[1] > threshold).mean()),
        "resampled": len(enlarged[1]),
        "false_alarms_resampled": float((enlarged[1] > threshold).mean()),
        "large": len(large),
        "false_alarms_large": float((large > threshold).mean()),
        "rows": rows,
    }
    for row in rows:
        print(json.dumps(row))
    print(json.dumps({name: value for name, value in record.items() if name != "rows"}))
    final = Detector(
        detector.plain, detector.hardened, detector.fingerprints, fitted, threshold, FALSE_ALARMS
    )
    with replacing(args.detector) as part:
        final.save(part)
    with replacing(args.out) as part:
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    headline = BUDGETS[-1]
    draw(
        args.picture,
        clean[1],
        {name: values for (name, budget), values in suspicions.items() if budget == headline},
    )


if __name__ == "__main__":
    main()
