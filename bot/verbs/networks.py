"""`tagecho models list` and `verify`: the networks, which serve, their files and figures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.errors import ModelError, UsageError
from bot.service.app import App, networks_of
from models.base import WeightsError
from models.segment.learned_networks import Store
from models.serving.card_figures import card_figures
from models.serving.catalogue import CATALOGUE, Pack
from models.serving.inventory import card_of, damage, inventory
from models.serving.promotion_rule import SHIPPED
from models.serving.shelf import Shelf
from storage import learning
from storage.tables import LearningRun


def listing(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """Shipped, learned and official networks: name, stage, licence, bytes, sha256, in_service, pack
    (embedded, learned, official), and here (its files are stored).
    Raises ModelError.
    """
    serving = _serving(settings)
    store = Store(networks_of(settings))
    try:
        entries, current = inventory(folder), store.pointer.current
        learned = [(name, inventory(store.folder(name))[0]) for name in store.versions()]
    except WeightsError as error:
        raise ModelError(str(error)) from error
    if serving["segmenter"] == "learned" and current == SHIPPED:
        serving["segmenter"] = SHIPPED
    rows = [
        asdict(entry)
        | {"in_service": serving.get(entry.stage) == SHIPPED, "pack": SHIPPED, "here": True}
        for entry in entries
    ]
    for name, entry in learned:
        serves = serving["segmenter"] == "learned" and name == current
        also = {"name": name, "in_service": serves, "pack": "learned", "here": True}
        rows.append(asdict(entry) | also)
    return rows + [_official(settings, pack) for pack in CATALOGUE.values()]


def described(app: App, settings: Settings) -> list[dict[str, Any]]:
    """The rows of `listing`, each with `about` (a line for people; empty: its card says it),
    `figures` (the tables of its card) and, for a learned one, `run`: number, state and reason of
    the run that made it. Raises ModelError.
    """
    rows = listing(settings)
    with app.database.read() as session:
        runs = {
            row["name"]: learning.made(session, row["name"])
            for row in rows
            if row["pack"] == "learned"
        }
    return [row | _more(settings, row, runs.get(row["name"])) for row in rows]


def card(settings: Settings, name: str) -> str:
    """What is known of a network, as Markdown. Raises UsageError, ModelError."""
    row = next((row for row in listing(settings) if row["name"] == name), None)
    if row is None:
        raise UsageError(f"there is no network {name!r}")
    if row["pack"] == "official":
        pack = CATALOGUE[name]
        return f"# {name}\n\n{pack.about}\n\nFrom {pack.source}. Licence: {pack.licence}.\n"
    try:
        return _card(settings, row)
    except WeightsError as error:
        raise ModelError(str(error)) from error


def _more(settings: Settings, row: dict[str, Any], run: LearningRun | None) -> dict[str, Any]:
    if row["pack"] == "official":
        return {"about": CATALOGUE[row["name"]].about, "figures": [], "run": None}
    try:
        tables = [asdict(table) for table in card_figures(_card(settings, row))]
    except WeightsError:  # its files are damaged, which `models verify` says
        tables = []
    made = {"run": run.id, "state": run.state, "reason": run.reason} if run else None
    return {"about": "", "figures": tables, "run": made}


def _card(settings: Settings, row: dict[str, Any]) -> str:
    if row["pack"] == "learned":
        return card_of("segment", Store(networks_of(settings)).folder(row["name"]))
    return card_of(row["name"])


def _serving(settings: Settings) -> dict[str, str]:
    """Pack by stage."""
    chosen = settings.models
    return {
        "segmenter": chosen.segmenter,
        "upscaler": chosen.upscaler,
        "refiner": chosen.refiner,
    }


def _official(settings: Settings, pack: Pack) -> dict[str, Any]:
    """Bytes and SHA-256 of its stored files, else those of the catalogue."""
    row = {
        "name": pack.name,
        "stage": pack.stage,
        "licence": pack.licence,
        "bytes": pack.bytes,
        "sha256": pack.files[-1].sha256,
        "in_service": _serving(settings).get(pack.stage) == pack.name,
        "pack": "official",
        "here": False,
    }
    try:
        present = Shelf(networks_of(settings), pack).present()
    except WeightsError:  # `verify` reports what is wrong
        return row
    size = sum(record.bytes for _, record in present)
    return row | {"here": True, "bytes": size, "sha256": present[-1][1].sha256}


def verify(settings: Settings, folder: Path | None = None) -> list[dict[str, Any]]:
    """Of the networks in service: name, sha256, and the problem (empty: none).

    Raises ModelError if this cannot be determined.
    """
    return [
        {"name": row["name"], "sha256": row["sha256"], "problem": _problem(settings, row, folder)}
        for row in listing(settings, folder)
        if row["in_service"]
    ]


def _problem(settings: Settings, row: dict[str, Any], folder: Path | None) -> str:
    store, name = Store(networks_of(settings)), row["name"]
    if row["pack"] == "official":
        try:
            Shelf(networks_of(settings), CATALOGUE[name]).weights()
        except WeightsError as error:
            return str(error)
        return ""
    if name in store.versions():
        return damage("segment", store.folder(name))
    return damage(name, folder)
