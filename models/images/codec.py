"""Hostile bytes to an Image, and an Image to bytes within a platform's limits.

Reasons of `ImageRejected`: empty, not-an-image, unsupported-format, too-small, too-large,
too-costly, truncated, broken; of `models.images.decoder` also crashed.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageChops, ImageCms
from PIL.Image import Transpose

from models.base import Image, ImageRejected, Mask
from models.images import xmp
from models.images.canvas import Canvas

DIGITAL_SOURCE_TYPE = xmp.DIGITAL_SOURCE_TYPE

# What platforms serve and people upload. TIFF, PSD, EPS and the rest bring large, rarely fuzzed
# parsers for images that no network delivers.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
OWN_FORMATS = (*FORMATS, "TIFF", "HEIF")  # of files that the operator names

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # offset, bytes, format
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WEBP"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (0, b"BM", "BMP"),
    *((4, b"ftyp" + brand, "HEIF") for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1")),
    (4, b"ftyp", "HEIF or video"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"8BPS", "PSD"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\1\0", "ICO"),
)
_END = {"JPEG": b"\xff\xd9", "PNG": b"IEND", "GIF": b";"}
_NAMES = {"jpg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "pjpeg": "JPEG", "ms-bmp": "BMP"}
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_quiet = threading.Lock()  # warnings.catch_warnings changes the whole process


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An image as a person would see it: upright, sRGB, its first frame."""

    pixels: Image  # (H, W, 3) uint8; transparent parts on white
    alpha: NDArray[np.uint8] | None  # (H, W), 0 transparent .. 255 opaque; None: opaque
    format: str  # by content: one of FORMATS
    frames: int
    notes: tuple[str, ...]  # exif-rotated, icc, icc-ignored, cmyk, 16-bit, first-frame, ...


def decode(
    data: bytes,
    *,
    max_pixels: int = 50_000_000,
    min_side: int = 16,
    shrink_to: int | None = None,
    declared: str = "",
    own: bool = False,
) -> Decoded:
    """Decode bytes that are not trusted. Raises ImageRejected and nothing else.

    What a stranger made may cost hours or gigabytes here: `models.images.decoder` decodes it in a
    process with limits.

    `shrink_to`: short side in pixels; a larger image is reduced to about it while decoding (a JPEG
    never exists at full size then). `declared`: the extension or media type the image came with; a
    contradiction is only noted ("mislabelled"). `own`: the operator's file: TIFF and HEIC, too; the
    latter needs tagecho[heic].
    """
    if not data:
        raise ImageRejected("empty")
    kind = _sniff(data, OWN_FORMATS if own else FORMATS)
    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of a stranger's file; the result counts
            return _decode(data, kind, max_pixels, min_side, shrink_to, declared)
    except ImageRejected:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise ImageRejected("too-large", str(error)) from error
    except MemoryError:  # where it is bounded: `models.images.decoder`
        raise ImageRejected("too-costly", f"{kind}: more memory than is allowed") from None
    except Exception as error:  # Pillow's parsers raise whatever they stumble over
        reason = "truncated" if _cut_short(data, kind, str(error)) else "broken"
        raise ImageRejected(reason, f"{kind}: {error}") from error


def _sniff(data: bytes, formats: tuple[str, ...]) -> str:
    for offset, signature, kind in _SIGNATURES:
        if data.startswith(signature, offset):
            if kind not in formats:
                raise ImageRejected("unsupported-format", kind)
            if kind == "HEIF":
                _open_heif()
            return kind
    raise ImageRejected("not-an-image")


def _open_heif() -> None:
    """Pillow opens HEIC from now on, in this process."""
    try:
        import pi_heif  # noqa: PLC0415 - an extra
    except ImportError:
        raise ImageRejected("unsupported-format", "HEIC needs tagecho[heic]") from None
    pi_heif.register_heif_opener()


def _cut_short(data: bytes, kind: str, message: str) -> bool:
    """Whether bytes that did not decode lack their end."""
    if kind in ("WEBP", "BMP"):  # both state their length
        start, extra = (4, 8) if kind == "WEBP" else (2, 0)
        return int.from_bytes(data[start : start + 4], "little") + extra > len(data)
    missing = kind in _END and _END[kind] not in data[-64:]
    return missing or "truncated" in message.lower()


def _decode(
    data: bytes, kind: str, max_pixels: int, min_side: int, shrink_to: int | None, declared: str
) -> Decoded:
    notes: list[str] = []
    with PIL.Image.open(io.BytesIO(data), formats=(kind,)) as image:
        _check_size(image, max_pixels, min_side)
        # A phone's MPO is a JPEG with further views behind it, not an animation.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        full = image.size
        if shrink_to is not None:
            image.draft(image.mode, (shrink_to, shrink_to))
        image.load()
        _check_size(image, max_pixels, 1)  # a frame may be larger than the header said
        upright = _upright(image, notes)
    if frames > 1:
        notes.append("first-frame")
    if shrink_to is not None:
        upright = _reduced(upright, shrink_to)
    if sorted(upright.size) != sorted(full):
        notes.append("shrunk")
    alpha = _alpha(upright)
    colours = _srgb(_opaque(upright, data, kind, notes), notes)
    if alpha is not None:
        notes.append("alpha")
        colours.paste((255, 255, 255), mask=ImageChops.invert(alpha))  # no third picture in memory
    if _contradicts(declared, kind):
        notes.append("mislabelled")
    opacity = None if alpha is None else _array(alpha)
    return Decoded(_array(colours), opacity, kind, frames, tuple(notes))


def _check_size(image: PIL.Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRejected("too-large", f"{width}x{height} is over {max_pixels} pixels")
    if min(width, height) < min_side:
        raise ImageRejected("too-small", f"{width}x{height}; a side needs {min_side} pixels")


def _upright(image: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a damaged EXIF block is no reason to refuse the picture
        notes.append("exif-broken")
        orientation = 1
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    if method is None:
        return image
    notes.append("exif-rotated")
    return image.transpose(method)


def _reduced(image: PIL.Image.Image, short_side: int) -> PIL.Image.Image:
    """By a whole factor, so that the short side keeps at least `short_side`."""
    factor = min(image.size) // short_side
    averageable = image.mode in ("L", "LA", "RGB", "RGBA", "CMYK")
    return image.reduce(factor) if factor > 1 and averageable else image


def _alpha(image: PIL.Image.Image) -> PIL.Image.Image | None:
    """Opacity, mode L; None when every pixel is opaque."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I;16"):
        hidden = np.asarray(image) == image.info["transparency"]
        alpha = PIL.Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8))
    else:
        full = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
        alpha = full.getchannel("A")
    return None if alpha.getextrema()[0] == 255 else alpha


def _opaque(image: PIL.Image.Image, data: bytes, kind: str, notes: list[str]) -> PIL.Image.Image:
    """The image in mode L, RGB or CMYK, 8 bits, its alpha left out."""
    if kind == "PNG" and data[24:25] == b"\x10":
        notes.append("16-bit")
    if image.mode.startswith("I"):  # grey; Pillow takes the high byte of 16-bit colours by itself
        grey = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        grey.info = image.info
        return grey
    if image.mode == "CMYK":
        notes.append("cmyk")
        return image
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _srgb(image: PIL.Image.Image, notes: list[str]) -> PIL.Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" not in ImageCms.getProfileDescription(source).lower():
                converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
                notes.append("icc")
                return converted if converted is not None else image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            notes.append("icc-ignored")  # damaged, or of another colour space than the pixels
    return image if image.mode == "RGB" else image.convert("RGB")


def _array(image: PIL.Image.Image) -> NDArray[np.uint8]:
    """The pixels, writable. In bands: Pillow's own way holds a large image three times over."""
    bands = 1 if image.mode == "L" else 3
    out = np.empty((image.height, image.width, bands), dtype=np.uint8)
    for top in range(0, image.height, 256):
        strip = image.crop((0, top, image.width, min(top + 256, image.height)))
        out[top : top + 256] = np.asarray(strip).reshape(strip.height, strip.width, bands)
    return out[..., 0] if bands == 1 else out


def _contradicts(declared: str, kind: str) -> bool:
    """Whether an extension or media type names another format than the content's."""
    name = declared.partition(";")[0].strip().lower()
    if "/" not in name and "." not in name:
        return False
    name = re.split(r"[/.]", name)[-1].removeprefix("x-")
    return name not in ("", "*", "octet-stream") and _NAMES.get(name, name.upper()) != kind


def _srgb_profile() -> ImageCms.ImageCmsProfile:
    """lcms' sRGB without today's date, so that equal images stay equal bytes."""
    fresh = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    dated = fresh[:24] + b"\x07\xea\0\1\0\1\0\0\0\0\0\0" + fresh[36:]
    return ImageCms.ImageCmsProfile(io.BytesIO(dated))


_SRGB = _srgb_profile()
_SRGB_BYTES = _SRGB.tobytes()


def encode_jpeg(
    image: Image,
    *,
    description: str,
    alt_text: str | None = None,
    max_bytes: int = 8_000_000,
    quality: int = 92,
    digital_source_type: str = DIGITAL_SOURCE_TYPE,
    creator_tool: str = "tagecho",
) -> bytes:
    """(H, W, 3) uint8 -> JPEG in sRGB with XMP; the same arguments give the same bytes.

    `alt_text` is the description when None. Quality falls step by step until the file fits;
    raises ValueError when even the lowest does not. Nothing of the source (EXIF, position, maker)
    is carried over, because pixels are all that comes in.
    """
    packet = xmp.packet(
        description,
        description if alt_text is None else alt_text,
        digital_source_type=digital_source_type,
        creator_tool=creator_tool,
    )
    source = PIL.Image.fromarray(image)
    for step in (quality, *range(quality - 6, 15, -8)):
        # Thin, saturated lines bleed with halved chroma; below 80 the bytes serve luma better.
        sampling = "4:4:4" if step >= 80 else "4:2:0"
        out = io.BytesIO()
        source.save(
            out, "JPEG", quality=step, subsampling=sampling, icc_profile=_SRGB_BYTES, xmp=packet
        )
        if out.tell() <= max_bytes:
            return out.getvalue()
    raise ValueError(f"{source.width}x{source.height} does not fit into {max_bytes} bytes")


def encode(image: Image, canvas: Canvas, *, description: str) -> bytes:
    """(H, W, 3) uint8 -> a file as the canvas wants it. Raises ValueError when none is that small.

    PNG carries no description.
    """
    if canvas.formats[0] == "JPEG":
        return encode_jpeg(image, description=description, max_bytes=canvas.max_bytes)
    data = encode_png(image)
    if len(data) > canvas.max_bytes:
        raise ValueError(f"a PNG of {len(data)} bytes does not fit into {canvas.max_bytes}")
    return data


def encode_png(image: Image, alpha: NDArray[np.uint8] | None = None) -> bytes:
    """(H, W, 3) uint8 and, if given, (H, W) uint8 of opacity -> PNG, lossless."""
    if alpha is None:
        return _png(PIL.Image.fromarray(image))
    return _png(PIL.Image.fromarray(np.dstack([image, alpha])))


def encode_grey(values: NDArray[np.uint8]) -> bytes:
    """(H, W) uint8 -> 8-bit grey PNG, lossless."""
    return _png(PIL.Image.fromarray(values))


def png_mask(mask: Mask) -> bytes:
    """(H, W) bool -> 8-bit grey PNG with 0 and 255.

    Without filters of lines, of which Pillow tries all: written and read in half the time.
    """
    height, width = mask.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # a line begins with its filter, 0
    lines[:, 1:] = mask.astype(np.uint8) * 255
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _png(image: PIL.Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()
