"""The official weights: what they do, their makers, licence, address, size and SHA-256.

The makers publish no sums. Many independent projects state the sums below for these files. If there
is none, the first download is trusted and recorded (see `models.serving.shelf`).
"""

from __future__ import annotations

from dataclasses import dataclass

HUB = "https://huggingface.co/{id}/resolve/main/{file}"
_REALESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download"
_SWINIR = "https://github.com/JingyunLiang/SwinIR/releases/download/v0.0"
_REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
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
    stage: str  # upscaler, segmenter, refiner, captioner, detector, embedder
    licence: str
    source: str  # for people
    files: tuple[File, ...]  # the weights last
    about: str
    torch: bool = True  # whether it needs the [official] extra; ONNX files need nothing more

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def _hub(repository: str, file: str, size: int, instead: File | None = None) -> File:
    return File(file, HUB.format(id=repository, file=file), size, instead=instead)


def _blip(file: str, size: int, instead: File | None = None) -> File:
    return _hub("Salesforce/blip-image-captioning-base", file, size, instead)


def _florence(file: str, size: int, instead: File | None = None) -> File:
    return _hub("florence-community/Florence-2-base", file, size, instead)


def _owlv2(file: str, size: int, instead: File | None = None) -> File:
    return _hub("google/owlv2-base-patch16-ensemble", file, size, instead)


def _grounding(file: str, size: int, instead: File | None = None) -> File:
    return _hub("IDEA-Research/grounding-dino-tiny", file, size, instead)


def _rtdetr(file: str, size: int) -> File:
    return _hub("PekingU/rtdetr_r18vd", file, size)


def _siglip(file: str, size: int, instead: File | None = None) -> File:
    return _hub("google/siglip2-base-patch16-224", file, size, instead)


def _release(base: str, file: str, size: int, sha256: str = "") -> tuple[File]:
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
        "u2netp",
        "segmenter",
        "Apache-2.0",
        "https://github.com/xuebinqin/U-2-Net, as ONNX by rembg (v0.0.0)",
        _release(
            _REMBG,
            "u2netp.onnx",
            4_574_861,
            "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        ),
        "U²-Net, small: salient objects at 320 px; the teacher of our masks",
        torch=False,
    ),
    Pack(
        "u2net",
        "segmenter",
        "Apache-2.0",
        "https://github.com/xuebinqin/U-2-Net, as ONNX by rembg (v0.0.0)",
        _release(
            _REMBG,
            "u2net.onnx",
            175_997_641,
            "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
        ),
        "U²-Net: salient objects at 320 px, at four times the time of u2netp",
        torch=False,
    ),
    Pack(
        "isnet-general-use",
        "segmenter",
        "Apache-2.0",
        "https://github.com/xuebinqin/DIS, as ONNX by rembg (v0.0.0)",
        _release(_REMBG, "isnet-general-use.onnx", 178_648_008),
        "IS-Net: fine objects at 1024 px, some seconds on a CPU",
        torch=False,
    ),
    Pack(
        "birefnet-general-lite",
        "segmenter",
        "MIT",
        "https://github.com/ZhengPeng7/BiRefNet, as ONNX by rembg (v0.0.0)",
        _release(_REMBG, "BiRefNet-general-bb_swin_v1_tiny-epoch_232.onnx", 224_005_088),
        "BiRefNet, Swin-T: fine objects at 1024 px, many seconds on a CPU",
        torch=False,
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
    Pack(
        "blip-base",
        "captioner",
        "BSD-3-Clause",
        "Salesforce/blip-image-captioning-base",
        (
            _blip("config.json", 4_560),
            _blip("preprocessor_config.json", 287, _blip("processor_config.json", 5_000)),
            _blip("tokenizer.json", 711_000),
            _blip("tokenizer_config.json", 506),
            _blip("model.safetensors", 990_000_000),
        ),
        "BLIP, base: a sentence in English, some seconds on a CPU",
    ),
    Pack(
        "florence-2-base",
        "captioner",
        "MIT",
        "florence-community/Florence-2-base (Microsoft's, in the layout of transformers)",
        (
            _florence("config.json", 5_700),
            _florence("generation_config.json", 300),
            _florence("preprocessor_config.json", 1_000, _florence("processor_config.json", 5_000)),
            _florence("tokenizer.json", 3_600_000),
            _florence("tokenizer_config.json", 200_000),
            _florence("model.safetensors", 1_083_000_000),
        ),
        "Florence-2, base: a sentence in English and the objects, many seconds on a CPU",
    ),
    Pack(
        "owlv2-base",
        "detector",
        "Apache-2.0",
        "google/owlv2-base-patch16-ensemble",
        (
            _owlv2("config.json", 1_400),
            _owlv2("preprocessor_config.json", 425, _owlv2("processor_config.json", 2_000)),
            _owlv2("vocab.json", 862_000, _owlv2("tokenizer.json", 3_600_000)),
            _owlv2("merges.txt", 525_000),
            _owlv2("tokenizer_config.json", 1_000),
            _owlv2("model.safetensors", 620_000_000),
        ),
        "OWLv2, base: boxes of anything that words name, many seconds on a CPU",
    ),
    Pack(
        "grounding-dino-tiny",
        "detector",
        "Apache-2.0",
        "IDEA-Research/grounding-dino-tiny",
        (
            _grounding("config.json", 1_500),
            _grounding("preprocessor_config.json", 457, _grounding("processor_config.json", 2_000)),
            _grounding("tokenizer.json", 711_000, _grounding("vocab.txt", 232_000)),
            _grounding("tokenizer_config.json", 1_300),
            _grounding("model.safetensors", 690_000_000),
        ),
        "Grounding DINO, tiny: boxes of anything that words name, many seconds on a CPU",
    ),
    Pack(
        "rtdetr-r18",
        "detector",
        "Apache-2.0",
        "PekingU/rtdetr_r18vd",
        (
            _rtdetr("config.json", 4_500),
            _rtdetr("preprocessor_config.json", 841),
            _rtdetr("model.safetensors", 81_000_000),
        ),
        "RT-DETR, ResNet-18: boxes of the 80 classes of COCO, about a second on a CPU",
    ),
    Pack(
        "siglip2-base",
        "embedder",
        "Apache-2.0",
        "google/siglip2-base-patch16-224",
        (
            _siglip("config.json", 3_000),
            _siglip("preprocessor_config.json", 400, _siglip("processor_config.json", 5_000)),
            _siglip("tokenizer.json", 34_400_000),
            _siglip("tokenizer_config.json", 47_000),
            _siglip("model.safetensors", 1_500_800_000),
        ),
        "SigLIP 2, base: search by words in many languages, about a second an image on a CPU",
    ),
)

CATALOGUE: dict[str, Pack] = {pack.name: pack for pack in _PACKS}


def names(stage: str) -> tuple[str, ...]:
    """The packs of a stage, as the configuration names them."""
    return tuple(pack.name for pack in _PACKS if pack.stage == stage)
