"""Official weights in the hub's layout: our tokens equal transformers'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the [learn] extra (torch)")
pytest.importorskip("safetensors", reason="needs the [learn] extra (safetensors)")

from safetensors.torch import load_file, save_file  # noqa: E402

from models.base import WeightsError  # noqa: E402
from models.dino.hub import load_hub, regridded  # noqa: E402

pytestmark = pytest.mark.learn
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ViT with random weights, saved by transformers as `facebook/dino-vits16` is."""
    transformers = pytest.importorskip("transformers", reason="needs transformers, the oracle")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96,
        image_size=64, patch_size=16, initializer_range=0.3,
    )  # fmt: skip
    network = transformers.ViTModel(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    folder = tmp_path_factory.mktemp("hub")
    network.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (48, 112)])
@torch.no_grad()
def test_tokens_equal_transformers(size: tuple[int, int], official: Path) -> None:
    """On the grid of the file, and with positions interpolated to another one."""
    from transformers import ViTModel

    theirs = ViTModel.from_pretrained(official).eval()
    ours = load_hub(official).eval()
    x = torch.rand(2, 3, *size)
    seen = theirs((x - ours.mean) / ours.std, interpolate_pos_encoding=True).last_hidden_state
    assert seen.std() > 0.1
    assert (ours(x) - seen).abs().max() < 1e-4


def test_shape_is_that_of_the_config(official: Path) -> None:
    assert load_hub(official).shape == (24, 2, 3, 16, 4, 1e-12)


@torch.no_grad()
def test_positions_can_be_put_on_another_grid_for_good(official: Path) -> None:
    vit, other = load_hub(official), load_hub(official, grid=7)
    assert other.shape.grid == 7
    assert torch.equal(other.positions, vit.positions_for(7, 7))
    x = torch.rand(1, 3, 112, 112)
    assert torch.allclose(other(x), vit(x), atol=1e-5)
    with pytest.raises(ValueError, match="grid of 0"):
        regridded(vit, 0)


def test_the_older_file_is_read_without_running_it(official: Path, tmp_path: Path) -> None:
    state = load_file(official / "model.safetensors")
    (tmp_path / "config.json").write_text((official / "config.json").read_text())
    torch.save(
        {f"vit.{name}": value for name, value in state.items()}, tmp_path / "pytorch_model.bin"
    )
    assert torch.equal(load_hub(tmp_path).positions, load_hub(official).positions)

    class Trap:
        def __reduce__(self) -> object:
            return (print, ("executed",))

    torch.save({"embeddings.cls_token": Trap()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_hub(tmp_path)


def copy(official: Path, folder: Path, **config: object) -> None:
    values = json.loads((official / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(values))
    save_file(load_file(official / "model.safetensors"), folder / "model.safetensors")


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"model_type": "bert"}, "no ViT"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"qkv_bias": False}, "qkv_bias"),
        ({"intermediate_size": 48}, "intermediate_size 48"),
        ({"num_attention_heads": 5}, "do not fit each other"),
        ({"num_attention_heads": "many"}, "many"),
        ({"num_hidden_layers": 3}, "have no encoder.layer.2"),
        ({"hidden_size": 48, "intermediate_size": 192}, "positions of shape"),
        ({"image_size": 96}, "positions of shape"),
        ({"patch_size": 8, "image_size": 32}, "do not fit config.json"),
    ],
)
def test_what_does_not_fit_is_named(
    config: dict[str, object], word: str, official: Path, tmp_path: Path
) -> None:
    copy(official, tmp_path, **config)
    with pytest.raises(WeightsError, match=word) as caught:
        load_hub(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else(official: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        load_hub(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(WeightsError, match="no ViT"):
        load_hub(tmp_path)
    copy(official, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08" + 20 * b"\0")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_hub(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="holds neither"):
        load_hub(tmp_path)
