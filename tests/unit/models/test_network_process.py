"""A network in a process of its own: what happens to it costs one question and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.serving.network_process import NetworkFailed, NetworkProcess, ProcessBounds, Why
from tests.waiting import PATIENCE, eventually

BOUNDS = ProcessBounds(memory=400 << 20, start_seconds=PATIENCE, seconds=PATIENCE, threads=1)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[NetworkProcess]:
    with NetworkProcess("tests.answerers:doubling", {"marks": str(tmp_path / "n")}, BOUNDS) as made:
        yield made


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "n").read_text().split())


def failure(network: NetworkProcess, how: str) -> NetworkFailed:
    with pytest.raises(NetworkFailed) as caught:
        network.ask({"how": how})
    return caught.value


def works(network: NetworkProcess) -> bool:
    facts, [doubled] = network.ask({"n": 1}, [np.array([1.5, 2], np.float32)])
    return facts["seen"] == {"n": 1} and doubled.tolist() == [3, 4]


def test_facts_and_arrays_pass_and_the_process_is_kept(
    network: NetworkProcess, tmp_path: Path
) -> None:
    """Whatever it prints; arrays of any shape, larger than a pipe holds, and empty ones."""
    big = np.arange(3 * 300 * 400, dtype=np.uint8).reshape(300, 400, 3)
    sent = [big[:, ::-1], np.zeros((0, 4)), np.int64(7) * np.ones((), np.int64)]
    facts, got = network.ask({"text": "ü"}, sent)
    assert facts["seen"] == {"text": "ü"}
    assert [(a.shape, a.dtype) for a in got] == [(a.shape, a.dtype) for a in sent]
    assert np.array_equal(got[0], big[:, ::-1] * 2)
    assert facts["nice"] >= BOUNDS.nice
    assert works(network)
    assert starts(tmp_path) == 1


@pytest.mark.parametrize(
    ("how", "why", "words"),
    [
        ("crash", Why.CRASHED, "signal 11: the last words"),
        ("exit", Why.CRASHED, "status 3"),
        ("grow", Why.LARGE, "400 are allowed"),
        ("raise", Why.FAILED, "RuntimeError: the network does not like it"),
        ("import", Why.MISSING, "a_package_that_is_not_there"),
    ],
)
def test_a_failure_costs_one_question(
    network: NetworkProcess, tmp_path: Path, how: str, why: Why, words: str
) -> None:
    assert works(network)
    error = failure(network, how)
    assert (error.why, error.lasting) == (why, why is Why.MISSING)
    assert words in str(error)
    assert works(network)
    assert starts(tmp_path) == (1 if how in ("raise", "import") else 2)


def test_a_network_that_hangs_is_ended(tmp_path: Path) -> None:
    bounds = ProcessBounds(start_seconds=PATIENCE, seconds=1, threads=1)
    with NetworkProcess("tests.answerers:doubling", {}, bounds) as network:
        network.start()
        pid = network.pid
        assert failure(network, "hang").why is Why.SLOW
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("entry", "arguments", "why", "words"),
    [
        ("tests.answerers:damaged", {}, Why.MISSING, "missing: weights are damaged"),
        ("no.such.module:network", {}, Why.MISSING, "ModuleNotFoundError"),
        ("tests.answerers:never", {"how": "import"}, Why.MISSING, "a_package_that"),
        ("tests.answerers:never", {"how": "well"}, Why.START, "no network here"),
        ("tests.answerers:never", {"how": "crash"}, Why.START, "signal 11: the last words"),
        ("tests.answerers:never", {"how": "grow"}, Why.LARGE, "are allowed"),
    ],
)
def test_a_network_that_does_not_load(
    entry: str, arguments: dict[str, str], why: Why, words: str
) -> None:
    with NetworkProcess(entry, arguments, BOUNDS) as network:
        error = failure(network, "well")
        assert error.why is why
        assert words in str(error)
        assert network.pid is None


def test_a_network_that_does_not_come_up_in_time() -> None:
    with NetworkProcess("tests.answerers:doubling", {}, ProcessBounds(start_seconds=0)) as network:
        error = failure(network, "well")
        assert (error.why, error.lasting) == (Why.START, True)


def test_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with NetworkProcess("tests.answerers:doubling", {}, BOUNDS) as network:
        assert failure(network, "well").why is Why.START


def test_stopping_ends_what_is_computed(network: NetworkProcess) -> None:
    network.start()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(failure, network, "hang")
        eventually("it computes", lambda: network._child is not None and network._child._asked)
        network.stop()
        assert asked.result(PATIENCE).why is Why.STOPPED
    assert failure(network, "well").why is Why.STOPPED


def test_an_idle_network_is_ended_and_comes_back(network: NetworkProcess, tmp_path: Path) -> None:
    assert works(network)
    assert not network.end_idle(PATIENCE)
    assert network.end_idle(0)
    assert network.pid is None
    assert works(network)
    assert starts(tmp_path) == 2


def test_a_network_that_was_ended_from_outside_is_replaced(
    network: NetworkProcess, tmp_path: Path
) -> None:
    assert works(network)
    assert network.pid is not None
    os.kill(network.pid, signal.SIGKILL)
    os.waitid(os.P_PID, network.pid, os.WEXITED | os.WNOWAIT)
    assert works(network)
    assert starts(tmp_path) == 2


def test_nothing_is_left_of_a_program_that_is_killed() -> None:
    """In the middle of an answer, so that it does not read that its input has ended."""
    code = (
        "import os, signal, threading\n"
        "from models.serving.network_process import ProcessBounds, NetworkProcess\n"
        "network = NetworkProcess('tests.answerers:doubling', {}, ProcessBounds())\n"
        "network.start()\n"
        "threading.Thread(target=network.ask, args=({'how': 'hang'},), daemon=True).start()\n"
        "while not network._child._asked: pass\n"
        "print(network.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    eventually("it has ended", lambda: not Path(f"/proc/{pid}").exists())
