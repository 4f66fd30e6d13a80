"""Labels from a committee of classic metrics, beside or instead of human ratings.

A cell label (the mean rating of a distortion's type and level) says nothing about the picture it is put on,
and a combination of distortions has no rating at all. Each metric of the committee is mapped to the human
scale by a logistic curve fitted to the rated training pairs; the committee's opinion is the mean of them.
A rated pair gets (1 - weight) * rating + weight * opinion, an unrated one the opinion alone, unless its type
names kinds of distortion that people judge alike, as "11|12": then what people said of those, beyond the
committee's opinion of them, is added with the share 1 - weight as well. Weak supervision by classic metrics
follows Lin, Hosu and Saupe, "DeepFL-IQA: weak supervision for deep IQA feature learning",
2020, who label KADIS-700k with eleven of them; the blend is ours.
"""

import csv
from collections.abc import Sequence
from itertools import chain
from math import isnan
from pathlib import Path

import numpy as np

from birqa.evaluation.logistic import fit_logistic
from birqa.evaluation.scoring import Progress, score_all_by_peers
from birqa.files import relative_path, replacing, same_content
from birqa.pairing import Pair
from birqa.ratings import RatedPair, check_repeats, read_rated_pairs, std_text

COLUMNS = ("ref", "dist", "mos", "human", "committee", "type", "level", "split", "std", "weight")


def label_by_committee(
    tables: Sequence[Path],
    out: Path,
    *,
    peers: Sequence[str],
    weight: float,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Score the pairs of all `tables` (CSV with ref,dist,mos,..., mos possibly empty) and write one table.

    `out` gets the columns `COLUMNS`, with paths relative to it; `mos` is the blend on rows of the split train
    and the rating itself on others, so that validation stays human. Unrated rows outside train are left out.
    Scores are kept in `OUT.scores.jsonl` as they come; a broken run is resumed by running it again, and the
    file is removed at the end. A reference that several tables hold is named by one path, so that training
    draws from all of its versions together. Raises ValueError where no pair is rated, where one is there
    twice, or for a weight outside [0, 1].
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight={weight:g} should be from 0 (ratings alone) to 1 (committee alone).")
    rows = list(chain.from_iterable(read_rated_pairs(table, allow_unrated=True) for table in tables))
    rows = [row for row in rows if row.split == "train" or not isnan(row.mos)]
    check_repeats(rows, out)
    rated = [index for index, row in enumerate(rows) if row.split == "train" and not isnan(row.mos)]
    if not rated:
        raise ValueError(f"{tables[0]}: no training row has a rating, so nothing sets the committee's scale.")
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = out.with_name(f"{out.name}.scores.jsonl")
    scores = score_all_by_peers([Pair(row.ref, row.dist) for row in rows], peers, kept, workers, progress)
    one_path = same_content([row.ref for row in rows])
    ratings = np.array([rows[index].mos for index in rated], np.float64)
    curves = [fit_logistic(scores[rated, column], ratings) for column in range(len(peers))]
    opinion = np.mean([curve(scores[:, column]) for column, curve in enumerate(curves)], axis=0)
    dissent = _Dissent([rows[index] for index in rated], opinion[rated])
    with replacing(out) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, committee in zip(rows, opinion, strict=True):
            human, label = "", committee + (1 - weight) * dissent(row.type, committee)
            if not isnan(row.mos):
                share = weight if row.split == "train" else 0.0
                label = (1 - share) * row.mos + share * committee
                human = f"{row.mos:.6f}"
            if row.split == "train":
                # Curves and dissent may end beyond the scale, which training takes no rating from.
                label = min(max(label, 0.0), 1.0)
            paths = [relative_path(path, out.parent) for path in (one_path[row.ref], row.dist)]
            labels = (f"{label:.6f}", human, f"{committee:.6f}")
            rest = (row.type, row.level, row.split, std_text(row.std), f"{row.weight:g}")
            writer.writerow([*paths, *labels, *rest])
    kept.unlink(missing_ok=True)
    return out


class _Dissent:
    """What people think of a kind of distortion beyond the committee's opinion of it.

    For type "11|12" and an opinion c: the mean over the rated cells (type, level) of types 11 and 12 of
    rating - opinion, weighted by how near the cell's opinion is to c; where the committee sees nothing wrong,
    and for types that nobody has rated, there is no dissent.
    """

    NEARNESS = 0.06

    def __init__(self, rated: Sequence[RatedPair], opinion: np.ndarray) -> None:
        cells: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for row, committee in zip(rated, opinion, strict=True):
            cells.setdefault((row.type, row.level), []).append((committee, row.mos - committee))
        self.flawless = float(opinion.max())
        self.cells: dict[str, list[np.ndarray]] = {}
        for (kind, _), members in cells.items():
            self.cells.setdefault(kind, []).append(np.mean(members, axis=0))

    def __call__(self, kinds: str, opinion: float) -> float:
        cells = [cell for kind in kinds.split("|") for cell in self.cells.get(kind, [])]
        where, difference = np.array([*cells, (self.flawless, 0.0)]).T
        nearness = np.exp(-0.5 * ((where - opinion) / self.NEARNESS) ** 2) + 1e-9
        return float(np.average(difference, weights=nearness))
