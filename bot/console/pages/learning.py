"""The networks and the runs that learn: figures, curves, decisions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks
from bot.console.api import learning as api
from bot.console.context import Here
from bot.console.pages import plots
from bot.console.pages.cards import card_html
from bot.console.pages.plots import Column, Plot
from bot.console.pages.rendering import page
from bot.verbs import learn

router = APIRouter(include_in_schema=False)
# What is drawn together: title, training, figures.
PANELS = (
    ("Loss of DINO", "dino", ("loss", "dino", "patch", "koleo")),
    ("Collapse: the two must stay apart", "dino", ("entropy", "mean_entropy")),
    ("Hashtags found by the nearest neighbours", "dino", ("knn",)),
    ("Loss of the masks", "head", ("loss",)),
    ("Agreement with the teacher while it trains (IoU)", "head", ("iou",)),
)


@router.get("/learning")
def learning(request: Request, here: Here, person: Asks) -> HTMLResponse:
    return page(
        request,
        person,
        "learning.html",
        learning=api.learning(here, 20),
        networks=api.network_list(here),
    )


@router.get("/learning/runs/{number}")
def run(request: Request, here: Here, person: Asks, number: api.Number) -> HTMLResponse:
    found = api.run(here, number)
    curves = learn.curves(here.settings, number)
    return page(request, person, "run.html", run=found, plots=panels(curves))


@router.get("/learning/networks/{name}")
def network(request: Request, here: Here, person: Asks, name: str) -> HTMLResponse:
    return page(
        request, person, "network.html", network=name, card=card_html(api.card_of(here, name), name)
    )


def panels(curves: list[learn.Curve]) -> list[Plot]:
    """A plot for each panel of which something was measured; other figures are in the CSV."""
    found = {(one.training, one.figure): one.points for one in curves}
    drawn = []
    for number, (title, training, figures) in enumerate(PANELS):
        known = {name: dict(found[training, name]) for name in figures if (training, name) in found}
        steps = sorted({step for points in known.values() for step in points})
        columns = [
            Column(name.replace("_", " "), [points.get(step) for step in steps], plots.tone_of(n))
            for n, (name, points) in enumerate(known.items())
        ]
        if columns:
            drawn.append(plots.lines(f"curve-{number}", title, list(map(str, steps)), columns))
    return drawn
