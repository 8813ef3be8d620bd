"""Pictures that cost far more than their size says, made when they are asked for."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import PIL.Image


@functools.cache
def endless_jpeg(side: int = 7000, times: int = 10_000) -> bytes:
    """About a megabyte: progressive, its last scan again and again, 45 ms of work for each."""
    out = io.BytesIO()
    PIL.Image.new("RGB", (side, side), (90, 120, 60)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * times + b"\xff\xd9"


@functools.cache
def deep_png(side: int = 7000) -> bytes:
    """49 megapixels of 16-bit RGBA in half a megabyte, each of them half transparent."""
    packer = zlib.compressobj(9)
    line = b"\0" + bytes.fromhex("123456789abc8000") * side
    body = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    return _png((b"IHDR", header), (b"IDAT", body))


def with_chunk(kind: bytes, before: bytes, size: int, times: int = 1) -> bytes:
    """A small PNG with a compressed text or profile of so many bytes, so many times."""
    out = io.BytesIO()
    PIL.Image.new("RGB", (64, 64)).save(out, "PNG")
    data = out.getvalue()
    packed = chunk(kind, before + zlib.compress(bytes(size), 9))
    return data[:33] + packed * times + data[33:]


@functools.cache
def many_frames(kind: str, frames: int = 2000) -> bytes:
    pictures = [PIL.Image.new("L", (64, 64), number % 255) for number in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:])
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    last = (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in (*chunks, last))
