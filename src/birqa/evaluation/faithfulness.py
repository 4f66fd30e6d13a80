"""How near a re-made TID2013 is to the real one: classic metrics on our pixels against the published values.

Published SROCCs are of the real TID2013, 3,000 pairs: Ponomarenko et al., "Image database TID2013", Signal
Processing: Image Communication 2015 (PSNR, SSIM, MS-SSIM, VIF, FSIMc), and the papers of VSI, GMSD, MDSI and
HaarPSI. The authors also publish the value of every one of their metrics for every picture (folder
`metrics_values` of the database): with these, types and single pictures can be compared as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from birqa.evaluation.agreement import srocc_within
from birqa.ratings import RatedPair

# In the order of the Makefile's peers, so that both find the same kept scores.
PUBLISHED_SROCC = {
    "torchmetrics:psnr": 0.687,
    "torchmetrics:psnr-luma": 0.640,
    "torchmetrics:ssim": 0.637,
    "torchmetrics:ms-ssim": 0.787,
    "piq:vif_p": 0.608,
    "piq:gmsd": 0.804,
    "piq:fsim": 0.851,
    "piq:haarpsi": 0.873,
    "piq:mdsi": 0.890,
    "piq:vsi": 0.897,
}
AUTHORS_FILES = {
    "torchmetrics:psnr": "PSNRc.txt",
    "torchmetrics:psnr-luma": "PSNR.txt",
    "torchmetrics:ssim": "SSIM.txt",
    "torchmetrics:ms-ssim": "MSSIM.txt",
    "piq:vif_p": "VIFP.txt",
    "piq:fsim": "FSIMc.txt",
}
"""Which file of `metrics_values` holds which metric."""
REFERENCES, TYPES, LEVELS = 25, 24, 5


@dataclass(frozen=True)
class Faithfulness:
    """One metric on the re-made pictures beside the real ones.

    `published` is its SROCC on the whole real database. With the authors' values: `real` is its SROCC on the
    same pairs of the real database, `rank_agreement` the SROCC between its values on the re-made and on the
    real pictures, and the dictionaries hold the same by type.
    """

    metric: str
    n: int
    remade: float
    published: float | None
    remade_by_type: dict[str, float]
    real: float | None = None
    rank_agreement: float | None = None
    real_by_type: dict[str, float] = field(default_factory=dict)
    rank_agreement_by_type: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_authors_values(folder: Path) -> dict[str, np.ndarray]:
    """Metric -> its value on each real picture (25, 24, 5), from those of `AUTHORS_FILES` that are there.

    Raises ValueError where there is none, or one does not hold 3,000 numbers.
    """
    found = {}
    for metric, name in AUTHORS_FILES.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            values = np.array(path.read_text(encoding="utf-8").split(), np.float64)
        except ValueError:
            raise ValueError(f"{path} holds something that is not a number.") from None
        if values.size != REFERENCES * TYPES * LEVELS:
            raise ValueError(f"{path} holds {values.size} numbers, but TID2013 has 3,000 pictures.")
        found[metric] = values.reshape(REFERENCES, TYPES, LEVELS)
    if not found:
        names = ", ".join(AUTHORS_FILES.values())
        raise ValueError(f"{folder} holds none of {names}: pass TID2013's folder metrics_values.")
    return found


def study_faithfulness(
    rows: Sequence[RatedPair],
    scores: Mapping[str, np.ndarray],
    authors: Mapping[str, np.ndarray] | None = None,
) -> list[Faithfulness]:
    """Each metric's scores (larger is better) on the rows of a table made by `birqa data tid2013`.

    Raises ValueError for a row whose reference, type or level is not one of TID2013's.
    """
    from scipy.stats import spearmanr

    places = np.array([_place(row) for row in rows])
    mos = np.array([row.mos for row in rows])
    kinds = places[:, 1]

    def within(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
        return srocc_within(first, second, (kinds + 1).astype(str))

    studies = []
    for metric, ours in scores.items():
        beside: dict[str, Any] = {}
        if authors and metric in authors:
            real = authors[metric][tuple(places.T)]
            beside = {
                "real": float(spearmanr(real, mos).statistic),
                "rank_agreement": float(spearmanr(real, ours).statistic),
                "real_by_type": within(real, mos),
                "rank_agreement_by_type": within(real, ours),
            }
        remade = float(spearmanr(ours, mos).statistic)
        studies.append(
            Faithfulness(metric, len(rows), remade, PUBLISHED_SROCC.get(metric), within(ours, mos), **beside)
        )
    return studies


def _place(row: RatedPair) -> tuple[int, int, int]:
    """Reference, type and level, from 0."""
    number = re.search(r"\d+$", row.ref.stem)
    try:
        place = int(number.group() if number else "") - 1, int(row.type) - 1, int(row.level) - 1
    except ValueError:
        place = (-1, -1, -1)
    if not all(0 <= at < size for at, size in zip(place, (REFERENCES, TYPES, LEVELS), strict=True)):
        raise ValueError(
            f"{row.dist} is not named as TID2013's pictures are: use the meta.csv that `birqa data tid2013` "
            "wrote."
        )
    return place
