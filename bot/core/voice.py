"""How much this process says on stderr, beside what went wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Voice:
    """-1 (-q): only what went wrong; 0; 1 (-v) and 2 (-vv): more of the log."""

    loudness: int = 0

    @property
    def quiet(self) -> bool:
        """Whether there are no messages and no progress bars."""
        return self.loudness < 0


VOICE = Voice()
