"""The learned words as one file: arrays of numbers and a head of JSON; no pickle.

HOME/words/words.npz, replaced as a whole. Who was forgotten may be in it, so it is removed when
somebody is forgotten and learned anew of those who are left.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.base import WeightsError
from models.words.features import Sight
from models.words.tagger import Tagger
from models.words.textvectors import TextVectors

FORMAT = 1
NAME = "words.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWords:
    """What was learned of a stream. `taught`: what it was learned from, to see whether it is
    current; `figures`: how good it is on people that it never saw."""

    sight: Sight
    tagger: Tagger | None  # None: no hashtag was frequent enough
    text: TextVectors
    model: str  # version of the network whose embeddings it needs
    outline: str
    taught: str
    figures: dict[str, Any]
    version: str = ""  # `words-` and 12 digits of the file's SHA-256

    def head(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tags": list(self.tagger.tags) if self.tagger else [],
            "words": list(self.text.words),
            "model": self.model,
            "outline": self.outline,
            "taught": self.taught,
            "figures": self.figures,
        }


def path_in(home: Path) -> Path:
    """`home`: the folder of networks in the data folder."""
    return home / "words" / NAME


def keep(words: LearnedWords, home: Path) -> LearnedWords:
    """Write the file; the same words with their version. Raises OSError."""
    path = path_in(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = np.frombuffer(json.dumps(words.head(), sort_keys=True).encode(), np.uint8)
    arrays: dict[str, Any] = {**words.sight.arrays(), **words.text.arrays()}
    if words.tagger is not None:
        arrays |= words.tagger.arrays()
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        np.savez(file, head=head, **arrays)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return load(home) or words


def load(home: Path) -> LearnedWords | None:
    """None when nothing was learned yet. Raises WeightsError for a file that cannot be read."""
    path = path_in(home)
    try:
        data = path.read_bytes()
        version = f"words-{hashlib.sha256(data).hexdigest()[:12]}"
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(arrays["head"].tobytes())
        if head["format"] != FORMAT:
            raise WeightsError(f"{path} was written by another version of tagecho: remove it")
        return LearnedWords(
            Sight.of(arrays),
            Tagger.of(head["tags"], arrays) if head["tags"] else None,
            TextVectors.of(head["words"], arrays),
            str(head["model"]),
            str(head["outline"]),
            str(head["taught"]),
            dict(head["figures"]),
            version,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} cannot be read: {error!r}. Remove it") from error


def forget(home: Path) -> bool:
    """Remove the file. Returns whether there was one. Raises OSError."""
    path = path_in(home)
    found = path.exists()
    path.unlink(missing_ok=True)
    return found
