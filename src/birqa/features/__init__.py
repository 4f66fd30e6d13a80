"""The four analytic feature maps of BiRQA, each a pure function of the two pictures.

Source: BiRQA (Gushchin et al., 2026), section 3.1. Maps are computed at the original resolution and then
pooled 2x2 into the pyramid.
"""

from birqa.features.colour import colour_difference, luma, rgb_to_ycbcr
from birqa.features.information import information_change, information_map
from birqa.features.lbp import lbp_code, lbp_difference
from birqa.features.maps import FeatureMaps
from birqa.features.ssim import LocalStatistics, local_statistics, ssim_map

__all__ = [
    "FeatureMaps",
    "LocalStatistics",
    "colour_difference",
    "information_change",
    "information_map",
    "lbp_code",
    "lbp_difference",
    "local_statistics",
    "luma",
    "rgb_to_ycbcr",
    "ssim_map",
]
