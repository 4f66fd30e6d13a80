"""The explanation of one score as a picture: reference, distorted, quality map, and what each level says."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from birqa.images import to_float
from birqa.metric import ScoreExplanation

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

PANEL = 480
LEAST_COLUMN = 360
MARGIN = 16
TEXT = 16
BAR_LENGTH = 170
LEVELS_WIDTH = 920
EXCHANGE_WIDTH = 420
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
    ref: np.ndarray,
    dist: np.ndarray,
    explanation: ScoreExplanation,
    metric: str,
    caption: str,
    shrink: int,
    stretch: bool = False,
) -> Image.Image:
    """Pictures (H, W, 3), uint8 or float in [0, 1]; gives an RGB picture about 1,500 pixels wide.

    `shrink`: how many pixels a side the metric averages first. The quality map is drawn from 0 to 1, as in
    reports, so that pictures can be compared; with `stretch` from its least value to 1, which shows where
    slight damage is.
    """
    height, width = ref.shape[:2]
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    column = max(size[0], LEAST_COLUMN) + MARGIN
    least = float(explanation.quality_map.min())
    low = least if stretch else 0.0
    panels = [
        ("reference", fit(ref, size)),
        ("distorted", fit(dist, size)),
        (
            f"quality: {low:.2f} violet, 1 yellow; least {least:.2f}",
            _heat(explanation.quality_map, size, low, 1.0),
        ),
    ]
    top = 3 * TEXT + MARGIN
    table = top + size[1] + TEXT + 2 * MARGIN
    thumbnail = (max(1, size[0] // 4), max(1, size[1] // 4))
    rows = len(explanation.reliability)
    bottom = table + max((rows + 1) * 2 * TEXT, 2 * TEXT + 2 * (thumbnail[1] + MARGIN))
    exchange = max(MARGIN + 2 * column, LEVELS_WIDTH)
    sheet = Image.new("RGB", (max(3 * column + MARGIN, exchange + EXCHANGE_WIDTH), bottom), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(TEXT)
    draw.text(
        (MARGIN, MARGIN / 2), f"{metric}: {explanation.score:.4f}", INK, ImageFont.load_default(1.5 * TEXT)
    )
    draw.text((MARGIN, MARGIN / 2 + 1.8 * TEXT), f"{caption}; 1 is identical", INK, font)
    for index, (label, picture) in enumerate(panels):
        draw.text((MARGIN + index * column, top), label, INK, font)
        sheet.paste(picture, (MARGIN + index * column, top + TEXT + MARGIN // 2))
    _draw_levels(draw, font, (MARGIN, table), explanation, shrink)
    if explanation.strength:
        _draw_exchange(sheet, draw, font, (exchange, table), thumbnail, explanation)
    return sheet


def _draw_levels(
    draw: ImageDraw.ImageDraw,
    font: Font,
    corner: tuple[int, int],
    explanation: ScoreExplanation,
    shrink: int,
) -> None:
    """A row for each level: reliability x level score = contribution; the contributions sum to the score."""
    left, top = corner
    columns = [left, left + 140, left + 400, left + 660]
    titles = ("level", "reliability", "x level score", "= contribution")
    for x, title in zip(columns, titles, strict=True):
        draw.text((x, top), title, INK, font)
    values = zip(explanation.reliability, explanation.level_score, explanation.contribution, strict=True)
    for level, row in enumerate(values):
        y = top + (level + 1) * 2 * TEXT
        draw.text((columns[0], y), f"{level + 1} (1/{shrink * 2**level} size)", INK, font)
        for x, value in zip(columns[1:], row, strict=True):
            draw.rectangle((x, y + 2, x + BAR_LENGTH, y + TEXT), TRACK)
            draw.rectangle((x, y + 2, x + BAR_LENGTH * float(value), y + TEXT), BAR)
            draw.text((x + BAR_LENGTH + 8, y), f"{value:.3f}", INK, font)


def _draw_exchange(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    font: Font,
    corner: tuple[int, int],
    size: tuple[int, int],
    explanation: ScoreExplanation,
) -> None:
    """What each level takes over from the finer one: CSRAM strength above, confidence below."""
    left, top = corner
    draw.text((left, top), "CSRAM strength (above) and confidence, by level", INK, font)
    for level, (strength, confidence) in enumerate(
        zip(explanation.strength, explanation.confidence, strict=True)
    ):
        x = left + level * (size[0] + MARGIN)
        y = top + int(1.5 * TEXT)
        sheet.paste(_heat(strength, size, 0.0, float(strength.max())), (x, y))
        sheet.paste(_heat(confidence, size, 0.0, 1.0), (x, y + size[1] + MARGIN // 2))
        draw.text((x, y + 2 * size[1] + MARGIN // 2), f"{level + 2}: to {strength.max():.2f}", INK, font)


def _heat(values: np.ndarray, size: tuple[int, int], low: float, high: float) -> Image.Image:
    # Without a spread all is as good as can be.
    return fit(colour_map((values - low) / (high - low) if high > low else np.ones_like(values)), size)


def fit(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """(H, W, 3), uint8 or float in [0, 1], resized to (width, height)."""
    pixels = image if image.dtype == np.uint8 else np.rint(255 * to_float(image)).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
