import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pillow_jxl  # noqa: F401 - teaches Pillow to write JPEG XL
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from birqa.images import ImageError, load_image, match_sizes, resize_to, to_float

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def three(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def png(width, height, bits, colour, rows, *chunks):
    """A PNG from filtered rows, for depths and chunks that Pillow does not write."""

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    middle = b"".join(chunk(tag, data) for tag, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(width, height, data, *, bits, photometric=1, sample_format=1, order="<"):
    """A grey TIFF of one strip."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 200), (277, 1)]
    tags += [(278, height), (279, len(data)), (339, sample_format)]
    head = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    for tag, value in tags:
        head += struct.pack(order + "HHI", tag, 4 if tag in (273, 279) else 3, 1)
        head += struct.pack(order + ("I" if tag in (273, 279) else "H2x"), value)
    return (head + bytes(4)).ljust(200, b"\0") + data


# Modes and formats


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "JPEG2000", "TGA", "JXL"])
def test_lossless_formats_are_exact(tmp_path, kind):
    path = tmp_path / "picture"
    Image.fromarray(RGB).save(path, kind, **({"lossless": True} if kind in ("WEBP", "JXL") else {}))
    pixels = load_image(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, RGB)


def test_jpeg_xl_keeps_alpha_and_deep_grey():
    alpha = np.dstack([RGB, np.where(RGB[..., 0] > 127, 255, 0).astype(np.uint8)])
    kept = load_image(encode(Image.fromarray(alpha), "JXL", lossless=True), background=(1, 1, 1))
    np.testing.assert_array_equal(kept, np.where(alpha[..., 3:] == 255, RGB, 255))
    grey = load_image(encode(Image.fromarray(GREY16), "JXL", lossless=True))
    assert grey.dtype == np.float32
    # Written as light, not as sRGB, which its profile says.
    light = GREY16[..., None] / 65535
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(grey, np.repeat(expected, 3, 2), atol=1e-3)


def test_only_jpeg_xl_that_was_a_jpeg_is_turned_as_its_exif_says(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    lossless = encode(Image.fromarray(RGB), "JXL", lossless=True, exif=turned.tobytes())
    np.testing.assert_array_equal(load_image(lossless), RGB)
    Image.fromarray(RGB).save(tmp_path / "photo.jpg", exif=turned, quality=90)
    with Image.open(tmp_path / "photo.jpg") as photo:
        photo.save(tmp_path / "photo.jxl", "JXL", lossless_jpeg=True)
    stored = load_image(tmp_path / "photo.jxl")
    assert stored.shape == (RGB.shape[1], RGB.shape[0], 3)
    np.testing.assert_array_equal(stored, load_image(tmp_path / "photo.jpg"))


@pytest.mark.parametrize("container", [True, False])
def test_jpeg_xl_without_its_reader_is_told_how_to_get_it(monkeypatch, container):
    data = encode(Image.fromarray(RGB), "JXL", use_container=container)
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    # Another reader that a program has registered is as good.
    np.testing.assert_array_equal(load_image(data).shape, RGB.shape)
    monkeypatch.delitem(Image.OPEN, "JXL")
    with pytest.raises(ImageError, match=r'is a JPEG XL picture, .*: pip install "birqa\[jxl\]"$'):
        load_image(data)


def test_animated_jpeg_xl_is_refused():
    """Three grey frames of 11x9, by libjxl."""
    frames = b64decode(
        "/wpAYEETAIgJCAQBABwASxiLFYIDAAgEAQA8AEsYixWAHeT/AChQau8gAQgEBQA8AEsYixWAXeT/ACiSZu/4Aw=="
    )
    with pytest.raises(ImageError, match="is animated or multi-page: extract one frame first"):
        load_image(frames)


def test_a_stream_that_cannot_go_back_is_read():
    class Pipe:
        def __init__(self, data):
            self.read = io.BytesIO(data).read

    np.testing.assert_array_equal(load_image(Pipe(encode(Image.fromarray(RGB)))), RGB)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "JXL"])
def test_lossy_formats_are_close(tmp_path, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow lacks AVIF")
    ramp = np.add.outer(np.arange(48), np.arange(64))[..., None] + np.array([0, 40, 80])
    path = tmp_path / f"picture.{kind.lower()}"
    Image.fromarray(ramp.astype(np.uint8)).save(path, kind, quality=95)
    pixels = load_image(path)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - ramp).max() <= 6


def test_every_kind_of_source(tmp_path):
    path = tmp_path / "ünï cödé.png"
    Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    with path.open("rb") as file:
        file.read(10)
        np.testing.assert_array_equal(load_image(file), RGB)
        assert not file.closed
    for source in (path, str(path), data, bytearray(data), memoryview(data), Image.fromarray(RGB)):
        np.testing.assert_array_equal(load_image(source), RGB)
    with Image.open(path) as image:
        np.testing.assert_array_equal(load_image(image), RGB)
    with pytest.raises(TypeError, match="not int"):
        load_image(3)


def test_the_given_pillow_image_is_left_alone():
    image = Image.new("LA", (2, 2), (100, 50))
    load_image(image)
    assert (image.mode, image.getpixel((0, 0))) == ("LA", (100, 50))


def test_grey_and_bilevel():
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(GREY))), three(GREY))
    bits = GREY > 127
    for kind in ("PNG", "TIFF"):
        pixels = load_image(encode(Image.fromarray(bits), kind))
        np.testing.assert_array_equal(pixels, three(bits * np.uint8(255)))


def test_palette():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    expected = [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]
    assert load_image(encode(image)).tolist() == expected
    # One alpha for each entry: opaque, 50 % of the way to 127.5 (128/255 of 40, 50, 60), and gone.
    pixels = load_image(encode(image, transparency=bytes([255, 128, 0])))
    mixed = [84, 89, 94]  # (40 * 128 + 127.5 * 127) / 255 = 83.58, 88.60, 93.62
    assert pixels.tolist() == [[[10, 20, 30], mixed], [[128, 128, 128], mixed]]
    # An index as key
    assert load_image(encode(image, "GIF", transparency=1)).tolist()[0] == [[10, 20, 30], [128, 128, 128]]


def test_rgbx_ycbcr_hsv():
    rgb = Image.new("RGB", (2, 1), (200, 30, 90))
    assert load_image(rgb.convert("RGBX"))[0, 0].tolist() == [200, 30, 90]
    for mode in ("YCbCr", "HSV"):
        assert np.abs(load_image(rgb.convert(mode))[0, 0].astype(int) - [200, 30, 90]).max() <= 2
    # JFIF: Y = 0.299 * 255 = 76, Cb = 128 - 0.168736 * 255 = 85, Cr = 255
    ycbcr = Image.new("YCbCr", (1, 1), (76, 85, 255))
    assert np.abs(load_image(encode(ycbcr, "TIFF"))[0, 0].astype(int) - [255, 0, 0]).max() <= 1


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk(kind):
    for ink, expected in {
        (0, 0, 0, 0): (255, 255, 255),
        (0, 0, 0, 255): (0, 0, 0),
        (255, 0, 0, 0): (0, 255, 255),
        (0, 255, 0, 0): (255, 0, 255),
        (0, 255, 255, 0): (255, 0, 0),
        (0, 0, 0, 128): (127, 127, 127),
    }.items():
        pixels = load_image(encode(Image.new("CMYK", (8, 8), ink), kind)).astype(int)
        assert np.abs(pixels - expected).max() <= (2 if kind == "JPEG" else 0), ink


def test_lab():
    # CIE Lab under D50 of sRGB black, white, mid-grey and red; a and b are signed bytes in a TIFF.
    for lab, expected in {
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (255, 255, 255),
        (138, 0, 0): (129, 129, 129),  # L* = 54.1
        (138, 81, 70): (255, 0, 0),
    }.items():
        image = Image.frombytes("LAB", (1, 1), bytes(lab))
        assert np.abs(load_image(encode(image, "TIFF"))[0, 0].astype(int) - expected).max() <= 2, lab


# Deep samples


def test_grey16_is_exact():
    expected = three((GREY16 / 65535).astype(np.float32))
    for data in (
        encode(Image.fromarray(GREY16)),
        encode(Image.fromarray(GREY16), "TIFF"),
        encode(Image.fromarray(GREY16), "TIFF", compression="tiff_deflate"),
        tiff(7, 5, GREY16.astype(">u2").tobytes(), bits=16, order=">"),
        tiff(7, 5, (65535 - GREY16).tobytes(), bits=16, photometric=0),
        b"P5 7 5 65535\n" + GREY16.astype(">u2").tobytes(),
    ):
        pixels = load_image(data)
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-7)
    assert (load_image(Image.fromarray(GREY16.astype(np.int32))) == expected).all()
    ends = load_image(Image.fromarray(np.array([[0, 65535]], np.uint16)))
    assert ends[0, :, 0].tolist() == [0, 1]


def test_12_bit_tiff():
    pixels = load_image(tiff(2, 1, bytes([0xFF, 0xF8, 0x00]), bits=12))  # samples 0xFFF and 0x800
    np.testing.assert_allclose(pixels[0, :, 0], [1, 0x800 / 0xFFF], rtol=1e-6)


def test_32_bit_integers():
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    pixels = load_image(tiff(3, 1, values.tobytes(), bits=32))
    np.testing.assert_allclose(pixels[0, :, 1], [0, 0.5, 1], atol=1e-6)
    half = Image.fromarray(np.array([[2**30, 2**31 - 1]], np.int32))
    np.testing.assert_allclose(load_image(encode(half, "TIFF"))[0, :, 1], [0.5, 1], atol=1e-6)
    with pytest.raises(ImageError, match="none exceeds 40000, so its white level is in doubt"):
        load_image(encode(Image.fromarray(np.array([[0, 40000]], np.int32)), "TIFF"))
    with pytest.raises(ImageError, match=r"from -1 to 5, outside 0\.\.2147483647"):
        load_image(encode(Image.fromarray(np.array([[-1, 5]], np.int32)), "TIFF"))
    with pytest.raises(ImageError, match=r"outside 0\.\.65535"):
        load_image(Image.fromarray(np.array([[0, 65536]], np.int32)))
    with pytest.raises(ImageError, match="signed 8-bit"):
        load_image(tiff(2, 1, b"\x01\xff", bits=8, sample_format=2))


def test_float_tiff():
    values = np.array([[0, 0.25, 1]], np.float32)
    pixels = load_image(encode(Image.fromarray(values), "TIFF"))
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, three(values))
    for bad in (1.5, -0.1, np.nan, np.inf, 255):
        with pytest.raises(ImageError, match="white level is undefined: scale them"):
            load_image(encode(Image.fromarray(np.array([[0, bad]], np.float32)), "TIFF"))


@pytest.mark.filterwarnings("ignore:.*16-bit colour was read at 8 bits")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "f4"])
def test_tiff_variants_are_read_rightly_or_refused(dtype, order, compression):
    """Pillow misreads some of them without a word, hence the comparison with an independent writer."""
    tifffile = pytest.importorskip("tifffile")
    high = 1 if dtype == "f4" else np.iinfo(dtype).max
    for photometric in ("minisblack", "miniswhite", "rgb"):
        colour = photometric == "rgb"
        truth = np.array([0, 0.5, 0.75, 1] * 9).reshape((3, 4, 3) if colour else (6, 6))
        samples = (truth * high).astype(dtype)
        for planes in ("contig", "separate") if colour else (None,):
            file = io.BytesIO()
            tifffile.imwrite(
                file,
                np.ascontiguousarray(np.moveaxis(samples, 2, 0)) if planes == "separate" else samples,
                photometric=photometric,
                planarconfig=planes,
                byteorder=order,
                compression=compression,
            )
            case = (photometric, planes)
            try:
                pixels = load_image(file)
            except ImageError:
                assert dtype != "u1", case
                assert dtype != "u2" or planes == "separate" or case[0] == "miniswhite", case
            else:
                expected = truth if colour else three(1 - truth if photometric == "miniswhite" else truth)
                scaled = pixels / 255 if pixels.dtype == np.uint8 else pixels
                tolerance = 1 / 255 if pixels.dtype == np.uint8 else 1 / 65535
                np.testing.assert_allclose(scaled, expected, rtol=0, atol=tolerance, err_msg=str(case))


def test_tiff_variants_that_pillow_misreads():
    tifffile = pytest.importorskip("tifffile")
    planes, swapped = io.BytesIO(), io.BytesIO()
    tifffile.imwrite(planes, np.zeros((3, 4, 5), np.uint16), photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageError, match="separate planes, which Pillow misreads"):
        load_image(planes)
    tifffile.imwrite(swapped, np.full((4, 5), 0.5, np.float32), byteorder=">", compression="zlib")
    with pytest.raises(ImageError, match="compressed big-endian TIFF, which Pillow misreads"):
        load_image(swapped)


@pytest.mark.parametrize(("depth", "told"), [(8, False), (10, True), (12, True)])
def test_avif_of_more_than_8_bits_is_read_at_8_with_a_warning(depth, told):
    samples = np.full((16, 16, 3), 100, np.uint8 if depth == 8 else np.uint16)
    written, data = cv2.imencode(".avif", samples, [cv2.IMWRITE_AVIF_DEPTH, depth])
    assert written
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = load_image(data.tobytes())
    assert (pixels.dtype, pixels.shape) == (np.uint8, (16, 16, 3))
    assert ["10- or 12-bit colour was read at 8 bits" in str(one.message) for one in caught] == [True] * told
    assert all(one.filename == __file__ for one in caught)


def test_16_bit_colour_is_read_at_8_bits_with_a_warning(tmp_path):
    path = tmp_path / "deep.png"
    samples = np.array([[[0x1234, 0xABCD, 0xFFFF]]], ">u2")
    path.write_bytes(png(1, 1, 16, 2, b"\0" + samples.tobytes()))
    with pytest.warns(UserWarning, match=r"deep\.png: 16-bit colour was read at 8 bits") as caught:
        pixels = load_image(path)
    assert caught[0].filename == __file__
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[[0x12, 0xAB, 0xFF]]]
    with pytest.warns(UserWarning, match="16-bit colour"):  # grey with alpha
        pixels = load_image(png(1, 1, 16, 4, b"\0\x80\x00\xff\xff"))
    assert pixels.tolist() == [[[0x80, 0x80, 0x80]]]
    with pytest.warns(UserWarning, match="16-bit colour"):
        pixels = load_image(b"P6 1 1 65535\n" + np.array([0, 257 * 7, 65535], ">u2").tobytes())
    assert pixels.tolist() == [[[0, 7, 255]]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image(b"P6 1 1 100\n" + bytes([0, 50, 100]))


# Transparency


def test_alpha_is_composited_on_the_background():
    image = Image.fromarray(np.array([[[200, 100, 0, 128], [7, 8, 9, 0], [1, 2, 3, 255]]], np.uint8))
    # (200 * 128 + 127.5 * 127) / 255 = 163.89, then 113.69 and 63.50
    assert load_image(encode(image)).tolist() == [[[164, 114, 64], [128, 128, 128], [1, 2, 3]]]
    # (200 * 128 + 255 * 127) / 255 = 227.39, (100 * 128 + 0.2 * 255 * 127) / 255 = 75.60, 0
    tinted = load_image(encode(image), background=(1, 0.2, 0))
    assert tinted.tolist() == [[[227, 76, 0], [255, 51, 0], [1, 2, 3]]]
    grey = Image.fromarray(np.array([[[100, 128]]], np.uint8))
    assert grey.mode == "LA"
    assert load_image(encode(grey)).tolist() == [[[114, 114, 114]]]
    assert load_image(encode(image, "WEBP", lossless=True, exact=True)).tolist()[0][0] == [164, 114, 64]


def test_premultiplied_modes():
    straight = Image.new("LA", (1, 1), (100, 128))
    assert abs(int(load_image(straight.convert("La"))[0, 0, 0]) - 114) <= 1
    straight = Image.new("RGBA", (1, 1), (200, 100, 0, 128))
    assert np.abs(load_image(straight.convert("RGBa"))[0, 0].astype(int) - [164, 114, 64]).max() <= 1
    paletted = Image.new("P", (1, 1))
    paletted.putpalette([100, 100, 100])
    paletted = paletted.convert("PA")
    paletted.putalpha(128)
    assert load_image(paletted).tolist() == [[[114, 114, 114]]]


@pytest.mark.parametrize(
    ("bits", "row", "key", "expected"),
    [
        (1, b"\x40", 1, [0, 128]),
        (2, b"\x1b\x00", 2, [0, 85]),
        (2, b"\x1b\x00", 1, [0, 128]),
        (4, b"\x1f", 15, [17, 128]),
        (8, b"\x01\x02", 2, [1, 128]),
    ],
)
def test_transparent_grey_level(bits, row, key, expected):
    data = png(2, 1, bits, 0, b"\0" + row, (b"tRNS", struct.pack(">H", key)))
    assert load_image(data)[0, :, 0].tolist() == expected


def test_transparent_level_in_deep_grey():
    data = png(2, 1, 16, 0, b"\0\x01\x02\x03\x04", (b"tRNS", b"\x03\x04"))
    np.testing.assert_allclose(load_image(data)[0, :, 0], [0x0102 / 65535, 0.5], rtol=1e-6)
    tinted = load_image(data, background=(0, 0.25, 1))
    np.testing.assert_allclose(tinted[0, 1], [0, 0.25, 1], atol=1e-6)


def test_transparent_colour():
    data = png(2, 1, 8, 2, b"\0" + bytes([3, 4, 5, 3, 4, 6]), (b"tRNS", struct.pack(">HHH", 3, 4, 5)))
    assert load_image(data).tolist() == [[[128, 128, 128], [3, 4, 6]]]
    with pytest.raises(ImageError, match="transparent colour in 16-bit"):
        load_image(png(1, 1, 16, 2, bytes(7), (b"tRNS", bytes(6))))


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 1.1), (-0.1, 0, 0), (0, 0, np.nan), (128, 128, 128)])
def test_background_must_be_three_values_in_the_unit_range(background):
    with pytest.raises(ValueError, match="background must be three"):
        load_image(Image.new("RGB", (1, 1)), background=background)


# Orientation

# Where EXIF 2.32 says that the stored row 0 and column 0 lie on the upright picture.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored(upright, orientation):
    row_side, column_side = SIDES[orientation]
    pixels = upright
    if "right" in (row_side, column_side):
        pixels = pixels[:, ::-1]
    if "bottom" in (row_side, column_side):
        pixels = pixels[::-1]
    return pixels.transpose(1, 0, *range(2, pixels.ndim)) if row_side in ("left", "right") else pixels


def test_stored_matches_the_standard():
    """The table read literally, for the most frequent case of phones."""
    picture = np.array([[1, 2, 3], [4, 5, 6]])
    assert stored(picture, 6).tolist() == [[3, 6], [2, 5], [1, 4]]
    assert stored(picture, 6)[0].tolist() == picture[:, -1].tolist()  # row 0 is the right side


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_orientation(orientation, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow lacks AVIF")
    blocks = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [128, 128, 128], [255] * 3]])
    upright = np.kron(blocks, np.ones((16, 16, 1))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored(upright, orientation)))
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}.get(kind, {})
    pixels = load_image(encode(image, kind, exif=exif, **options))
    assert pixels.flags.c_contiguous
    assert pixels.shape == upright.shape
    centres = (slice(8, None, 16), slice(8, None, 16))
    assert np.abs(pixels[centres].astype(int) - upright[centres]).max() <= (0 if not options else 8)


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB", "RGBA", "CMYK", "P"])
@pytest.mark.parametrize("orientation", SIDES)
def test_orientation_of_tiff_files(orientation, mode, tmp_path):
    """By name as from bytes: files Pillow may map into memory, and tear."""
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    image = Image.fromarray(np.ascontiguousarray(stored(grey, orientation)))
    upright = Image.fromarray(grey)
    if mode == "I;16":
        image, upright = (
            Image.fromarray(np.asarray(one).astype(np.uint16) * 257) for one in (image, upright)
        )
    else:
        image, upright = (one.convert(mode) for one in (image, upright))
    path = tmp_path / "picture.tif"
    image.save(path, tiffinfo={0x0112: orientation})
    expected = load_image(encode(upright, "TIFF"))
    np.testing.assert_array_equal(load_image(path), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_image(file), expected)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(load_image(opened), expected)


@pytest.mark.parametrize("orientation", SIDES)
def test_orientation_of_deep_grey_and_of_alpha(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    deep = encode(Image.fromarray(np.ascontiguousarray(stored(GREY16, orientation))), exif=exif)
    np.testing.assert_array_equal(load_image(deep)[..., 0], (GREY16 / 65535).astype(np.float32))
    rgba = np.zeros((5, 7, 4), np.uint8)
    rgba[1, 2, 3] = 255
    pixels = load_image(encode(Image.fromarray(np.ascontiguousarray(stored(rgba, orientation))), exif=exif))
    assert np.argwhere(pixels[..., 0] == 0).tolist() == [[1, 2]]


def test_damaged_exif_is_ignored_with_a_warning():
    data = encode(Image.fromarray(RGB), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(load_image(data), RGB)


# Colour profiles


def icc(space, tags, *, device=b"mntr", pcs=b"XYZ "):
    """A minimal ICC v2 profile."""
    d50 = b"".join(struct.pack(">i", round(value * 65536)) for value in (0.9642, 1, 0.8249))
    text = b"x\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0" + text,
        b"wtpt": b"XYZ \0\0\0\0" + d50,
        **tags,
    }
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4xI", at + len(body), 0x02400000) + device + space + pcs + bytes(12) + b"acsp"
    return head.ljust(68, b"\0") + d50 + bytes(48) + table + body


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def matrix_profile(red, green, blue, curve):
    tags = {}
    for channel, xyz in zip("rgb", (red, green, blue), strict=True):
        packed = b"".join(struct.pack(">i", round(value * 65536)) for value in xyz)
        tags[f"{channel}XYZ".encode()] = b"XYZ \0\0\0\0" + packed
        tags[f"{channel}TRC".encode()] = curve
    return icc(b"RGB ", tags)


# sRGB primaries, adapted to D50 (Lindbloom)
PRIMARIES = (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)


def srgb_encoded(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_linear(encoded):
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


SRGB_CURVE = b"curv\0\0\0\0" + struct.pack(">I", 1024)
SRGB_CURVE += np.rint(srgb_linear(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()


@pytest.mark.parametrize("profile", [SRGB, matrix_profile(*PRIMARIES, SRGB_CURVE)], ids=["built in", "own"])
def test_srgb_profiles_change_nothing(profile):
    lattice = np.stack(np.meshgrid(*[np.arange(0, 256, 5, dtype=np.uint8)] * 3), axis=-1).reshape(52, -1, 3)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(lattice), icc_profile=profile)), lattice)
    ramp = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(ramp), icc_profile=profile)), three(ramp))
    deep = load_image(encode(Image.fromarray(GREY16), icc_profile=profile))
    np.testing.assert_array_equal(deep, three((GREY16 / 65535).astype(np.float32)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_linear_rgb_profile(kind):
    levels = np.array([0, 1, 10, 55, 128, 200, 255])
    expected = srgb_encoded(levels / 255) * 255
    picture = np.kron(three(levels[None]), np.ones((8, 8, 1))).astype(np.uint8)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    linear = matrix_profile(*PRIMARIES, gamma(1))
    pixels = load_image(encode(Image.fromarray(picture), kind, icc_profile=linear, **options))
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[4, 4::8] - expected[:, None]).max() <= 2


def test_swapped_primaries_swap_the_channels():
    red, green, blue = PRIMARIES
    swapped = matrix_profile(green, red, blue, SRGB_CURVE)
    pixels = load_image(encode(Image.fromarray(RGB), icc_profile=swapped))
    assert np.abs(pixels.astype(int) - RGB[..., [1, 0, 2]]).max() <= 2


def test_profile_applies_before_transparency_and_to_palettes():
    red, green, blue = PRIMARIES
    swapped = matrix_profile(green, red, blue, SRGB_CURVE)
    image = Image.new("RGBA", (1, 1), (200, 100, 0, 128))
    expected = np.array([114, 164, 64])  # as without profile, channels swapped; the background is not
    pixels = load_image(encode(image, icc_profile=swapped), background=(0.5, 0.5, 0.5))
    assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 2
    clear = load_image(encode(Image.new("RGBA", (1, 1)), icc_profile=swapped), background=(1, 0, 0))
    assert clear.tolist() == [[[255, 0, 0]]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([200, 100, 0])
    pixels = load_image(encode(palette, icc_profile=swapped))
    assert np.abs(pixels[0, 0].astype(int) - [100, 200, 0]).max() <= 2


def test_grey_profiles():
    linear = icc(b"GRAY", {b"kTRC": gamma(1)})
    ramp = np.arange(256, dtype=np.uint8)[None]
    pixels = load_image(encode(Image.fromarray(ramp), icc_profile=linear))
    assert np.abs(pixels[0] - srgb_encoded(ramp[0] / 255)[:, None] * 255).max() <= 0.51
    with_alpha = load_image(encode(Image.new("LA", (1, 1), (55, 128)), icc_profile=linear))
    level = srgb_encoded(np.float64(55 / 255)) * 255  # 128.8
    assert np.abs(with_alpha - (level * 128 + 127.5 * 127) / 255).max() <= 1
    # Grey with an RGB profile
    pixels = load_image(encode(Image.fromarray(ramp), icc_profile=matrix_profile(*PRIMARIES, gamma(1))))
    assert np.abs(pixels[0] - srgb_encoded(ramp[0] / 255)[:, None] * 255).max() <= 2


@pytest.mark.parametrize("exponent", [1, 2.25])
def test_grey_profile_of_deep_grey(exponent):
    profile = icc(b"GRAY", {b"kTRC": gamma(exponent)})
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels = load_image(encode(Image.fromarray(ramp), "TIFF", icc_profile=profile))
    assert pixels.dtype == np.float32
    expected = srgb_encoded((ramp / 65535) ** exponent)
    # The profile connection space has 16 bits, hence the looser bound where the sRGB curve is steep.
    np.testing.assert_allclose(pixels, three(expected), rtol=0, atol=3e-4)


def test_cmyk_profile():
    """A press on which every ink darkens: L* = 100 (1-c) (1-m) (1-y) (1-k), a* = b* = 0."""
    ramps = bytes(range(256))
    table = bytes(byte for corner in range(16) for byte in ((0 if corner else 255), 128, 128))
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramps * 4 + table + ramps * 3
    profile = icc(b"CMYK", {b"A2B0": lut}, device=b"prtr", pcs=b"Lab ")
    for ink, lightness in {
        (0, 0, 0, 0): 100,
        (0, 0, 0, 255): 0,
        (255, 0, 0, 0): 0,
        (0, 128, 0, 0): 49.8,
    }.items():
        luminance = ((lightness + 16) / 116) ** 3 if lightness > 8 else lightness / 903.3
        expected = srgb_encoded(np.float64(luminance)) * 255
        pixels = load_image(encode(Image.new("CMYK", (2, 2), ink), "TIFF", icc_profile=profile))
        assert np.abs(pixels - expected).max() <= 2, ink


def test_unusable_profiles_are_ignored_with_a_warning(tmp_path):
    broken = {
        "garbage": b"this is no profile",
        "cut": matrix_profile(*PRIMARIES, gamma(1))[:200],
        "of another space": icc(b"GRAY", {b"kTRC": gamma(1)}),
    }
    for profile in broken.values():
        path = tmp_path / "tagged.png"
        Image.fromarray(RGB).save(path, icc_profile=profile)
        with pytest.warns(UserWarning, match=r"tagged\.png: its colour profile was ignored") as caught:
            np.testing.assert_array_equal(load_image(path), RGB)
        assert caught[0].filename == __file__
    deep = encode(Image.fromarray(GREY16), icc_profile=matrix_profile(*PRIMARIES, gamma(1)))
    with pytest.warns(UserWarning, match="colour profile cannot be applied to deep grey"):
        np.testing.assert_array_equal(load_image(deep), three((GREY16 / 65535).astype(np.float32)))


def test_warnings_turned_into_errors_stay_warnings():
    data = encode(Image.fromarray(RGB), icc_profile=b"this is no profile")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="colour profile was ignored"):
            load_image(data)


# Errors


def test_missing_folder_empty(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.png does not exist: check the path$"):
        load_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="is a folder: name a picture file in it"):
        load_image(tmp_path)
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(ImageError, match=r"empty\.png is empty \(0 bytes\)"):
        load_image(empty)
    with pytest.raises(ImageError, match="does not exist"):
        load_image(empty / "below a file")
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(ImageError, match="not a usable path"):
            load_image(path)
    for nothing in (b"", io.BytesIO()):
        with pytest.raises(ImageError, match="not a picture"):
            load_image(nothing)


def test_not_a_picture(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("these are notes\n" * 100)
    with pytest.raises(ImageError, match=r"notes\.png is not a picture that Pillow can read") as caught:
        load_image(path)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(ImageError):
        load_image(io.StringIO("text"))


def test_permissions(tmp_path, monkeypatch):
    path = tmp_path / "locked.png"
    Image.fromarray(RGB).save(path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(ImageError, match=r"locked\.png may not be read by this user: change its permissions"):
        load_image(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_real_permissions(tmp_path):
    path = tmp_path / "locked.png"
    Image.fromarray(RGB).save(path)
    path.chmod(0)
    with pytest.raises(ImageError, match="may not be read"):
        load_image(path)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("GIF", {}),
        ("AVIF", {}),
        ("JXL", {}),
        ("JXL", {"lossless": True, "use_container": True}),
    ],
)
def test_truncated_files_never_give_wrong_pixels(tmp_path, kind, options):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow lacks AVIF")
    noise = RNG.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind, **options)
    whole = load_image(data)
    path = tmp_path / f"cut.{kind.lower()}"
    refused = 0
    cuts = {*np.linspace(1, len(data) - 1, 60, dtype=int).tolist(), *range(len(data) - 20, len(data))}
    for cut in cuts:
        path.write_bytes(data[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                pixels = load_image(path)
            except ImageError as error:
                refused += 1
                assert str(path) in str(error)  # noqa: PT017
                assert "truncated or damaged" in str(error) or "header is damaged" in str(error)  # noqa: PT017
            else:
                # Checksums and end marks may be missing, pixels may not.
                np.testing.assert_array_equal(pixels, whole)
    assert refused >= len(cuts) - 20


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_several_frames(tmp_path, kind):
    path = tmp_path / f"film.{kind.lower()}"
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=r"film.* is animated or multi-page: extract one frame first$"):
        load_image(path)
    with Image.open(path) as image:
        with pytest.raises(ImageError, match="animated or multi-page"):
            load_image(image)
        image.seek(1)
        assert np.abs(load_image(image.copy())[0, 0].astype(int) - [0, 0, 255]).max() <= 2


def test_multi_picture_jpeg_gives_the_primary():
    main, preview = Image.new("RGB", (16, 16), (200, 30, 40)), Image.new("RGB", (8, 8))
    pixels = load_image(encode(main, "MPO", save_all=True, append_images=[preview]))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - [200, 30, 40]).max() <= 3


def test_vector_drawings_are_refused():
    data = encode(Image.new("RGB", (4, 4)), "EPS")
    with pytest.raises(ImageError, match="vector drawing"):
        load_image(data)


def test_too_many_pixels(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 100_000, 8, 2, b""))
    with pytest.raises(ImageError, match=r"bomb\.png has more pixels than Pillow's guard"):
        load_image(path)
    path.write_bytes(png(1_000, 1_000, 8, 2, b""))
    with pytest.raises(ImageError, match="has 1000x1000 pixels, more than the 999999 allowed"):
        load_image(path, max_pixels=999_999)
    with pytest.raises(ImageError, match="truncated"):  # so that the limit was on the safe side of decoding
        load_image(path, max_pixels=1_000_000)
    assert load_image(Image.fromarray(RGB), max_pixels=35).shape == (5, 7, 3)
    with pytest.raises(ImageError, match="7x5 pixels"):
        load_image(Image.fromarray(RGB), max_pixels=34)
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 3)))


def test_bomb_warning_as_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="guard against decompression bombs"):
            load_image(png(10_000, 10_000, 8, 2, b""))


def test_pillow_settings_are_not_touched_by_threads():
    limit, red = (
        Image.MAX_IMAGE_PIXELS,
        encode(Image.fromarray(RGB), icc_profile=matrix_profile(*PRIMARIES, gamma(1))),
    )
    expected = load_image(red)
    with ThreadPoolExecutor(8) as pool:
        for pixels in pool.map(lambda _: load_image(red, max_pixels=100), range(64)):
            np.testing.assert_array_equal(pixels, expected)
    assert limit == Image.MAX_IMAGE_PIXELS


def load_or_refuse(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = load_image(data, max_pixels=100_000)
        except ImageError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert pixels.shape[2] == 3
            assert pixels.dtype in (np.uint8, np.float32)


FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
MAGIC = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF",
    b"II*\0\x08\0\0\0",
    b"MM\0*",
    b"GIF89a",
]
MAGIC += [
    b"BM",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"\0\0\0 ftypavif",
    b"\xff\x0a",
    b"\0\0\0\x0cJXL \r\n\x87\n",
    b"P5\n",
    b"P6\n",
    b"qoif",
    b"\0\0\x01\0",
    b"8BPS\0\x01",
]


@FUZZ
@given(st.sampled_from([b"", *MAGIC]), st.binary(max_size=300))
def test_random_bytes_load_or_raise_image_error(magic, data):
    load_or_refuse(magic + data)


SAMPLES = [
    encode(Image.fromarray(RGB), "JXL"),
    encode(Image.fromarray(RGB), "JXL", use_container=True),
    encode(Image.fromarray(RGB), icc_profile=SRGB[:300]),
    encode(Image.fromarray(GREY16)),
    encode(Image.fromarray(GREY16), "TIFF", compression="tiff_lzw"),
    encode(Image.fromarray(RGB), "TIFF"),
    encode(
        Image.fromarray(RGB),
        "JPEG",
        exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
    ),
    encode(Image.fromarray(GREY).convert("P"), "GIF"),
    encode(Image.fromarray(RGB), "WEBP"),
    encode(Image.fromarray(RGB), "BMP"),
    encode(Image.fromarray(RGB), "PPM"),
    encode(Image.fromarray(RGB), "JPEG2000"),
]


@FUZZ
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 400),
)
def test_damaged_files_load_or_raise_image_error(sample, changes, cut):
    data = bytearray(sample)
    for position, value in changes:
        data[position % len(data)] = value
    load_or_refuse(bytes(data[: len(data) - cut] if cut % 3 == 0 else data))


# Arrays


def test_to_float():
    assert to_float(np.array([0, 51, 255], np.uint8)).tolist() == [0, np.float32(0.2), 1]
    assert to_float(np.array([0, 65535], np.uint16)).tolist() == [0, 1]
    for dtype in (np.float16, np.float32, np.float64):
        converted = to_float(np.array([[0, 0.5, 1]], dtype))
        assert converted.dtype == np.float32
        assert converted.tolist() == [[0, 0.5, 1]]
    assert to_float(np.array([-5e-7, 1 + 5e-7])).tolist() == [0, 1]
    assert to_float(np.zeros((0, 3))).shape == (0, 3)
    source = np.array([0.5], np.float32)
    to_float(source)[0] = 0
    assert source[0] == 0.5


@pytest.mark.parametrize("values", [[0, 255.0], [-0.01, 1], [np.nan, 0], [np.inf, 0], [0, 1.00001]])
def test_to_float_refuses_other_ranges(values):
    with pytest.raises(ValueError, match="divide by the white level first"):
        to_float(np.array(values))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.int8, np.uint32, complex, object])
def test_to_float_refuses_other_types(dtype):
    with pytest.raises(ValueError, match="no defined range: convert them to uint8"):
        to_float(np.zeros(3, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(8, 10), (8, 10, 1), (8, 10, 3)])
def test_resize_to(dtype, shape):
    high = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    array = np.zeros(shape, dtype)
    array[:, 5:] = high
    resized = resize_to(array, (16, 20))
    assert resized.shape == (16, 20, *shape[2:])
    assert resized.dtype == dtype
    assert resized.min() == 0  # Lanczos overshoots at an edge, within the range of the type
    assert resized.max() == high
    assert resize_to(array, (8, 10)) is array
    flat = resize_to(np.full(shape, high // 2 or 0.5, dtype), (3, 17))
    np.testing.assert_allclose(flat.astype(float), float(high // 2 or 0.5), rtol=1e-6)


def test_resize_agrees_with_pillow_and_between_types():
    expected = np.asarray(Image.fromarray(RGB).resize((11, 3), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(resize_to(RGB, (3, 11)), expected)
    assert np.abs(resize_to(to_float(RGB), (3, 11)) * 255 - expected).max() < 1
    assert np.abs(resize_to(RGB.astype(np.uint16) * 257, (3, 11)) / 257 - expected).max() < 1
    np.testing.assert_array_equal(
        resize_to(RGB[::-1, ::-1], (3, 11)), resize_to(RGB[::-1, ::-1].copy(), (3, 11))
    )


def test_resize_refuses():
    for array in (np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 3, 1)), np.zeros((2, 2), np.int64)):
        with pytest.raises(ValueError, match=r"needed, not shape|cannot resize int64"):
            resize_to(array, (4, 4))
    with pytest.raises(ValueError, match="must be positive, not 0 x 4"):
        resize_to(RGB, (0, 4))


def test_match_sizes():
    small, large = np.zeros((4, 6, 3), np.uint8), np.zeros((8, 12, 3), np.uint8)
    for mode in ("none", "dist-to-ref", "ref-to-dist"):
        dist, ref = match_sizes(small, small, mode)
        assert dist is small
        assert ref is small
    dist, ref = match_sizes(small, large, "dist-to-ref")
    assert dist.shape == large.shape
    assert ref is large
    dist, ref = match_sizes(small, large, "ref-to-dist")
    assert ref.shape == small.shape
    assert dist is small
    message = r"distorted picture is 6x4 but the reference is 12x8 .* --resize dist-to-ref$"
    with pytest.raises(ImageError, match=message):
        match_sizes(small, large)
    with pytest.raises(ValueError, match="resize mode must be one of none, dist-to-ref, ref-to-dist"):
        match_sizes(small, small, "stretch")


def test_import_does_not_load_pillow():
    code = "import sys, birqa.images, birqa.pairing; print([name for name in sys.modules if 'PIL' in name])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
