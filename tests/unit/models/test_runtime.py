"""Sessions: cached, one inference at a time, evicted, and never torch."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from models.base import WeightsError
from models.serving.packs import embedded_weights
from models.serving.runtime import Runtime
from tests.paths import ROOT

X2 = embedded_weights("superres-x2").path


def feed(side: int = 8) -> dict[str, np.ndarray]:
    return {"image": np.full((1, 3, side, side), 0.5, np.float32)}


def test_a_session_is_made_once_and_kept() -> None:
    runtime = Runtime(threads=1)
    assert runtime.loaded == frozenset()
    runtime.run(X2, feed())
    first = runtime._sessions[X2][0]
    runtime.run(X2, feed())
    assert runtime._sessions[X2][0] is first
    assert runtime.loaded == {X2}


def test_idle_sessions_go_and_come_back() -> None:
    runtime = Runtime(threads=1, idle_seconds=0)
    before = runtime.run(X2, feed())[0]
    assert runtime.evict_idle() == 1
    assert runtime.loaded == frozenset()
    assert runtime.evict_idle() == 0
    assert np.array_equal(runtime.run(X2, feed())[0], before)


def test_sessions_in_use_stay() -> None:
    runtime = Runtime(threads=1, idle_seconds=60)
    runtime.run(X2, feed())
    assert runtime.evict_idle() == 0
    assert runtime.loaded == {X2}
    runtime.close()
    assert runtime.loaded == frozenset()


def test_threads_share_one_session_and_agree() -> None:
    runtime = Runtime(threads=1)
    wanted = Runtime(threads=1).run(X2, feed(32))[0]
    results: list[np.ndarray] = []
    workers = [
        threading.Thread(target=lambda: results.append(runtime.run(X2, feed(32))[0]))
        for _ in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 6
    assert all(np.array_equal(result, wanted) for result in results)
    assert len(runtime.loaded) == 1


def test_a_file_that_is_no_network_is_a_weights_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(WeightsError, match=r"broken\.onnx"):
        Runtime().run(broken, feed())
    with pytest.raises(WeightsError, match=r"missing\.onnx"):
        Runtime().run(tmp_path / "missing.onnx", feed())


def test_zero_threads_are_refused() -> None:
    with pytest.raises(ValueError, match="threads"):
        Runtime(threads=0)


def test_serving_leaves_torch_alone_and_importing_leaves_onnxruntime_alone() -> None:
    script = """
import sys
import numpy as np
from models.serving.packs import load_segmenter, load_upscaler
from models.serving.runtime import Runtime
runtime = Runtime(threads=1)
upscaler, segmenter = load_upscaler("embedded", 2, runtime), load_segmenter("embedded", runtime)
assert "onnxruntime" not in sys.modules
image = np.zeros((9, 7, 3), np.uint8)
assert upscaler(image).shape == (18, 14, 3)
assert segmenter(image).mask.shape == (9, 7)
unwanted = {"torch", "onnx", "cv2", "skimage"} & set(sys.modules)
assert not unwanted, unwanted
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
