"""Bytes from strangers: each kind of bad input is handled or refused with a stable reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from functools import cache

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from models.base import Image, ImageRejected
from models.images.codec import FORMATS, decode

SIZE = (48, 32)  # width, height


def scene(size: tuple[int, int] = SIZE) -> Image:
    """Four flat quarters: red, green / blue, grey. Survives JPEG and tells every orientation."""
    width, height = size
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[: height // 2, : width // 2] = (220, 30, 30)
    image[: height // 2, width // 2 :] = (30, 200, 40)
    image[height // 2 :, : width // 2] = (30, 40, 210)
    image[height // 2 :, width // 2 :] = (150, 150, 150)
    return image


def saved(image: PIL.Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo() -> PIL.Image.Image:
    return PIL.Image.fromarray(scene())


@cache
def jpeg() -> bytes:
    return saved(photo(), "JPEG", quality=95, subsampling=0)


def quarters(image: Image) -> Image:
    """The colours in the middles of the four quarters, (4, 3)."""
    height, width = image.shape[:2]
    rows, columns = [height // 4, 3 * height // 4], [width // 4, 3 * width // 4]
    return np.array([image[row, column] for row in rows for column in columns])


def assert_like(image: Image, expected: Image, tolerance: int = 6) -> None:
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert np.abs(quarters(image).astype(int) - quarters(expected)).max() <= tolerance


def reason(data: bytes, **options: object) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value.reason


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_in_the_list_is_read(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    found = decode(saved(photo(), kind, **options))
    assert (found.format, found.frames, found.alpha, found.notes) == (kind, 1, None, ())
    # Chroma at half resolution may shift flat colours a little.
    assert_like(found.pixels, scene(), 12)
    assert found.pixels.flags.writeable


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"<!doctype html><title>Please wait</title>", "not-an-image"),
        (b"just a text file\n" * 100, "not-an-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 64, "unsupported-format"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 64, "unsupported-format"),
        (saved(photo(), "TIFF"), "unsupported-format"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200 + b"IEND", "broken"),
    ],
)
def test_what_is_no_image(data: bytes, word: str) -> None:
    assert reason(data) == word


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_half_a_file_is_truncated(kind: str, keep: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(PIL.Image.fromarray(noise), kind)
    assert reason(data[: int(len(data) * keep)]) in ("truncated", "broken")
    if kind != "AVIF":  # its container does not say where the end should be
        assert reason(data[: int(len(data) * keep)]) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_a_cut_anywhere_is_never_padded(kind: str) -> None:
    data = saved(photo(), kind)
    whole = decode(data).pixels
    for length in range(1, len(data), 7):
        try:
            found = decode(data[:length])
        except ImageRejected:
            continue
        # Only what follows the pixels may be missing.
        np.testing.assert_array_equal(found.pixels, whole)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("side", [10_000, 13_000, 60_000])
def test_a_hundred_megapixels_are_refused_by_their_header(side: int) -> None:
    # There are no pixels in these files: to be called too large they must not be looked for.
    chunk = b"IDAT" + zlib.compress(b"")
    data = png_header(side, side) + struct.pack(">I", len(chunk) - 4) + chunk
    assert reason(data + struct.pack(">I", zlib.crc32(chunk))) == "too-large"


def test_a_decompression_bomb_is_refused() -> None:
    assert reason(saved(PIL.Image.new("1", (9000, 9000)), "PNG")) == "too-large"
    assert reason(saved(PIL.Image.new("P", (9000, 9000)), "GIF")) == "too-large"


def test_limits_can_be_set() -> None:
    assert reason(jpeg(), max_pixels=48 * 32 - 1) == "too-large"
    assert decode(jpeg(), max_pixels=48 * 32).pixels.shape == (32, 48, 3)
    assert reason(jpeg(), min_side=33) == "too-small"
    assert reason(saved(PIL.Image.new("RGB", (1, 1)), "PNG")) == "too-small"
    assert decode(saved(PIL.Image.new("RGB", (1, 1)), "PNG"), min_side=1).pixels.shape == (1, 1, 3)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    later = [PIL.Image.new("RGB", SIZE, colour) for colour in ("black", "white")]
    data = saved(photo(), kind, save_all=True, append_images=later, duration=80)
    found = decode(data)
    assert found.frames == 3
    assert "first-frame" in found.notes
    assert_like(found.pixels, scene(), 16)


def test_cmyk_is_converted_with_adobes_inversion() -> None:
    found = decode(saved(photo().convert("CMYK"), "JPEG", quality=95))
    assert found.notes == ("cmyk",)
    assert_like(found.pixels, scene(), 14)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    # How a camera stores an upright scene under each orientation, by the definition in EXIF.
    upright = scene()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = saved(PIL.Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, quality=95)
    found = decode(data)
    assert_like(found.pixels, upright, 16)
    assert ("exif-rotated" in found.notes) == (orientation != 1)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = value
    assert_like(decode(saved(photo(), "JPEG", exif=exif)).pixels, scene(), 16)


def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = saved(
        photo(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff\xff\xff\xff", quality=95
    )
    assert_like(decode(data).pixels, scene(), 12)


def sixteen_bit_rgb() -> bytes:
    """Pillow cannot write 16-bit RGB, so the file is put together here."""
    rows = (scene().astype(">u2") * 257).tobytes()
    stride = SIZE[0] * 6
    lines = b"".join(b"\0" + rows[i : i + stride] for i in range(0, len(rows), stride))
    head = b"IHDR" + struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for body in (head, b"IDAT" + zlib.compress(lines), b"IEND"):
        out += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return out


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    colour = decode(sixteen_bit_rgb())
    assert "16-bit" in colour.notes
    np.testing.assert_array_equal(colour.pixels, scene())
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    grey = decode(saved(PIL.Image.fromarray(ramp), "PNG"))
    assert grey.notes == ("16-bit",)
    np.testing.assert_array_equal(grey.pixels[..., 1], ramp >> 8)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours_are_read_as_rgb(mode: str) -> None:
    found = decode(saved(photo().convert(mode), "PNG"))
    assert found.pixels.shape == (32, 48, 3)
    assert found.alpha is None
    assert_like(found.pixels, np.asarray(photo().convert(mode).convert("RGB")), 0)


def see_through(mode: str) -> bytes:
    """The scene with its left half transparent."""
    alpha = np.full((32, 48), 255, dtype=np.uint8)
    alpha[:, :24] = 0
    layered = photo().convert("RGBA")
    layered.putalpha(PIL.Image.fromarray(alpha))
    if mode == "P":
        paletted = photo().quantize(4)
        return saved(
            paletted,
            "PNG",
            transparency=bytes(
                0 if index in set(np.asarray(paletted)[:, :24].ravel()) else 255
                for index in range(4)
            ),
        )
    return saved(layered.convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_lie_on_white_and_are_kept_as_alpha(mode: str) -> None:
    found = decode(see_through(mode))
    assert "alpha" in found.notes
    assert found.alpha is not None
    assert found.alpha.shape == (32, 48)
    assert found.alpha.dtype == np.uint8
    assert not found.alpha[:, :24].any()
    assert (found.alpha[:, 24:] == 255).all()
    assert (found.pixels[:, :24] == 255).all()
    assert (found.pixels[:, 24:] < 230).all()


def test_transparent_grey_of_sixteen_bits() -> None:
    values = np.full((32, 48), 40_000, dtype=np.uint16)
    values[:, :24] = 1000
    found = decode(saved(PIL.Image.fromarray(values), "PNG", transparency=1000))
    assert found.alpha is not None
    assert (found.pixels[:, :24] == 255).all()
    assert (found.pixels[:, 24:] == 40_000 >> 8).all()


def test_opaque_alpha_is_dropped() -> None:
    found = decode(saved(photo().convert("RGBA"), "PNG"))
    assert found.alpha is None
    assert found.notes == ()


def test_a_foreign_icc_profile_is_converted() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert "icc-ignored" in decode(saved(photo(), "PNG", icc_profile=lab)).notes
    assert "icc-ignored" in decode(saved(photo(), "PNG", icc_profile=b"nonsense" * 30)).notes

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode(saved(photo(), "PNG", icc_profile=srgb))
    assert plain.notes == ()
    np.testing.assert_array_equal(plain.pixels, scene())

    swapped = swap_red_and_blue(srgb)
    found = decode(saved(photo(), "PNG", icc_profile=swapped))
    assert found.notes == ("icc",)
    assert_like(found.pixels, scene()[..., ::-1], 4)


def swap_red_and_blue(profile: bytes) -> bytes:
    """An RGB profile whose red primary is sRGB's blue and the reverse, under another name."""
    return (
        profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    ).replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("declared", "noted"),
    [
        ("image/jpeg", False),
        ("photo.JPG", False),
        ("https://host/photo.jpeg", False),
        ("image/jpeg; charset=binary", False),
        ("application/octet-stream", False),
        ("", False),
        ("photo", False),
        ("image/png", True),
        ("photo.heic", True),
        ("text/html", True),
    ],
)
def test_a_wrong_label_is_only_noted(declared: str, noted: bool) -> None:
    found = decode(jpeg(), declared=declared)
    assert found.format == "JPEG"
    assert ("mislabelled" in found.notes) == noted


def test_a_phones_second_view_is_no_animation() -> None:
    data = saved(photo(), "MPO", save_all=True, append_images=[PIL.Image.new("RGB", SIZE)])
    found = decode(data)
    assert (found.format, found.frames, found.notes) == ("JPEG", 1, ())
    assert_like(found.pixels, scene(), 12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_large_images_can_be_shrunk_while_decoding(kind: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    data = saved(PIL.Image.fromarray(scene((1200, 800))), kind, exif=exif)
    found = decode(data, shrink_to=200)
    assert found.pixels.shape == (300, 200, 3)
    assert {"shrunk", "exif-rotated"} == set(found.notes)
    turned = np.ascontiguousarray(np.rot90(scene((300, 200)), -1))
    assert_like(found.pixels, turned, 16)
    whole = decode(data, shrink_to=700)
    assert whole.pixels.shape == (1200, 800, 3)
    assert "shrunk" not in whole.notes


@pytest.mark.parametrize("mode", ["1", "P", "I;16"])
def test_shrinking_leaves_modes_that_cannot_be_averaged(mode: str) -> None:
    if mode == "I;16":
        large = PIL.Image.fromarray(np.full((400, 400), 5000, dtype=np.uint16))
    else:
        large = PIL.Image.new(mode, (400, 400))
    assert decode(saved(large, "PNG"), shrink_to=100).pixels.shape == (400, 400, 3)


def test_warnings_of_pillow_stay_inside() -> None:
    paletted = photo().quantize(4)
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        decode(saved(paletted, "PNG", transparency=b"\0\xff\xff\xff"))
        reason(saved(PIL.Image.new("1", (9500, 9500)), "PNG"))
    assert leaked == []


@given(st.binary(max_size=400))
@settings(max_examples=150)
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(ImageRejected):
        decode(data)


@cache
def samples() -> tuple[bytes, ...]:
    pictures = [saved(photo(), kind) for kind in FORMATS]
    return (*pictures, see_through("P"), sixteen_bit_rgb(), saved(photo().convert("CMYK"), "JPEG"))


@given(st.data())
@settings(max_examples=300)
def test_mutated_files_raise_nothing_else(data: st.DataObject) -> None:
    broken = bytearray(data.draw(st.sampled_from(samples())))
    for _ in range(data.draw(st.integers(1, 12))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(broken), max_pixels=1_000_000)
    except ImageRejected as error:
        assert error.reason in {
            "not-an-image",
            "unsupported-format",
            "too-large",
            "too-small",
            "truncated",
            "broken",
        }
    else:
        assert found.pixels.dtype == np.uint8
        assert found.pixels.ndim == 3
