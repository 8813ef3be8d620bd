"""Builds the application. Whoever adds a group of pages adds its routers to the two lists here."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from starlette.staticfiles import StaticFiles

from bot.console import api, pages, problems
from bot.console.access.attempts import Attempts
from bot.console.access.guard import ConsoleGuard
from bot.console.access.roles import person_of
from bot.console.access.sessions import Sessions
from bot.console.api import search
from bot.console.context import Context
from bot.console.pages import login
from bot.console.thumbnails import Thumbnails
from bot.verbs.mask_suggestions import Suggester
from bot.verbs.search import ExampleFinder

STATIC = Path(__file__).parent / "static"


def console_app(context: Context) -> FastAPI:
    """The console on this storage. Every route but login, static files and
    search by a key asks who it is."""
    app = FastAPI(
        title="tagecho",
        version=version("tagecho"),
        description=api.__doc__ or "",
        openapi_url=None,  # served by api/description.py, to those who may know
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    app.state.sessions = Sessions()
    app.state.attempts = Attempts()
    app.state.thumbnails = Thumbnails()
    app.state.finder = ExampleFinder(context.app)
    app.state.suggester = Suggester(context.app)
    asked: list[APIRouter] = [
        *(one.router for one in api.GROUPS),
        *(p.router for p in pages.GROUPS),
    ]
    for router in asked:
        app.include_router(router, dependencies=[Depends(person_of)])
    app.include_router(search.router)  # asks for a key of its own
    app.include_router(login.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    problems.answer(app)
    app.add_middleware(ConsoleGuard, hosts=context.app.settings.console.hosts)
    return app
