"""The explanation of one score as a picture: reference, distorted, quality map, and what each level says."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from birqa.images import to_float
from birqa.metric import ScoreExplanation

PANEL = 480
MARGIN = 16
TEXT = 16
INK = (34, 34, 34)
PAPER = (255, 255, 255)
BAR = (70, 110, 160)
TRACK = (228, 232, 238)
# Viridis at nine equal steps (Smith and van der Walt, CC0): even in lightness, safe for colour blindness.
VIRIDIS = np.array(
    [
        (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141),
        (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
    ]
)  # fmt: skip


def colour_map(values: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> uint8 (H, W, 3), dark violet to yellow."""
    steps = np.linspace(0, 1, len(VIRIDIS))
    channels = [np.interp(values, steps, VIRIDIS[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def explanation_picture(
    ref: np.ndarray, dist: np.ndarray, explanation: ScoreExplanation, metric: str, caption: str
) -> Image.Image:
    """Pictures (H, W, 3), uint8 or float in [0, 1]; gives an RGB picture about 1,500 pixels wide."""
    height, width = ref.shape[:2]
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    low = float(explanation.quality_map.min())
    # The range is stretched to what is there, and the scale below the map says so.
    spread = max(1 - low, 1e-6)
    heat = colour_map((explanation.quality_map - low) / spread)
    panels = [
        ("reference", _fit(ref, size)),
        ("distorted", _fit(dist, size)),
        (f"quality map: {low:.2f} (dark) to 1.00 (bright)", _fit(heat, size)),
    ]
    levels = len(explanation.reliability)
    top = 3 * TEXT + MARGIN
    bars_top = top + size[1] + TEXT + 2 * MARGIN
    sheet = Image.new(
        "RGB", (3 * max(size[0], 300) + 4 * MARGIN, bars_top + (levels + 1) * 2 * TEXT + MARGIN), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    font, large = ImageFont.load_default(TEXT), ImageFont.load_default(1.5 * TEXT)
    draw.text((MARGIN, MARGIN / 2), f"{metric}: {explanation.score:.4f}", INK, large)
    draw.text((MARGIN, MARGIN / 2 + 1.8 * TEXT), f"{caption}; 1 is identical", INK, font)
    for index, (label, picture) in enumerate(panels):
        left = MARGIN + index * (max(size[0], 300) + MARGIN)
        sheet.paste(picture, (left, top + TEXT + MARGIN // 2))
        draw.text((left, top), label, INK, font)

    track = 260
    columns = [MARGIN, MARGIN + 170, MARGIN + 170 + track + 90]
    for left, title in zip(columns, ("level", "reliability", "level score"), strict=True):
        draw.text((left, bars_top), title, INK, font)
    for level in range(levels):
        y = bars_top + (level + 1) * 2 * TEXT
        name = f"{level + 1} (1/{2**level} size)"
        draw.text((columns[0], y), name, INK, font)
        values = (explanation.reliability[level], explanation.level_score[level])
        for left, value in zip(columns[1:], values, strict=True):
            draw.rectangle((left, y + 2, left + track, y + TEXT), TRACK)
            draw.rectangle((left, y + 2, left + track * float(value), y + TEXT), BAR)
            draw.text((left + track + 8, y), f"{value:.3f}", INK, font)
    return sheet


def _fit(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    pixels = image if image.dtype == np.uint8 else np.rint(255 * to_float(image)).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
