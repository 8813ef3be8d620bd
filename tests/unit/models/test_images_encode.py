"""Pixels to bytes that a platform takes and that say what they are."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from models.base import Image
from models.images import xmp
from models.images.canvas import Canvas
from models.images.codec import (
    decode,
    encode_jpeg,
    encode_png,
    png_mask,
)
from models.images.fit import fit, placement

WIDE = Canvas(1080, tallest=4 / 5, widest=1.91, max_bytes=8_000_000)
TALL = Canvas(1080, tallest=9 / 16, widest=9 / 16, max_bytes=8_000_000)

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
XMP = "{http://ns.adobe.com/xap/1.0/}"


def picture(width: int, height: int, seed: int = 0) -> Image:
    """Smooth colours, different in every corner."""
    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(40, 216, (4, 4, 3), dtype=np.uint8))
    return np.array(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC))


def noise(width: int, height: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def packet_of(jpeg: bytes) -> ET.Element:
    with PIL.Image.open(io.BytesIO(jpeg)) as image:
        return ET.fromstring(image.info["xmp"])


def text_of(root: ET.Element, name: str) -> str:
    return root.find(f".//{name}/{RDF}Alt/{RDF}li").text or ""


def test_the_packet_says_what_the_image_is() -> None:
    root = packet_of(encode_jpeg(picture(64, 64), description="A cat", alt_text="A cat, tinted"))
    assert text_of(root, f"{DC}description") == "A cat"
    assert text_of(root, f"{CORE}AltTextAccessibility") == "A cat, tinted"
    assert root.find(f".//{EXT}DigitalSourceType").text == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    )
    assert root.find(f".//{XMP}CreatorTool").text == "tagecho"


def test_without_an_alt_text_the_description_serves() -> None:
    root = packet_of(encode_jpeg(picture(32, 32), description="A cat"))
    assert text_of(root, f"{CORE}AltTextAccessibility") == "A cat"


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_survives_but_for_what_xml_cannot_hold(text: str) -> None:
    packet = xmp.packet(text, text, digital_source_type="x", creator_tool="t")
    found = text_of(ET.fromstring(packet), f"{DC}description")
    forbidden = {chr(c) for c in range(32)} - set("\t\n\r") | {"\ufffe", "\uffff"}
    assert found == "".join(
        c for c in text if c not in forbidden and not 0xD800 <= ord(c) <= 0xDFFF
    )


def test_hostile_text_is_text() -> None:
    hostile = "</rdf:li>&<?xpacket end='w'?> ]]> \0\x08 {tool} 🌅 \u202e مرحبا"
    root = packet_of(encode_jpeg(picture(32, 32), description=hostile))
    assert text_of(root, f"{DC}description") == hostile.replace("\0", "").replace("\x08", "")


def test_ten_thousand_characters_are_cut_to_what_a_marker_holds() -> None:
    root = packet_of(encode_jpeg(picture(32, 32), description="&🌅" * 5000))
    assert text_of(root, f"{DC}description") == ("&🌅" * 5000)[: xmp.MAX_TEXT]


def test_the_file_is_srgb_and_carries_nothing_else() -> None:
    data = encode_jpeg(picture(64, 48), description="x")
    with PIL.Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))
        assert not image.getexif()
        assert set(image.info) <= {
            "jfif",
            "jfif_version",
            "jfif_unit",
            "jfif_density",
            "icc_profile",
            "xmp",
        }
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


def test_pixels_survive_the_round_trip() -> None:
    image = picture(200, 100)
    found = decode(encode_jpeg(image, description="x"))
    assert found.notes == ()
    assert np.abs(found.pixels.astype(int) - image).mean() < 2
    np.testing.assert_array_equal(decode(encode_png(image)).pixels, image)


def test_equal_images_are_equal_bytes() -> None:
    image = picture(50, 50)
    assert encode_jpeg(image, description="x") == encode_jpeg(image.copy(), description="x")


@pytest.mark.parametrize("limit", [200_000, 100_000, 60_000])
def test_quality_falls_until_the_file_fits(limit: int) -> None:
    image = noise(400, 400)
    free = encode_jpeg(image, description="x")
    assert len(free) > 200_000
    fitted = encode_jpeg(image, description="x", max_bytes=limit)
    assert limit / 2 < len(fitted) <= limit


def test_what_cannot_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit into 1000 bytes"):
        encode_jpeg(noise(400, 400), description="x", max_bytes=1000)


def test_a_mask_is_a_grey_png_of_zero_and_255() -> None:
    mask = np.zeros((7, 5), dtype=np.bool_)
    mask[2:4, 1:3] = True
    with PIL.Image.open(io.BytesIO(png_mask(mask))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (5, 7))
        np.testing.assert_array_equal(np.asarray(image), mask * 255)


@given(st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=200)
def test_feed_placement_keeps_the_limits_and_the_whole_image(width: int, height: int) -> None:
    placed = placement(width, height, WIDE)
    wide, tall = placed.canvas
    assert wide == 1080
    assert 0.8 <= wide / tall <= 1.91
    left, top, inner_width, inner_height = placed.box
    assert left >= 0
    assert top >= 0
    assert left + inner_width <= wide
    assert top + inner_height <= tall
    assert inner_width == wide or inner_height == tall
    # The aspect is kept, but for the rounding of a side to a pixel.
    assert abs(inner_width * height - inner_height * width) <= 2 * max(width, height)
    assert placed.point(0, 0) == (left / wide, top / tall)
    assert placed.point(1, 1) == ((left + inner_width) / wide, (top + inner_height) / tall)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1080, 1350), (1080, 1350)),
        ((2000, 2000), (1080, 1080)),
        ((320, 240), (1080, 810)),
        ((600, 2400), (1080, 1350)),
        ((3000, 500), (1080, 566)),
    ],
)
def test_fit_feed(size: tuple[int, int], expected: tuple[int, int]) -> None:
    fitted = fit(picture(*size), WIDE)
    assert fitted.dtype == np.uint8
    assert fitted.shape == (expected[1], expected[0], 3)


def test_nothing_is_cut_off_and_margins_are_darker() -> None:
    image = picture(400, 1600)
    fitted = fit(image, WIDE)
    left, top, width, height = placement(400, 1600, WIDE).box
    inner = fitted[top : top + height, left : left + width]
    direct = PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.LANCZOS)
    assert np.abs(inner.astype(int) - np.asarray(direct)).mean() < 2
    assert fitted[:, : left - 1].mean() < 0.7 * inner.mean()
    assert fitted[:, : left - 1].mean() > 0.3 * inner.mean()


def test_fit_story() -> None:
    assert fit(picture(640, 480), TALL).shape == (1920, 1080, 3)
    assert placement(640, 480, TALL).box == (0, 555, 1080, 810)


def test_a_mask_follows_its_image() -> None:
    mask = np.zeros((300, 100), dtype=np.bool_)
    mask[100:200, 25:75] = True
    put = placement(100, 300, WIDE)
    placed = put.mask(mask)
    assert placed.shape == (1350, 1080)
    assert placed.dtype == np.bool_
    rows, columns = np.nonzero(placed)
    x, y = put.point(0.25, 1 / 3)
    assert abs(columns.min() - x * 1080) <= 1.5
    assert abs(rows.min() - y * 1350) <= 1.5
    assert abs(placed.sum() - (450 / 2) * (1350 / 3)) < 0.02 * placed.sum()


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (17, 23)])
def test_odd_sizes_fit(size: tuple[int, int]) -> None:
    assert fit(picture(*size), WIDE).shape[1] == 1080
    assert fit(picture(*size), TALL).shape == (1920, 1080, 3)
