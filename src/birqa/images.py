"""Picture files to arrays: decoding, colour, transparency, sizes.

Pillow is imported inside the functions, so that importing this module costs only NumPy.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias, get_args

import numpy as np

from birqa import jpeg_xl

if TYPE_CHECKING:
    from PIL import Image, ImageCms

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image"
ResizeMode = Literal["none", "dist-to-ref", "ref-to-dist"]

_ORIENTATION_TAG = 0x0112
_LOOKED_AT = 2**16
"""Bytes at the beginning of a file, in which its properties stand."""
_TIFF_BITS, _TIFF_COMPRESSION, _TIFF_PHOTOMETRIC, _TIFF_PLANES, _TIFF_SAMPLE_FORMAT = 258, 259, 262, 284, 339


class ImageError(ValueError):
    """A picture cannot be used; the message is one sentence: which file, what is wrong, how to mend it."""


def require_eight_bit(picture: np.ndarray, file: object) -> None:
    """Raises ValueError, which names the file, for a picture that `load_image` gave more than 8 bits."""
    if picture.dtype != np.uint8:
        raise ValueError(f"{file} is not an 8-bit picture: convert it.")


def load_image(
    source: ImageSource,
    *,
    background: tuple[float, float, float] = (0.5, 0.5, 0.5),
    max_pixels: int = 200_000_000,
) -> np.ndarray:
    """Read a picture as sRGB, shape (height, width, 3).

    ``source`` is a path, the bytes of an encoded picture, a binary file object (read from its start) or a
    Pillow image (never changed, beyond Pillow loading it). Every format and mode that Pillow decodes is
    accepted, except vector formats; JPEG XL where a reader for it is installed (``pip install
    "birqa[jxl]"``).

    Returns uint8 in 0..255 for 8-bit sources, and float32 in [0, 1] for deeper grey ones: 10..16-bit and
    32-bit integers are divided by the largest value of the file's sample type, float samples must lie in
    [0, 1] already. A Pillow image of mode "I" that carries no TIFF header is taken as 16-bit.

    **Deep colour is read at 8 bits.** Pillow keeps 16 bits for grey only: a 16-bit RGB(A) PNG or TIFF, a
    16-bit grey+alpha PNG, a PPM of more than 8 bits, a 10- or 12-bit AVIF and deep colour in JPEG XL arrive
    cut to 8 bits, so they give uint8, and a warning says so (for AVIF and JPEG XL not where ``source`` is a
    Pillow image, which leaves no trace of it). To compare such pictures at full depth, decode them with
    another library and pass the arrays.

    An embedded ICC profile is converted to sRGB (perceptual intent); one that differs from sRGB by no more
    than one level is taken as sRGB, and one that cannot be used is ignored with a warning. CMYK without a
    profile is converted by Pillow's plain formula. PNG gAMA/cHRM and HDR signalling (cICP, PQ, HLG) are not
    interpreted. EXIF orientation is applied. Alpha, palette transparency and PNG transparent colours are
    composited on ``background`` (sRGB values in [0, 1]), in sRGB values, after the colour conversion. Of a
    multi-picture JPEG (MPO: gain map, preview, stereo) the primary picture is read.

    Raises:
        ImageError: the file is missing, a folder, empty, unreadable, not a picture, truncated or damaged;
            it holds several frames or pages; it has more than ``max_pixels`` pixels, or more than Pillow's
            own limit (``2 * PIL.Image.MAX_IMAGE_PIXELS``, about 179 million, which holds even when
            ``max_pixels`` is larger); its sample range is undefined; or it is a TIFF of a kind that Pillow
            misreads (16-bit colour in separate planes, compressed big-endian float or signed). Truncated
            files are recognised unless the program has set ``PIL.ImageFile.LOAD_TRUNCATED_IMAGES``.
        ValueError: ``background`` is not three numbers in [0, 1].
        TypeError: ``source`` is of none of the types above.
    """
    if len(background) != 3 or not all(0 <= level <= 1 for level in background):
        raise ValueError(f"background must be three sRGB values in [0, 1], not {background!r}")
    from PIL import Image

    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "")) or "the given Pillow image"
        if source.format == "TIFF" and getattr(source, "tile", None) and getattr(source, "filename", ""):
            # Not yet decoded; see below.
            return load_image(name, background=background, max_pixels=max_pixels)
        with _decoding(name):
            return _to_array(source, name, background, max_pixels)
    file: Any = source
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, file = "the given image data", io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        _check_path(name)
        # Pillow maps a TIFF that it opens by name into memory, with the sides of what its orientation makes
        # of it, and so tears it.
        with _decoding(name), open(name, "rb") as opened, _open(opened, name, max_pixels) as image:
            return _to_array(image, name, background, max_pixels)
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the given image data"))
    else:
        raise TypeError(f"a path, bytes, binary file or Pillow image is needed, not {type(source).__name__}")
    with _decoding(name), _open(file, name, max_pixels) as image:
        return _to_array(image, name, background, max_pixels)


def to_float(array: np.ndarray) -> np.ndarray:
    """Scale samples to float32 in [0, 1]; any shape.

    uint8 is divided by 255 and uint16 by 65535. Floats must already lie in [0, 1], give or take 1e-6 (the
    excess is clipped).

    Raises:
        ValueError: floats outside [0, 1] or not finite, or a dtype whose range is not defined.
    """
    if array.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        white = np.float32(np.iinfo(array.dtype).max)
        return np.divide(array, white, dtype=np.float32)
    if array.dtype.kind != "f":
        raise ValueError(
            f"{array.dtype} samples have no defined range: convert them to uint8, uint16 or float in [0, 1]"
        )
    if not array.size:
        return array.astype(np.float32)
    low, high = array.min(), array.max()
    # Written so that NaN, for which every comparison is false, is refused as well.
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise ValueError(
            f"float samples must lie in [0, 1] but run from {low:g} to {high:g}: "
            "divide by the white level first (255 for 8-bit values)"
        )
    return np.clip(array, 0, 1).astype(np.float32)


def resize_to(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample with Pillow's antialiased Lanczos filter to ``size`` = (height, width).

    ``array`` is (height, width) or (height, width, channels): uint8, uint16, or float in [0, 1]. The dtype
    is kept; overshoot is clipped to its range ([0, 1] for floats). An array that already has the size is
    returned as it is, not copied.

    Raises:
        ValueError: another dtype or shape, or a size that is not positive.
    """
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"(height, width) or (height, width, channels) is needed, not shape {array.shape}")
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise ValueError(f"cannot resize {array.dtype} samples: convert them to uint8, uint16 or float")
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"the size must be positive, not {height} x {width}")
    if array.shape[:2] == (height, width):
        return array
    from PIL import Image

    planes = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8:
        planes = planes.astype(np.float32)
    channels = [
        Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), Image.Resampling.LANCZOS)
        for plane in np.moveaxis(planes, 2, 0)
    ]
    resized = np.stack([np.asarray(channel) for channel in channels], axis=2)
    if array.dtype.kind == "f":
        resized = np.clip(resized, 0, 1)
    elif array.dtype == np.uint16:
        resized = np.clip(np.rint(resized), 0, 65535)
    return resized.astype(array.dtype, copy=False).reshape((height, width, *array.shape[2:]))


def reduce_to(array: np.ndarray, shorter_side: int | None) -> np.ndarray:
    """`array` as `resize_to` takes it, its shorter side reduced to so many pixels; as it is where that is no
    longer than asked, or None was asked."""
    shorter = min(array.shape[:2])
    if shorter_side is None or shorter <= shorter_side:
        return array
    height, width = (max(1, round(side * shorter_side / shorter)) for side in array.shape[:2])
    return resize_to(array, (height, width))


def match_sizes(
    dist: np.ndarray, ref: np.ndarray, mode: ResizeMode = "none"
) -> tuple[np.ndarray, np.ndarray]:
    """Give both pictures one size; returns (dist, ref), untouched where the sizes agree.

    Both are (height, width[, channels]). "dist-to-ref" resamples the distorted picture to the size of the
    reference, "ref-to-dist" the reverse (see `resize_to`).

    Raises:
        ImageError: ``mode`` is "none" and the sizes differ.
        ValueError: ``mode`` is none of the three.
    """
    if mode not in get_args(ResizeMode):
        raise ValueError(f"resize mode must be one of {', '.join(get_args(ResizeMode))}, not {mode!r}")
    if dist.shape[:2] == ref.shape[:2]:
        return dist, ref
    if mode == "dist-to-ref":
        return resize_to(dist, ref.shape[:2]), ref
    if mode == "ref-to-dist":
        return dist, resize_to(ref, dist.shape[:2])
    raise ImageError(
        f"the distorted picture is {dist.shape[1]}x{dist.shape[0]} but the reference is "
        f"{ref.shape[1]}x{ref.shape[0]} (width x height): give pictures of one size, "
        "or resample with --resize dist-to-ref"
    )


def _check_path(name: str) -> None:
    try:
        status = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{name} does not exist: check the path") from None
    except PermissionError:
        raise _unreadable(name) from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{name!r} is not a usable path ({error}): check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{name} is a folder: name a picture file in it")
    if stat.S_ISREG(status.st_mode) and not status.st_size:
        raise ImageError(f"{name} is empty (0 bytes): copy or export it again")


def _open(file: Any, name: str, max_pixels: int) -> Image.Image:
    """As Pillow opens it, JPEG XL with the reader that others have made for Pillow."""
    from PIL import Image

    try:
        file.seek(0)
    except (AttributeError, io.UnsupportedOperation):
        file = io.BytesIO(file.read())
    start = file.read(_LOOKED_AT)
    file.seek(0)
    if not start.startswith(jpeg_xl.SIGNATURES):
        image = Image.open(file)
        if image.format == "AVIF" and _is_deep_avif(start):
            _warn_of_cut(name, "10- or 12-bit")
        return image
    # The reader decodes all pixels as it opens a file, and of several frames keeps the last.
    try:
        header = jpeg_xl.read_header(file.read())
    except ValueError as error:
        raise OSError(str(error)) from None
    _check_size(header.width, header.height, name, max_pixels)
    if header.animated:
        raise _several_frames(name)
    if "JXL" not in Image.OPEN:
        try:
            import pillow_jxl  # noqa: F401
        except ModuleNotFoundError:
            raise ImageError(
                f'{name} is a JPEG XL picture, which Pillow alone cannot read: pip install "birqa[jxl]"'
            ) from None
    file.seek(0)
    try:
        image = Image.open(file)
    except RuntimeError:
        # The reader's own words are about how it was built.
        raise OSError("the JPEG XL decoder refuses it") from None
    if header.depth > 8 and not image.mode.startswith("I"):
        _warn_of_cut(name, f"{header.depth}-bit")
    return image


def _is_deep_avif(start: bytes) -> bool:
    """Source: AV1 Codec ISO Media File Format Binding, AV1CodecConfigurationRecord, high_bitdepth."""
    at = start.find(b"av1C")
    return at >= 0 and len(start) > at + 6 and bool(start[at + 6] & 0x40)


def _warn_of_cut(name: str, depth: str) -> None:
    # The caller of load_image.
    warnings.warn(f"{name}: {depth} colour was read at 8 bits, Pillow can do no more", stacklevel=4)


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width}x{height} pixels, more than the {max_pixels} allowed: "
            "crop or downscale it, or raise max_pixels"
        )


def _several_frames(name: str) -> ImageError:
    return ImageError(f"{name} is animated or multi-page: extract one frame first")


def _unreadable(name: str) -> ImageError:
    return ImageError(f"{name} may not be read by this user: change its permissions")


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on a bad file into an ImageError.

    Decoders fed damaged files raise nearly anything (OSError, SyntaxError, struct.error, KeyError, ...),
    hence the catch-all; the cause is dropped because its traceback says nothing to the owner of the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise ImageError(
            f"{name} is not a picture that Pillow can read, or its header is damaged: "
            "export it as PNG, JPEG, WebP, TIFF, BMP or AVIF"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"{name} has more pixels than Pillow's guard against decompression bombs allows: "
            "crop or downscale it; a Python program that trusts it may raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from None
    except (ImageError, Warning):  # a Warning gets here only where the program turns them into errors
        raise
    except PermissionError:
        raise _unreadable(name) from None
    except MemoryError:
        raise ImageError(f"{name} does not fit into the free memory: crop or downscale it") from None
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "MAX_TEXT" in reason:
            raise ImageError(
                f"{name} carries more text or a larger colour profile than Pillow reads from a PNG: "
                "export it without metadata"
            ) from None
        raise ImageError(f"{name} is truncated or damaged ({reason}): copy or export it again") from None


def _to_array(image: Image.Image, name: str, background: Sequence[float], max_pixels: int) -> np.ndarray:
    width, height = image.size
    if not width * height:
        raise ImageError(f"{name} has no pixels ({width}x{height}): export it again")
    _check_size(width, height, name, max_pixels)
    if image.format in ("EPS", "WMF", "EMF"):
        raise ImageError(f"{name} is a vector drawing ({image.format}): rasterise it to PNG first")
    # The further pictures of an MPO are a gain map or preview of the first, as most phones write them.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise _several_frames(name)

    cut = _is_cut_to_eight_bits(image)
    raw_modes = str(getattr(image, "tile", ""))  # Pillow empties it on load
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        pixels, alpha = _deep_grey(image, name)
    else:
        if cut:
            if "transparency" in image.info:
                raise ImageError(
                    f"{name} marks a transparent colour in 16-bit colour, which cannot be read exactly: "
                    "export it with an alpha channel"
                )
            _warn_of_cut(name, "16-bit")
        pixels, alpha = _colour(image, name, raw_modes)
    if alpha is not None and alpha.min() < 255:
        pixels = _composite(pixels, alpha, background)
    return np.ascontiguousarray(_upright(pixels, _orientation(image, name)))


def _is_cut_to_eight_bits(image: Image.Image) -> bool:
    """Whether colour of more bits will be decoded to 8, as far as Pillow tells before it decodes."""
    for codec, _, _, how in getattr(image, "tile", ()):
        if ";16" in str(how) or (codec.startswith("ppm") and how[1] > 255):
            return True
    return False


def _deep_grey(image: Image.Image, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Modes I;16*, I and F as float32 (height, width, 3) in [0, 1], and the alpha as uint8."""
    raw = np.asarray(image)
    tags: Any = getattr(image, "tag_v2", {})
    if tags and image.mode in ("I", "F") and tags.prefix == b"MM" and tags.get(_TIFF_COMPRESSION, 1) != 1:
        # Pillow 13 swaps bytes that libtiff has swapped already; the garbage may even lie within the range.
        raise ImageError(
            f"{name} is a compressed big-endian TIFF, which Pillow misreads: save it uncompressed"
        )
    if image.mode == "F":
        low, high = raw.min(), raw.max()
        if not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ImageError(
                f"{name} has float samples from {low:g} to {high:g}, whose white level is undefined: "
                "scale them to [0, 1]"
            )
        samples = np.clip(raw, 0, 1).astype(np.float32)
    else:
        white = 65535
        if tags:
            bits, signed = tags.get(_TIFF_BITS, (1,))[0], tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == 2
            if bits == 32 and not signed:
                raw = raw.view(np.uint32)
            white = 2 ** (bits - signed) - 1
        low, high = int(raw.min()), int(raw.max())
        if low < 0 or high > white:
            raise ImageError(
                f"{name} has integer samples from {low} to {high}, outside 0..{white}: "
                "save it as unsigned 16-bit"
            )
        if white > 65535 and 0 < high <= 65535:
            raise ImageError(
                f"{name} declares 32-bit samples but none exceeds {high}, so its white level is in doubt: "
                "save it as 16-bit"
            )
        samples = (raw / np.float64(white)).astype(np.float32)
    if tags.get(_TIFF_PHOTOMETRIC) == 0:  # white is zero, which Pillow inverts for 8 bits only
        samples = 1 - samples

    profile = image.info.get("icc_profile")
    if profile:
        try:
            curve = _grey_curve(profile)
        except Exception as error:
            _warn_profile(name, error)
        else:
            if curve is not None:
                samples = curve[np.rint(samples * np.float32(65535)).astype(np.uint16)]
    return np.repeat(samples[..., None], 3, axis=2), _keyed_alpha(raw, image.info.get("transparency"))


def _colour(image: Image.Image, name: str, raw_modes: str) -> tuple[np.ndarray, np.ndarray | None]:
    """8-bit modes as sRGB uint8 (height, width, 3), and the alpha as uint8."""
    transparency, profile = image.info.get("transparency"), image.info.get("icc_profile")
    tags: Any = getattr(image, "tag_v2", {})
    if tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == 2:
        raise ImageError(f"{name} has signed 8-bit samples, whose white level is undefined: save as unsigned")
    if tags.get(_TIFF_PLANES) == 2 and 16 in tags.get(_TIFF_BITS, ()):
        # Pillow 13 takes the bytes of such planes for 8-bit samples and returns noise.
        raise ImageError(
            f"{name} stores 16-bit colour in separate planes, which Pillow misreads: "
            "save it with interleaved samples"
        )
    mode = image.mode
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif mode in ("La", "RGBa"):
        image = image.convert(mode.upper())

    alpha = None
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        image = image.getchannel("L") if image.mode == "LA" else image.convert("RGB")
    elif image.mode == "LAB":
        # Lab values are already independent of a device, so an embedded profile has nothing to add.
        return np.array(_lab_transform().apply(image)), None
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if mode in ("1", "L", "RGB"):
        # PNG stores the key of 2- and 4-bit grey at that depth, but Pillow widens the samples to 8 bits.
        scale = 85 if "L;2" in raw_modes else 17 if "L;4" in raw_modes else 1
        alpha = _keyed_alpha(np.asarray(image), transparency, scale)

    if profile:
        try:
            if image.mode == "L" and profile[16:20] == b"GRAY":
                curve = _grey_curve(profile)
                if curve is not None:
                    image = image.point(np.rint(curve[::257] * 255).astype(int).tolist())
            else:
                # Grey pictures with an RGB profile are common, and meant as R = G = B.
                image = image.convert("RGB") if image.mode == "L" else image
                transform = _srgb_transform(profile, image.mode)
                if transform is not None:
                    image = transform.apply(image)
        except Exception as error:
            _warn_profile(name, error)
    return np.array(image if image.mode == "RGB" else image.convert("RGB")), alpha


def _keyed_alpha(samples: np.ndarray, key: object, scale: int = 1) -> np.ndarray | None:
    """Alpha of a picture in which one grey level (int) or colour (tuple) stands for transparent."""
    if isinstance(key, int):
        transparent = samples == key * scale
    elif isinstance(key, tuple):
        transparent = (samples == np.array(key)).all(axis=-1)
    else:
        return None
    return np.where(transparent, 0, 255).astype(np.uint8)


def _composite(pixels: np.ndarray, alpha: np.ndarray, background: Sequence[float]) -> np.ndarray:
    backdrop = np.array(background, np.float32)
    opacity = alpha[..., None].astype(np.float32)
    if pixels.dtype == np.uint8:
        # The division comes last so that halves are exact and always round up.
        blended = (pixels * opacity + backdrop * 255 * (255 - opacity)) / 255
        return np.floor(blended + np.float32(0.5)).astype(np.uint8)
    return (pixels * opacity + backdrop * (255 - opacity)) / np.float32(255)


def _orientation(image: Image.Image, name: str) -> int:
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        # The decoder has turned it; only what was a JPEG comes as that had it.
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        warnings.warn(f"{name}: its EXIF data is damaged and was ignored", stacklevel=4)
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    return pixels.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else pixels


def _warn_profile(name: str, error: Exception) -> None:
    warnings.warn(f"{name}: its colour profile was ignored, as if it were sRGB ({error})", stacklevel=5)


# The transforms are cached because the pictures of a data set mostly share one profile.


@lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Transform from ``mode`` ("RGB" or "CMYK") to 8-bit sRGB, or None if it would change nothing.

    What counts is what the profile does, not its name: many files carry sRGB under other names, and the
    rounding of a conversion from sRGB to sRGB would only disturb them.
    """
    from PIL import Image, ImageCms

    transform = ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
    )
    if mode == "CMYK":
        return transform
    levels = np.arange(256, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(*[levels[::15]] * 3), axis=-1).reshape(1, -1, 3)
    probe = np.concatenate([lattice, np.repeat(levels[None, :, None], 3, axis=2)], axis=1)
    converted = np.asarray(transform.apply(Image.fromarray(probe))).astype(int)
    return None if np.abs(converted - probe).max() <= 1 else transform


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    from PIL import ImageCms

    return ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        "LAB",
        "RGB",
        flags=ImageCms.Flags.NOOPTIMIZE,  # optimised, white becomes (254, 255, 254)
    )


@lru_cache(maxsize=4)
def _grey_curve(profile: bytes) -> np.ndarray | None:
    """sRGB value in [0, 1] of each 16-bit grey level under ``profile``, or None if it would change nothing.

    Pillow has no 16-bit RGB to convert into, so the conversion goes to grey with the sRGB curve.
    """
    from PIL import Image, ImageCms

    if profile[16:20] != b"GRAY":
        if _srgb_transform(profile, "RGB") is None:
            return None
        raise ValueError("a colour profile cannot be applied to deep grey")
    transform = ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(io.BytesIO(_srgb_grey_profile())),
        "I;16",
        "I;16",
        # Optimised, LittleCMS interpolates in a coarse table, off by half an 8-bit level in the shadows.
        flags=ImageCms.Flags.NOOPTIMIZE,
    )
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    converted = np.asarray(transform.apply(Image.fromarray(ramp)))
    if np.abs(converted.astype(int) - ramp).max() <= 257:
        return None
    return converted.ravel().astype(np.float32) / np.float32(65535)


def _srgb_grey_profile() -> bytes:
    """A minimal ICC v4 grey profile with the sRGB transfer curve, which LittleCMS cannot make via Pillow."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    d50 = fixed(0.9642, 1.0, 0.8249)
    curve = fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + d50,
        b"kTRC": b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + curve,
    }
    body_at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", body_at + len(body), len(data))
        body += data
    header = struct.pack(">I4xI", body_at + len(body), 0x04200000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp"
    return header.ljust(68, b"\0") + d50 + bytes(48) + table + body
