"""The official weights: what they do, their makers, licence, address, size and SHA-256.

The makers publish no sums. Many independent projects state the sums below for these files. If there
is none, the first download is trusted and recorded (see `models.serving.shelf`).
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = "https://huggingface.co/{id}/resolve/main/{file}"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_SWINIR = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0"
_SAM = "https://dl.fbaipublicfiles.com/segment_anything"


@dataclass(frozen=True, slots=True)
class File:
    """`bytes`: its size, exact if there is a `sha256`, else approximate. `instead`: an alternative
    file, tried if the source does not have this one.
    """

    name: str
    url: str
    bytes: int
    sha256: str = ""
    instead: File | None = None

    @property
    def most_bytes(self) -> int:
        """A larger download is stopped."""
        return self.bytes if self.sha256 else 2 * self.bytes + 65_536


@dataclass(frozen=True, slots=True)
class Pack:
    name: str
    stage: str  # upscaler, segmenter, refiner
    licence: str
    source: str  # for people
    files: tuple[File, ...]  # the weights last
    about: str

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def _hub(repository: str, file: str, size: int, instead: File | None = None) -> File:
    return File(file, HUB.format(id=repository, file=file), size, instead=instead)


def _release(base: str, file: str, size: int, sha256: str) -> tuple[File]:
    return (File(file, f"{base}/{file}", size, sha256),)


_PACKS = (
    Pack(
        "realesr-general-x4v3",
        "upscaler",
        "BSD-3-Clause",
        "https://github.com/xinntao/Real-ESRGAN (v0.2.5.0)",
        _release(
            f"{_REALESRGAN}/v0.2.5.0",
            "realesr-general-x4v3.pth",
            4_885_111,
            "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        ),
        "Real-ESRGAN ×4, compact: fast enough for a CPU",
    ),
    Pack(
        "realesrgan-x4plus",
        "upscaler",
        "BSD-3-Clause",
        "https://github.com/xinntao/Real-ESRGAN (v0.1.0)",
        _release(
            f"{_REALESRGAN}/v0.1.0",
            "RealESRGAN_x4plus.pth",
            67_040_989,
            "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        ),
        "Real-ESRGAN ×4, RRDB-23: about 20 s for 256 × 256 px on a CPU",
    ),
    Pack(
        "swinir-real-x4",
        "upscaler",
        "Apache-2.0",
        "https://github.com/JingyunLiang/SwinIR (v0.0)",
        _release(
            _SWINIR,
            "003_realSR_BSRGAN_DFO_s64w8_SwinIR-M_x4_GAN.pth",
            67_129_861,
            "b9afb61e65e04eb7f8aba5095d070bbe9af28df76acd0c9405aeb33b814bcfc6",
        ),
        "SwinIR-M ×4 for real photos",
    ),
    Pack(
        "dino-vits16",
        "segmenter",
        "Apache-2.0",
        "facebook/dino-vits16",
        (
            _hub("facebook/dino-vits16", "config.json", 453),
            _hub(
                "facebook/dino-vits16",
                "model.safetensors",
                86_700_000,
                _hub("facebook/dino-vits16", "pytorch_model.bin", 86_700_000),
            ),
        ),
        "DINO ViT-S/16: TokenCut on its keys, refined along edges",
    ),
    Pack(
        "sam-vit-b",
        "refiner",
        "Apache-2.0",
        "https://github.com/facebookresearch/segment-anything",
        _release(
            _SAM,
            "sam_vit_b_01ec64.pth",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        "segment-anything ViT-B: sharpens masks, needed for points and boxes; about 20 s on a CPU",
    ),
)

CATALOGUE: dict[str, Pack] = {pack.name: pack for pack in _PACKS}


def names(stage: str) -> tuple[str, ...]:
    """The packs of a stage, as the configuration names them."""
    return tuple(pack.name for pack in _PACKS if pack.stage == stage)
