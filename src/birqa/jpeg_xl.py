"""What a JPEG XL file says of itself before it is decoded, which its reader for Pillow does not tell in time.

Source: ISO/IEC 18181-1 (SizeHeader, ImageMetadata) and 18181-2 (boxes).
"""

from dataclasses import dataclass

SIGNATURES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
"""What files begin with, bare and in a container."""
_RATIOS = (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1)


@dataclass(frozen=True)
class Header:
    """`width` and `height` in pixels, as stored: a file may ask to be turned on its side; `depth` in bits."""

    width: int
    height: int
    animated: bool = False
    depth: int = 8


def read_header(data: bytes) -> Header:
    """`data` begins with one of `SIGNATURES`. Raises ValueError where no header follows."""
    bits = _Bits(_codestream(data)[2:])
    height, width = _size(bits)
    # Most files say "all as usual", or no more than which way is up.
    if bits.take(1):
        return Header(width, height)
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _size(bits)
        # Behind a preview, whose size would follow, frames and depth are not looked for.
        if bits.take(1):
            return Header(width, height)
        if bits.take(1):
            return Header(width, height, animated=True)
    return Header(width, height, depth=_depth(bits))


class _Bits:
    """From the least significant of each byte on."""

    def __init__(self, data: bytes) -> None:
        # No header is longer.
        self.rest = int.from_bytes(data[:32], "little")
        self.left = 8 * len(data[:32])

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("the header is cut off")
        value = self.rest & ((1 << count) - 1)
        self.rest >>= count
        self.left -= count
        return value


def _size(bits: _Bits) -> tuple[int, int]:
    in_blocks = bits.take(1)

    def side() -> int:
        if in_blocks:
            return 8 * (1 + bits.take(5))
        return 1 + bits.take((9, 13, 18, 30)[bits.take(2)])

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return height, side()
    numerator, denominator = _RATIOS[ratio - 1]
    return height, height * numerator // denominator


def _depth(bits: _Bits) -> int:
    is_float = bits.take(1)
    usual = (32, 16, 24) if is_float else (8, 10, 12)
    chosen = bits.take(2)
    return usual[chosen] if chosen < 3 else 1 + bits.take(6)


def _codestream(data: bytes) -> bytes:
    """Bare, or its first part from the boxes of a container."""
    if data.startswith(SIGNATURES[0]):
        return data
    at = 0
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            # Parts are numbered.
            start = at + head + (4 if kind == b"jxlp" else 0)
            return data[start : start + 64]
        if size < head:
            break
        at += size
    raise ValueError("the container holds no picture")
