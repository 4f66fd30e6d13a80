import io

import numpy as np
import pillow_jxl  # noqa: F401 - teaches Pillow to write JPEG XL
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from birqa.images import load_image
from birqa.jpeg_xl import SIGNATURES, Header, read_header


def encode(width, height, mode="RGB", **options):
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "JXL", effort=1, **options)
    return file.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1200), st.integers(1, 1200), st.booleans(), st.sampled_from(["L", "RGB", "RGBA"]))
@example(256, 256, False, "RGB")
@example(640, 480, True, "RGB")
@example(1920, 1080, False, "RGB")
@example(12_000, 1, False, "L")
@example(1, 12_000, True, "L")
def test_the_size_is_that_of_the_picture(width, height, container, mode):
    data = encode(width, height, mode, use_container=container)
    assert data.startswith(SIGNATURES[container])
    assert read_header(data) == Header(width, height)


def test_a_former_jpeg_has_its_codestream_in_parts(tmp_path):
    Image.new("RGB", (70, 50)).save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        photo.save(tmp_path / "photo.jxl", "JXL", lossless_jpeg=True)
    data = (tmp_path / "photo.jxl").read_bytes()
    assert b"jxlp" in data
    assert read_header(data) == Header(70, 50)


@pytest.mark.parametrize("container", [True, False])
def test_a_header_that_is_cut_off_is_told(container):
    data = encode(300, 200, use_container=container)
    start = data.index(SIGNATURES[0])
    for cut in range(len(SIGNATURES[container]), start + 4):
        with pytest.raises(ValueError, match=r"the header is cut off|the container holds no picture"):
            read_header(data[:cut])


def test_boxes_of_large_size_are_passed_over():
    data = encode(300, 200, use_container=True)
    start = data.index(b"jxlc") - 4
    box = (1).to_bytes(4, "big") + b"Exif" + (16 + 5).to_bytes(8, "big") + bytes(5)
    assert read_header(data[:start] + box + data[start:]) == Header(300, 200)


# Written by libjxl through imagecodecs: 8x8 pixels of one colour.
DEPTHS = {
    "10-bit": "ff0a415040d122080401003c004b188b15809dd4ff001894aa9aa007",
    "12-bit": "ff0a416040d122080401003c004b188b15809dd4ff001894aa9aa007",
    "14-bit": "ff0a41700350b408080401003c004b188b15809dd4ff001894aa9aa007",
    "16-bit": "ff0a41f00350b4080804010040004b188b158025a8ff0130c03735015303",
    "32-bit": "ff0a41c801142d02080401007c004b386898c283f71514c414f764e09ff1b7eb020000c083310200001e0000f0",
}
DEEP_GREY = "ff0a41f003142d020804010048004b188b154282027082a90100000000000000"


@pytest.mark.parametrize("depth", DEPTHS)
def test_colour_of_more_than_8_bits_is_read_at_8_with_a_warning(depth):
    data = bytes.fromhex(DEPTHS[depth])
    assert read_header(data) == Header(8, 8, depth=int(depth.removesuffix("-bit")))
    with pytest.warns(UserWarning, match=f"{depth} colour was read at 8 bits") as caught:
        pixels = load_image(data)
    assert caught[0].filename == __file__
    assert (pixels.dtype, pixels.shape) == (np.uint8, (8, 8, 3))


@pytest.mark.filterwarnings("error")
def test_deep_grey_and_8_bits_are_read_as_they_are():
    pixels = load_image(bytes.fromhex(DEEP_GREY))
    # The file calls its samples linear.
    np.testing.assert_allclose(pixels, 1.055 * (30000 / 65535) ** (1 / 2.4) - 0.055, atol=1e-4)
    assert load_image(encode(8, 8)).dtype == np.uint8
