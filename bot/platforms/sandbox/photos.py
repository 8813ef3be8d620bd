"""Pictures of the loopback network: real photos, cut and scaled in many ways, and uploads.

The photos are the sample images that scikit-image ships; only its files are read. A pool of JPEGs
is encoded on first use; each post gets bytes of its own by a comment segment in the JPEG, which
costs nothing and keeps two posts from sharing one SHA-256.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import random
import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bot.platforms.sandbox.things import Picture

POOL = 48
SUBJECTS: dict[str, tuple[str, ...]] = {  # file -> what it shows, as hashtags
    "chelsea.png": ("cat", "catsofinstagram", "кошка"),
    "astronaut.png": ("portrait", "space", "astronaut"),
    "coffee.png": ("coffee", "كوفي", "cafe"),
    "motorcycle_left.png": ("motorcycle", "garage", "バイク"),
    "rocket.jpg": ("rocket", "launch", "космос"),
    "camera.png": ("photography", "monochrome", "写真"),
    "hubble_deep_field.jpg": ("galaxy", "astronomy", "宇宙"),
    "coins.png": ("coins", "museum", "history"),
    "motorcycle_right.png": ("motorcycle", "workshop", "moto"),
    "grass.png": ("grass", "texture", "grün"),
}
_WIDTHS = (320, 480, 640, 750, 1080)
_SMALL = 150
_ASPECTS = (1.0, 0.8, 1.0, 1.25, 1.5, 0.9)  # width / height, all within Instagram's 0.8 .. 1.91


@dataclass(frozen=True, slots=True)
class _Recipe:
    file: str
    width: int
    height: int
    left: float  # where the crop lies in the room it has, in [0, 1]
    top: float
    zoom: float  # size of the crop relative to the largest one, in (0, 1]
    flip: bool


class Gallery:
    """Every image by its key.

    `p/N/NAME` is the pool's N-th picture, made unique by NAME, `s/N/NAME` a small one of it; `u/ID`
    is an upload.
    """

    def __init__(self, directory: Path, seed: int = 0, pool: int = POOL) -> None:
        self._uploads = directory / "uploads"
        self._uploads.mkdir(parents=True, exist_ok=True)
        self._recipes = _recipes(seed, pool)
        self._encoded: dict[tuple[str, int], bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many pictures the pool has."""
        return len(self._recipes)

    def pick(self, serial: int, index: int = 0) -> Picture:
        number = (serial * 7 + index * 5) % len(self._recipes)
        recipe = self._recipes[number]
        return Picture(f"p/{number}/{serial}_{index}", recipe.width, recipe.height)

    def small(self, picture: Picture) -> Picture | None:
        """The preview that is offered beside a picture; uploads have none."""
        if not picture.key.startswith("p/"):
            return None
        height = round(picture.height * _SMALL / picture.width)
        return Picture(f"s/{picture.key.removeprefix('p/')}", _SMALL, height)

    def subject(self, picture: Picture) -> tuple[str, ...]:
        """Hashtags for what a picture of the pool shows."""
        return SUBJECTS[self._recipes[int(picture.key.split("/")[1])].file]

    def read(self, key: str) -> bytes:
        """JPEG bytes. Raises KeyError for a key that was never given out."""
        kind, _, rest = key.partition("/")
        number, _, name = rest.partition("/")
        if kind in ("p", "s") and number.isdigit() and int(number) < len(self._recipes):
            return _named(self._pooled(kind, int(number)), name)
        path = self._uploads / f"{rest}.jpg"
        if kind == "u" and "/" not in rest and ".." not in rest and path.is_file():
            return path.read_bytes()
        raise KeyError(key)

    def keep(self, upload_id: str, data: bytes) -> Picture:
        """Store an upload. Raises OSError (PIL's UnidentifiedImageError) when it is no image."""
        if not upload_id or not all(letter.isalnum() or letter in "_-" for letter in upload_id):
            raise ValueError(f"upload id {upload_id!r} cannot name a file")
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
        (self._uploads / f"{upload_id}.jpg").write_bytes(data)
        return Picture(f"u/{upload_id}", width, height)

    def warm(self) -> None:
        """Encode the whole pool now, so that no request waits for it."""
        for number in range(len(self._recipes)):
            self._pooled("p", number)

    def _pooled(self, kind: str, number: int) -> bytes:
        with self._lock:
            if (kind, number) not in self._encoded:
                width = _SMALL if kind == "s" else self._recipes[number].width
                self._encoded[kind, number] = _encode(self._recipes[number], width)
            return self._encoded[kind, number]


def _recipes(seed: int, pool: int) -> list[_Recipe]:
    chance = random.Random(seed)  # noqa: S311 - variety, not secrets
    files = list(SUBJECTS)
    made = []
    for number in range(pool):
        width = _WIDTHS[number % len(_WIDTHS)]
        height = round(width / chance.choice(_ASPECTS))
        made.append(
            _Recipe(
                files[number % len(files)],
                width,
                height,
                chance.random(),
                chance.random(),
                chance.uniform(0.7, 1.0),
                chance.random() < 0.5,
            )
        )
    return made


@functools.cache
def _folder() -> Path:
    spec = importlib.util.find_spec("skimage")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("scikit-image is not installed: no seed photos")
    return Path(spec.submodule_search_locations[0]) / "data"


def _encode(recipe: _Recipe, out_width: int) -> bytes:
    with Image.open(_folder() / recipe.file) as opened:
        image = opened.convert("RGB")
    aspect = recipe.width / recipe.height
    width = min(image.width, image.height * aspect) * recipe.zoom
    height = width / aspect
    left = (image.width - width) * recipe.left
    top = (image.height - height) * recipe.top
    box = (left, top, left + width, top + height)
    out = (out_width, round(recipe.height * out_width / recipe.width))
    image = image.resize(out, Image.Resampling.BICUBIC, box=box)
    if recipe.flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _named(jpeg: bytes, name: str) -> bytes:
    comment = name.encode()
    return b"".join(
        (jpeg[:2], b"\xff\xfe", (len(comment) + 2).to_bytes(2, "big"), comment, jpeg[2:])
    )
