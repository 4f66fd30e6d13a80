import io

import pillow_jxl  # noqa: F401 - teaches Pillow to write JPEG XL
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

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
    assert read_header(data) == Header(width, height, animated=False)


def test_a_former_jpeg_has_its_codestream_in_parts(tmp_path):
    Image.new("RGB", (70, 50)).save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        photo.save(tmp_path / "photo.jxl", "JXL", lossless_jpeg=True)
    data = (tmp_path / "photo.jxl").read_bytes()
    assert b"jxlp" in data
    assert read_header(data) == Header(70, 50, animated=False)


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
    assert read_header(data[:start] + box + data[start:]) == Header(300, 200, animated=False)
