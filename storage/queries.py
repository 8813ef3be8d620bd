"""What a dataset asks for: stored as JSON with the version of its rules, and checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bot.core.errors import UsageError
from bot.core.normal_form import hashtag, name, track_key, username
from storage.checks import checks
from storage.derived import MAX_NAME

ALL = "all"
MOST = 500  # names of one kind: a database takes only so many parameters


def _hashtag(text: str) -> str:
    tag = hashtag(text)
    if not tag or any(c.isspace() for c in tag) or len(tag) > MAX_NAME:
        raise ValueError(f"{text[:60]!r} is not a hashtag")
    return tag


def _checks(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return names if isinstance(names, str) else tuple(map(str, checks(names)))


def _person(text: str) -> str:
    platform, _, name = text.strip().partition("/")
    if not platform or not name or "/" in name:
        raise ValueError(f"{text[:60]!r}: write PLATFORM/USER")
    return f"{platform.lower()}/{username(name)}"


def _track(text: str) -> str:
    account, _, rest = text.strip().partition(":")
    kind, _, target = rest.partition(":")
    return track_key(account, kind, target) if target else text.strip()


_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
_MOST = Field(max_length=MOST)
_Names = Annotated[tuple[_Name, ...], _MOST]
_Hashtags = Annotated[tuple[Annotated[_Name, AfterValidator(_hashtag)], ...], _MOST]
_Datasets = Annotated[tuple[Annotated[_Name, AfterValidator(name)], ...], _MOST]
_Tracks = Annotated[tuple[Annotated[_Name, AfterValidator(_track)], ...], _MOST]
_People = Annotated[tuple[Annotated[_Name, AfterValidator(_person)], ...], _MOST]

_LeftOut = Annotated[Literal["all"] | tuple[str, ...], AfterValidator(_checks)]


class Query(BaseModel):
    """What a dataset asks for: an image must meet every condition that is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    any_hashtags: _Hashtags = ()  # at least one of them
    all_hashtags: _Hashtags = ()
    no_hashtags: _Hashtags = ()
    datasets: _Datasets = ()  # the `dataset` key of the tracks that found it
    tracks: _Tracks = ()  # ACCOUNT:KIND:NAME
    authors: _People = ()  # PLATFORM/USER
    platforms: _Names = ()
    since: AwareDatetime | None = None  # taken at or after
    until: AwareDatetime | None = None  # taken before
    min_side: Annotated[int, Field(ge=0, le=10**6)] = 0  # px, the shorter side
    min_label_fit: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    leave_out: _LeftOut = "all"
    covers: bool = True  # cover images of videos, too
    deleted: bool = False  # posts deleted at the source, too

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since must be before until")
        both = set(self.no_hashtags) & {*self.any_hashtags, *self.all_hashtags}
        if both:
            raise ValueError(f"asked for and left out at once: #{min(both)}")
        return self

    def stored(self) -> dict[str, Any]:
        """As JSON, without what says nothing."""
        return {"version": self.version, **self.model_dump(mode="json", exclude_defaults=True)}


@contextmanager
def mistakes_told() -> Iterator[None]:
    """Where a `Query` is made: raises UsageError with a line for every mistake in it."""
    try:
        yield
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in e['loc'][:1]) or 'query'}: "
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise UsageError("\n".join(dict.fromkeys(lines))) from error


def parse(value: object) -> Query:
    """A query from JSON values. Raises UsageError with a line for every mistake."""
    if isinstance(value, dict) and value.get("version", 1) != 1:
        raise UsageError("the query was written by a newer version of tagecho")
    with mistakes_told():
        return Query.model_validate(value)
