"""How the API answers what it refuses, for its description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Refusal(BaseModel):
    """Why something was refused or failed, in a line for people."""

    error: str


# For `responses=` of routes: what each may answer beside what it is for.
ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": text}
    for status, text in {
        400: "What was asked is wrong.",
        401: "Nobody known.",
        403: "The role may not, or it came from another site's page.",
        404: "There is no such thing.",
        409: "It changed meanwhile, or the configuration file is wrong.",
        413: "More than is taken in one request.",
        421: "It came under a name that is not ours.",
        422: "A value has the wrong type, or is out of range.",
        429: "Too many wrong passwords; `Retry-After` says how long to wait.",
        503: "The database, the disk or a network does not answer.",
    }.items()
}
