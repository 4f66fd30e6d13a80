"""One declaration a data set: where it comes from, what it holds, which way its scores go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from birqa.data.sets.full_reference import (
    read_csiq,
    read_csv,
    read_kadid,
    read_live,
    read_pieapp,
    read_pipal,
    read_tid2013,
)
from birqa.data.sets.no_reference import read_koniq, read_live_wild
from birqa.data.sets.two_alternatives import read_bapps, read_pieapp_pairs
from birqa.ratings import Record


@dataclass(frozen=True)
class DataSet:
    """`low` and `high` are the ends of the published scores, whichever of them is the better one.

    Where the published scale has no ends (`open_ended`: Elo, differences of ratings), they are round numbers
    of ours near the usual extremes, and scores may pass them by half the range on either side.
    """

    name: str
    title: str
    url: str
    kind: Literal["full-reference", "no-reference", "2afc"]
    low: float
    high: float
    larger_is_better: bool
    split_unit: Literal["reference", "picture"]
    split: str
    """The published split, or "6:2:2" where there is none."""
    layout: str
    signs: tuple[str, ...]
    """Files or folders of which one shows that the set is there."""
    read: Callable[[Path], Sequence[Record]]
    open_ended: bool = False
    as_given: bool = False
    """Scores of any range are left as they are."""
    meta_info_std: float = 1
    """Of IQA-PyTorch's table: one unit of its deviations, in units of its scores."""

    def quality(self, score: float) -> float:
        """(score - low) / (high - low), or 1 minus that where larger is worse; open-ended sets pass 0..1."""
        share = (score - self.low) / (self.high - self.low)
        spare = 0.5 if self.open_ended else 0
        if not -spare <= share <= 1 + spare:
            raise ValueError(
                f"{self.title}: the score {score:g} is outside {self.low:g}..{self.high:g}: is the table "
                "damaged, or from another set?"
            )
        return share if self.larger_is_better else 1 - share


def find_data_set(name: str) -> DataSet:
    for data_set in DATA_SETS:
        if data_set.name == name.lower():
            return data_set
    raise ValueError(
        f"There is no data set {name!r}: choose from {', '.join(one.name for one in DATA_SETS)}."
    )


DATA_SETS = (
    DataSet(
        "live",
        "LIVE release 2",
        "https://live.ece.utexas.edu/research/quality/subjective.htm",
        "full-reference",
        0,
        100,
        larger_is_better=False,
        open_ended=True,
        split_unit="reference",
        split="6:2:2",
        layout="refimgs/, jp2k/, jpeg/, wn/, gblur/ and fastfading/ with img1.bmp and so on, "
        "refnames_all.mat, and dmos_realigned.mat or dmos.mat",
        signs=("refnames_all.mat",),
        read=read_live,
    ),
    DataSet(
        "csiq",
        "CSIQ",
        "https://s2.smu.edu/~eclarson/csiq.html",
        "full-reference",
        0,
        1,
        larger_is_better=False,
        split_unit="reference",
        split="6:2:2",
        layout="src_imgs/1600.png, dst_imgs/awgn/1600.AWGN.1.png, and csiq.DMOS.xlsx (or its sheet "
        "all_by_image as csiq.DMOS.csv with the columns image,dst_type,dst_lev,dmos_std,dmos, "
        "or csiq_label.txt)",
        signs=("src_imgs",),
        read=read_csiq,
    ),
    DataSet(
        "tid2013",
        "TID2013",
        "http://www.ponomarenko.info/tid2013.htm",
        "full-reference",
        0,
        9,
        larger_is_better=True,
        split_unit="reference",
        split="6:2:2",
        layout="reference_images/I01.BMP, distorted_images/i01_01_1.bmp, mos_with_names.txt and, for "
        "standard deviations, mos_std.txt",
        signs=("mos_with_names.txt",),
        read=read_tid2013,
    ),
    DataSet(
        "kadid10k",
        "KADID-10k",
        "https://database.mmsp-kn.de/kadid-10k-database.html",
        "full-reference",
        1,
        5,
        larger_is_better=True,
        split_unit="reference",
        split="6:2:2",
        layout="images/I01.png, images/I01_01_01.png and dmos.csv",
        signs=("dmos.csv",),
        read=read_kadid,
    ),
    DataSet(
        "pipal",
        "PIPAL",
        "https://www.jasongt.com/projectpages/pipal.html",
        "full-reference",
        900,
        1900,
        larger_is_better=True,
        open_ended=True,
        split_unit="reference",
        split="train, val (6:2:2 without Val_Label)",
        layout="Train_Ref/A0001.bmp, Train_Dist/A0001_00_00.bmp (or Distortion_1..4/), Train_Label/A0001.txt "
        "and, where you have the labels, Val_Ref/, Val_Dist/ and Val_Label/",
        signs=("Train_Label",),
        read=read_pipal,
    ),
    DataSet(
        "pieapp",
        "PieAPP (scores of the test part)",
        "https://github.com/prashnani/PerceptualImageError",
        "full-reference",
        0,
        8,
        larger_is_better=False,
        open_ended=True,
        split_unit="reference",
        split="test",
        layout="test_reference_list.txt, reference_images/test/, distorted_images/test/ref_1/ and "
        "labels/test/ref_1_per_image_score.csv",
        signs=("test_reference_list.txt",),
        read=read_pieapp,
    ),
    DataSet(
        "pieapp-2afc",
        "PieAPP (judged pairs)",
        "https://github.com/prashnani/PerceptualImageError",
        "2afc",
        0,
        1,
        larger_is_better=True,
        split_unit="reference",
        split="train, val, test",
        layout="train_reference_list.txt, reference_images/train/, distorted_images/train/ref_1/ and "
        "labels/train/ref_1_pairwise_labels.csv, likewise for val and test",
        signs=("train_reference_list.txt",),
        read=read_pieapp_pairs,
    ),
    DataSet(
        "bapps",
        "BAPPS (2AFC)",
        "https://github.com/richzhang/PerceptualSimilarity",
        "2afc",
        0,
        1,
        larger_is_better=True,
        split_unit="reference",
        split="train, val",
        layout="2afc/val/traditional/ with ref/, p0/ and p1/ of 000000.png and judge/ of 000000.npy, "
        "likewise for the other subsets of train and val",
        signs=("2afc", "val"),
        read=read_bapps,
    ),
    DataSet(
        "koniq10k",
        "KonIQ-10k",
        "https://database.mmsp-kn.de/koniq-10k-database.html",
        "no-reference",
        0,
        100,
        larger_is_better=True,
        split_unit="picture",
        split="train, val, test (6:2:2 without the sets)",
        layout="1024x768/ or 512x384/, and koniq10k_distributions_sets.csv (from "
        "https://github.com/subpic/koniq/tree/master/metadata) or koniq10k_scores_and_distributions.csv",
        signs=("koniq10k_distributions_sets.csv", "koniq10k_scores_and_distributions.csv"),
        read=read_koniq,
        # Scores were brought from five grades to 0..100, deviations were not.
        meta_info_std=25,
    ),
    DataSet(
        "live-itw",
        "LIVE In the Wild",
        "https://live.ece.utexas.edu/research/ChallengeDB/index.html",
        "no-reference",
        0,
        100,
        larger_is_better=True,
        split_unit="picture",
        split="6:2:2",
        layout="Images/ and, in Data/, AllImages_release.mat, AllMOS_release.mat and AllStdDev_release.mat "
        "(or images/ and clive_mos.csv with the columns file,mos,std,is_training_image)",
        signs=("Data", "clive_mos.csv"),
        read=read_live_wild,
    ),
    DataSet(
        "csv",
        "Any CSV",
        "",
        "full-reference",
        0,
        1,
        larger_is_better=True,
        as_given=True,
        split_unit="reference",
        split="its own (6:2:2 without)",
        layout="one CSV file with ref,dist,mos[,std,split,type,level], larger is better, relative paths",
        signs=(),
        read=read_csv,
    ),
)
