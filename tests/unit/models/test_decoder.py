"""Decoding in a process of its own: the same pictures, and limits that hold whatever they are."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from models.base import ImageRejected
from models.images import codec
from models.images import decoder as decoder_module
from models.images.decoder import Decoder, DecoderUnavailable
from tests import hostile
from tests.waiting import PATIENCE, eventually


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(2, cpu_seconds=1)
    yield made
    made.stop()


def picture(kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (320, 200)) -> bytes:
    rng = np.random.default_rng(5)
    bands = {"RGB": 3, "RGBA": 4}[mode]
    out = io.BytesIO()
    PIL.Image.fromarray(rng.integers(0, 256, (*size, bands), dtype=np.uint8)).save(out, kind)
    return out.getvalue()


def pids(decoder: Decoder) -> list[int]:
    return [child._process.pid for child in decoder._idle]


def refusal(decoder: Decoder, data: bytes) -> str:
    with pytest.raises(ImageRejected) as caught:
        decoder.decode(data)
    return caught.value.reason


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGBA"), ("GIF", "RGB")]
)
def test_what_comes_back_is_what_the_codec_gives(decoder: Decoder, kind: str, mode: str) -> None:
    data = picture(kind, mode)
    here, there = codec.decode(data, shrink_to=100), decoder.decode(data, shrink_to=100)
    assert np.array_equal(here.pixels, there.pixels)
    assert there.pixels.flags.writeable
    assert (here.alpha is None) == (there.alpha is None)
    if here.alpha is not None and there.alpha is not None:
        assert np.array_equal(here.alpha, there.alpha)
    assert (here.format, here.frames, here.notes) == (there.format, there.frames, there.notes)


def test_refusals_are_the_codecs_and_the_child_stays(decoder: Decoder) -> None:
    decoder.decode(picture())
    kept = pids(decoder)
    assert refusal(decoder, b"") == "empty"
    assert refusal(decoder, b"GIF8 and nothing") in ("broken", "truncated")
    assert refusal(decoder, picture()[:500]) == "truncated"
    decoder.decode(picture())
    assert pids(decoder) == kept


def test_an_image_that_costs_hours_is_given_up(decoder: Decoder) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert refusal(decoder, hostile.endless_jpeg()) == "too-costly"
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    assert spent < 10, "of processor time, whatever the clock says"
    assert decoder.decode(picture()).format == "JPEG", "by the next child"


def test_a_child_that_says_nothing_is_given_up() -> None:
    decoder = Decoder(1, wall_seconds=0.0)
    with pytest.raises(DecoderUnavailable, match="does not start"):
        decoder.decode(picture())
    decoder._wall_seconds = PATIENCE
    decoder.decode(picture())
    decoder._wall_seconds = 0.0
    assert refusal(decoder, picture()) == "too-costly"
    decoder.stop()


def test_memory_is_bounded(decoder: Decoder) -> None:
    """A file of a few kilobytes, within the pixels allowed, for which its codec wants 800 MB."""
    out = io.BytesIO()
    PIL.Image.new("RGB", (7000, 7000), (9, 99, 199)).save(out, "WEBP", method=0)
    assert refusal(decoder, out.getvalue()) == "too-costly"
    assert decoder.decode(picture()).format == "JPEG"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: hostile.with_chunk(b"zTXt", b"k\0\0", 300_000_000), id="text"),
        pytest.param(lambda: hostile.with_chunk(b"iCCP", b"k\0\0", 300_000_000), id="profile"),
        pytest.param(lambda: hostile.with_chunk(b"zTXt", b"k\0\0", 900_000, 500), id="texts"),
        pytest.param(lambda: hostile.many_frames("GIF"), id="gif"),
        pytest.param(lambda: hostile.many_frames("PNG"), id="apng"),
        pytest.param(lambda: hostile.many_frames("WEBP", 300), id="webp"),
        pytest.param(lambda: hostile.many_frames("TIFF", 300), id="tiff"),
        pytest.param(hostile.deep_png, id="16-bit"),
    ],
)
def test_other_costly_pictures_end_within_the_limits(data: object) -> None:
    """Read or refused: both in bounds, and the next picture is read."""
    decoder = Decoder(1)
    try:
        found = decoder.decode(data())  # type: ignore[operator]
        assert found.pixels.nbytes <= 150_000_000
    except ImageRejected:
        pass
    peaks = [peak_mb(pid) for pid in pids(decoder)]  # of a child that died, its limit is the proof
    assert decoder.decode(picture()).format == "JPEG"
    decoder.stop()
    assert all(peak < 800 for peak in peaks)


def peak_mb(pid: int) -> float:
    """Of this process alone: what `getrusage` says of children begins with their parent's."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it has just died


def test_a_child_that_dies_is_replaced(decoder: Decoder) -> None:
    decoder.decode(picture())
    [pid] = pids(decoder)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert decoder.decode(picture()).format == "JPEG"
    assert pids(decoder) != [pid]


@pytest.mark.parametrize("start", ["raise MemoryError", "raise SystemExit(0)"])
def test_a_child_that_cannot_start_blames_no_picture(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without memory, or half an installation: nothing was learnt about the picture."""
    starved = Decoder(1)
    monkeypatch.setattr("models.images.decoder._START", start)
    with pytest.raises(DecoderUnavailable, match="no process to read pictures"):
        starved.decode(picture())
    monkeypatch.undo()
    assert starved.decode(picture()).format == "JPEG"
    starved.stop()


def test_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    starved = Decoder(1)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DecoderUnavailable, match="no process to read pictures: No such file"):
        starved.decode(picture())


def test_stopping_ends_what_is_being_decoded() -> None:
    decoder = Decoder(1, cpu_seconds=1000)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(decoder.decode, hostile.endless_jpeg())
        waiting = pool.submit(decoder.decode, picture())
        eventually("it decodes", lambda: decoder._busy)
        decoder.stop()
        for job in (running, waiting):
            with pytest.raises(DecoderUnavailable):
                job.result(PATIENCE)
    decoder.start()
    assert decoder.decode(picture()).format == "JPEG"
    decoder.stop()


def test_many_threads_share_few_children(decoder: Decoder) -> None:
    data = [picture(size=(100 + n, 50)) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(decoder.decode, data))
    assert [one.pixels.shape[0] for one in found] == [100 + n for n in range(40)]
    assert 1 <= len(pids(decoder)) <= 2
    assert threading.active_count() < 8


def test_the_child_is_small_and_knows_its_own_folder_only(tmp_path: Path) -> None:
    """No torch, nothing of the service; somebody's `models` package in the way is not met."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise SystemExit('somebody else')")
    code = (
        "import os, sys\n"
        "from models.images.decoder import Decoder\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "d = Decoder(1)\n"
        f"d.decode({picture()!r})\n"
        "maps = open(f'/proc/{d._idle[0]._process.pid}/maps').read()\n"
        "print('torch' in maps, 'onnxruntime' in maps, 'sqlalchemy' in maps)\n"
        "status = open(f'/proc/{d._idle[0]._process.pid}/status').read()\n"
        "print(int(status.split('VmRSS:')[1].split()[0]) < 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True"]
    assert done.stderr == ""


def test_a_child_that_is_ended_from_outside_says_nothing_of_the_picture(decoder: Decoder) -> None:
    """As the system does when memory ends. Twice with the same picture is no chance."""
    usual = decoder_module._Child.decode
    ended = []

    def killed(child: Any, *arguments: Any) -> Any:
        if len(ended) < times:
            ended.append(child._process.pid)
            os.kill(child._process.pid, signal.SIGKILL)
        return usual(child, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_module._Child, "decode", killed)
        times = 1
        assert decoder.decode(picture()).format == "JPEG"
        times = 3
        assert refusal(decoder, picture()) == "crashed"


def test_a_stop_of_the_whole_service_does_not_reach_a_child(decoder: Decoder) -> None:
    """systemd signals every process of the service; the picture in hand is not to blame."""
    decoder.decode(picture())
    [pid] = pids(decoder)
    os.kill(pid, signal.SIGTERM)
    assert decoder.decode(picture()).format == "JPEG"
    assert pids(decoder) == [pid]
