"""Compressed pictures that were damaged on their way."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from birqa.data.distortions._pixels import Image, clip, from_uint8, psnr, to_uint8
from birqa.data.distortions.compression import jpeg
from birqa.data.distortions.transform import from_ycbcr, shuffle_detail, to_ycbcr

_START_OF_DATA = b"\xff\x93"
_OVERSHOOT = 1.1
# How far right, as a share of the width, the damage of each round begins at least: ever smaller steps.
_ROUNDS = (0.0, 0.0, 0.25, 0.5, 0.75, 0.9)


def jpeg_transmission(image: Image, target: float, rng: np.random.Generator) -> Image:
    """JPEG with errors that last to the end of a row of 16 pixels, as many as bring the PSNR to `target` dB.

    From a random place on, a row keeps the means of its 8 x 8 blocks but has their detail in another order,
    and its colour drifts. Where all rows are damaged and that is not enough, colours drift further. TID2013
    (Ponomarenko et al. 2013), type 12: 33, 30, 27, 24, 21 dB. A model of what a decoder makes of bit errors,
    fitted to the authors' per-image metric values.
    """
    height, width = image.shape[:2]
    sent = jpeg(image, 85)
    received = sent.copy()
    budget = 10.0 ** (-target / 10.0) * image.size
    error = float(np.sum((sent - image) ** 2))
    rows = -(-height // 16)
    for attempt in range(len(_ROUNDS) * rows):
        if attempt % rows == 0:
            order = rng.permutation(rows)
            first = width * _ROUNDS[attempt // rows]
        if error >= budget:
            break
        row = order[attempt % rows]
        left = 16 * int(rng.integers(first // 16, max(1 + first // 16, (first + width) // 32)))
        place = np.s_[16 * row : 16 * row + 16, left:]
        damaged = _damaged(sent[place], rng, 1 + attempt // rows)
        change = float(np.sum((damaged - image[place]) ** 2) - np.sum((received[place] - image[place]) ** 2))
        if error + change < _OVERSHOOT * budget:
            received[place] = damaged
            error += change
    return received


def _damaged(part: Image, rng: np.random.Generator, times: int) -> Image:
    """The end of a row, damaged for the given time."""
    shuffled = shuffle_detail(part, rng)
    deviation = np.array([4.0, 10.0, 10.0]) * times / 255.0
    drift = from_ycbcr((deviation * rng.standard_normal(3)).astype(np.float32))
    return clip(shuffled + drift)


def jpeg2000_transmission(image: Image, target: float, rng: np.random.Generator) -> Image:
    """JPEG 2000 some 2.5 dB better than `target`, then bits flipped in the file until `target` dB is reached.

    Chroma is that of the undamaged file, because the authors' per-image metric values tell that most of the
    damage is in luma. TID2013 (Ponomarenko et al. 2013), type 13: 33, 30, 27, 24, 21 dB. The damage is real:
    the file is decoded with its errors, so it depends on the decoder (Pillow's OpenJPEG).
    """
    low, high = np.log(2.0), np.log(1000.0)
    for _ in range(8):
        data = _encode(image, float(np.exp(0.5 * (low + high))))
        received = _decode(data)
        surplus = psnr(image, image if received is None else received) - target - _HEADROOM
        if abs(surplus) < 0.2:
            break
        low, high = (0.5 * (low + high), high) if surplus > 0.0 else (low, 0.5 * (low + high))
    body = np.arange(data.index(_START_OF_DATA) + 2, len(data) - 2)
    places = rng.permutation(body)
    bits = np.left_shift(1, rng.integers(0, 8, len(places))).astype(np.uint8)
    return _flip(image, image if received is None else received, data, places, bits, target)


_HEADROOM = 2.5


def _flip(
    image: Image,
    received: Image,
    data: bytes,
    places: NDArray[np.int64],
    bits: NDArray[np.uint8],
    target: float,
) -> Image:
    """Flip bits in turn, skipping those after which too little is left of `received`, the undamaged file."""
    chroma = to_ycbcr(received)[..., 1:]
    current = np.frombuffer(data, np.uint8).copy()
    best = received
    best_error = abs(psnr(image, best) - target)
    position, batch = 0, 8
    for _ in range(16):
        if best_error < 0.3 or position >= len(places):
            break
        chosen = slice(position, position + batch)
        trial = current.copy()
        trial[places[chosen]] ^= bits[chosen]
        decoded = _decode(trial.tobytes())
        if decoded is not None:
            decoded = clip(from_ycbcr(np.concatenate([to_ycbcr(decoded)[..., :1], chroma], axis=2)))
        position += batch
        reached = -1.0 if decoded is None else psnr(image, decoded)
        if decoded is not None and abs(reached - target) < best_error:
            best, best_error = decoded, abs(reached - target)
        if reached >= target:
            current, batch = trial, 2 * batch
        else:
            batch = max(1, batch // 4)
    return best


def _encode(image: Image, ratio: float) -> bytes:
    buffer = BytesIO()
    # Small code blocks, so that one error spoils a small part of the picture.
    PillowImage.fromarray(to_uint8(image)).save(
        buffer,
        format="JPEG2000",
        quality_mode="rates",
        quality_layers=[ratio],
        irreversible=True,
        codeblock_size=(32, 32),
    )
    return buffer.getvalue()


def _decode(data: bytes) -> Image | None:
    """The picture, or None where nothing can be made of the file."""
    try:
        with PillowImage.open(BytesIO(data)) as picture:
            return from_uint8(np.asarray(picture.convert("RGB")))
    except (OSError, ValueError, SyntaxError):
        return None
