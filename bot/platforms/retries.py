"""How reads are tried again; a write never is."""

from __future__ import annotations

from collections.abc import Callable

import tenacity

from bot.core.errors import Unavailable


def reads(
    rest: Callable[[float], bool],
    *,
    attempts: int = 3,
    first: float = 0.5,
    longest: float = 10.0,
    within: float = 60.0,
) -> tenacity.Retrying:
    """How reads are tried again: only `Unavailable`, with exponential jitter, a few times.

    For reads only: a write is never sent again, and a rate limit or login trouble is no passing
    fault. No attempt begins later than `within` seconds after the first. Use as
    `reads(pacer.rest)(call, "hashtag")`; raises the last error itself. `rest` sleeps, and returns
    True when it was interrupted: then no attempt follows.
    """

    def pause(seconds: float) -> None:
        if rest(seconds):
            raise Unavailable("stopped while waiting to read again")

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Unavailable),
        wait=tenacity.wait_exponential(first, longest) + tenacity.wait_random(0, first),
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_after_delay(within),
        sleep=pause,
        reraise=True,
    )
