"""The networks, the runs that learn, their curves and decisions; which network is in service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from bot.console.access.actions import note
from bot.console.access.roles import Asks, Person
from bot.console.api.answers import ANSWERS
from bot.console.context import Context, Here
from bot.core.csv_text import csv_lines
from bot.core.errors import TagechoError, UsageError
from bot.verbs import learn, networks
from storage.learning import RunState

router = APIRouter(prefix="/api/learning", tags=["learning"], responses=ANSWERS)
LARGEST = 2**63 - 1  # of a row's number
Number = Annotated[int, Path(ge=1, le=LARGEST, description="Of the run.")]


class CardFigures(BaseModel):
    """A table of a network's card."""

    heading: list[str]
    rows: list[list[str]]


class MadeBy(BaseModel):
    """The run that made a network, and the decision on it."""

    run: int
    state: RunState
    reason: str


class NetworkLine(BaseModel):
    """A network, as `tagecho models list --json` tells it, with its figures."""

    name: str
    stage: str
    licence: str
    bytes: int
    sha256: str
    in_service: bool
    pack: str = Field(description="embedded (shipped), learned, official.")
    here: bool = Field(description="Its files are stored; else `tagecho models pull NAME`.")
    about: str
    figures: list[CardFigures]
    run: MadeBy | None = Field(description="Of a learned one.")


class Compared(BaseModel):
    """A measure of the new network and of the one in service, on the same items."""

    count: int
    new: float
    old: float
    low: float = Field(description="Of the 95 % interval of the difference, new minus old.")
    high: float


class RunLine(BaseModel):
    """A run of `tagecho learn`."""

    run: int
    state: RunState
    stage: str
    reason: str = Field(description="Why its network was promoted or not, or why it failed.")
    version: str = Field(description="Of its network; empty: none came out.")
    images: int
    started: datetime
    finished: datetime | None
    data: dict[str, int] | None
    start: str | None
    teacher: dict[str, str] | None
    evidence: dict[str, Compared | None] | None
    in_service: str | None = Field(description="What it was compared with.")
    seconds: float | None
    progress: str


class RunFull(RunLine):
    recipe: dict[str, Any] | None


class LearningState(BaseModel):
    running: bool
    current: str = Field(description="The network in service; embedded: the shipped one.")
    previous: str
    uses: str = Field(description="[models] segmenter: only `learned` uses what is promoted.")
    versions: list[str]
    runs: list[RunLine]


class Point(BaseModel):
    step: int
    value: float


class CurveOfRun(BaseModel):
    """A figure of one training of a run."""

    training: str
    figure: str
    points: list[Point]


class ChosenNetwork(BaseModel):
    """The network to put in service."""

    version: str = Field(max_length=100, description="embedded is the shipped one.")


class Serving(BaseModel):
    current: str
    previous: str


@router.get("", summary="The network in service, and the newest runs")
def learning(
    here: Here, limit: Annotated[int, Query(ge=1, le=1000, description="Of runs.")] = 20
) -> LearningState:
    found = learn.state_of(here.app, here.settings, limit)
    return LearningState.model_validate(found | {"uses": here.settings.models.segmenter})


@router.get("/networks", summary="Shipped, learned and official networks, with their figures")
def network_list(here: Here) -> list[NetworkLine]:
    rows = networks.described(here.app, here.settings)
    return [NetworkLine.model_validate(row) for row in rows]


@router.get(
    "/networks/{name}/card",
    summary="The card of a network: data, recipe, figures",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def network_card(here: Here, name: Annotated[str, Path(max_length=100)]) -> Response:
    return PlainTextResponse(card_of(here, name))


@router.get("/runs/{number}", summary="One run")
def run(here: Here, number: Number) -> RunFull:
    return RunFull.model_validate(run_of(here, number))


@router.get("/runs/{number}/curves", summary="What its trainings measured, step by step")
def curves(here: Here, number: Number) -> list[CurveOfRun]:
    run_of(here, number)
    return [
        CurveOfRun(
            training=one.training,
            figure=one.figure,
            points=[Point(step=step, value=value) for step, value in one.points],
        )
        for one in learn.curves(here.settings, number)
    ]


@router.get(
    "/runs/{number}/curves.csv",
    summary="The same as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
def curves_csv(here: Here, number: Number) -> StreamingResponse:
    run_of(here, number)
    names = ("training", "figure", "step", "value")
    rows = (
        dict(zip(names, (one.training, one.figure, step, value), strict=True))
        for one in learn.curves(here.settings, number)
        for step, value in one.points
    )
    return StreamingResponse(
        csv_lines(names, rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="run-{number}.csv"'},
    )


@router.post("/promote", summary="Put a network in service without a proof")
def promote(here: Here, person: Asks, said: ChosenNetwork) -> Serving:
    with _noted(here, person, "network promote", said.version):
        found = learn.put_in_service(here.app, here.settings, said.version, None, person.name)
    return Serving(**found)


@router.post("/rollback", summary="Put the previous network back in service")
def rollback(here: Here, person: Asks) -> Serving:
    before = learn.state_of(here.app, here.settings, 1)
    with _noted(here, person, "network rollback", f"{before['current']} → {before['previous']}"):
        found = learn.rollback(here.settings)
    return Serving(**found)


def run_of(here: Context, number: int) -> dict[str, Any]:
    """Raises 404."""
    try:
        return learn.one_run(here.app, here.settings, number)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None


def card_of(here: Context, name: str) -> str:
    """Raises 404."""
    try:
        return networks.card(here.settings, name)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None


@contextmanager
def _noted(here: Context, person: Person, action: str, target: str) -> Iterator[None]:
    """The log has what was tried, and what became of it."""
    try:
        yield
    except TagechoError as error:
        note(here, person, action, target, str(error))
        raise
    note(here, person, action, target)
