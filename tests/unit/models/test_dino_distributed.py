"""Two processes are one: gradients, weights, and who writes."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pil

from tests.waiting import PATIENCE

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("cv2", reason="needs the [learn] extra (opencv)")

import torch.distributed as dist  # noqa: E402

from models.dino import train as dino  # noqa: E402
from models.dino.crops import Batch, draw  # noqa: E402
from models.dino.learner import Learner  # noqa: E402
from models.dino.recipe import DinoRecipe  # noqa: E402
from tests.dino import TINY, photos  # noqa: E402

pytestmark = [
    pytest.mark.learn,
    pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed"),
]
FORK = multiprocessing.get_context("fork")
# Ends as `python -m models.dino.train` does, and then says which threads of the process group live.
WATCHED = """
import pathlib
from models.dino.train import main
main()
names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
assert not [name for name in names if "gloo" in name], names
"""
RECIPES = {
    "default": TINY,
    "sinkhorn, patches, KoLeo": replace(
        TINY, centring="sinkhorn", ibot=1.0, koleo=0.1, frozen_prototypes=0
    ),
    "no batch norm, in parts": replace(TINY, head_norm="none", accumulate=2, ibot=0.5, koleo=0.0),
}


@pytest.fixture
def exact() -> Iterator[None]:
    """float64: what differs is then not the order of sums, which AdamW makes large."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def learned(recipe: DinoRecipe, rank: int = 0, processes: int = 1) -> dict[str, torch.Tensor]:
    """Gradients of the first batch; student, teacher and centres after two steps."""
    learner = Learner(recipe)

    def share(step: int) -> Batch:
        batch = draw(photos(), recipe, step, rank, processes)
        return Batch(batch.large.double(), batch.small.double(), batch.hidden)

    figures, _ = learner.gradients(share(0))
    found = {
        f"gradient {name}": parameter.grad.clone()
        for name, parameter in learner.student.named_parameters()
    }
    found["figures"] = torch.tensor(list(figures.values()))
    for step in range(2):
        learner.step(share(step), step)
    for name, part in learner.parts().items():
        if isinstance(part, torch.nn.Module):
            found |= {f"{name} {key}": value for key, value in part.state_dict().items()}
    return found


def member(recipe: DinoRecipe, rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(learned(recipe, rank, 2), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_two_processes_give_gradients_and_weights_of_one(
    name: str, tmp_path: Path, exact: None
) -> None:
    recipe = RECIPES[name]
    pair = [FORK.Process(target=member, args=(recipe, rank, tmp_path)) for rank in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(PATIENCE)
    assert [process.exitcode for process in pair] == [0, 0]
    one, first, second = learned(recipe), *(torch.load(tmp_path / f"{r}.pt") for r in range(2))
    assert set(one) == set(first) == set(second)
    for key, value in one.items():
        assert torch.allclose(first[key], value, rtol=1e-6, atol=1e-9), key
        assert torch.equal(first[key], second[key]), key
    moved = Learner(recipe).student.state_dict()
    assert not torch.equal(moved["vit.embed.weight"], one["student vit.embed.weight"])


def test_what_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino.distributed, "processes", lambda: 3)
    monkeypatch.setattr(dino.distributed, "rank", lambda: 0)
    with pytest.raises(ValueError, match="cannot be shared by 3 processes"):
        dino.train(photos(), TINY, tmp_path)


@pytest.mark.slow
def test_torchrun_trains_and_one_process_writes(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photos()):
        Pil.fromarray(photo).save(folder / f"{number}.png")
    options: list[object] = [
        *("--photos", folder, "--device", "cpu", "--steps", "4", "--batch", "4", "--locals", "2"),
        *("--global-side", "32", "--local-side", "16", "--patch", "8", "--grid", "4"),
        *("--width", "24", "--heads", "3", "--depth", "1", "--outputs", "16", "--hidden", "32"),
        *("--bottleneck", "8", "--warmup", "2", "--ibot", "1", "--koleo", "0.1", "--out"),
    ]
    launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python")
    command = [sys.executable, "-m", *launcher, sys.executable, "-c", WATCHED]
    command += [*map(str, options), str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    dino.main([*map(str, options), str(tmp_path / "one")])
    logs = [(tmp_path / out / "log.jsonl").read_text().splitlines() for out in ("one", "two")]
    assert len(logs[0]) == len(logs[1]) == 1
    one, two = (json.loads(log[0]) for log in logs)
    for name in ("loss", "patch", "koleo", "entropy", "mean_entropy"):
        assert two[name] == pytest.approx(one[name], rel=1e-3), name
