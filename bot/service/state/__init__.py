"""How everything is, told truly, in one place: every process that asks gets the same answer.

facts.py      the values that are told
look.py       `look` reads them; `as_dict` makes JSON of them
accounts.py   logins, pauses, caps and limits of an account
tracks.py     the health of a track
collections.py
              what the service was asked to collect
waiting.py    the replies by state, and why the oldest waits
advice.py     what to do about an error
"""

from bot.service.state.facts import (
    AccountHealth,
    AccountStatus,
    Caps,
    CollectionStatus,
    Disk,
    LimitLeft,
    Missing,
    Queue,
    ServiceState,
    TrackHealth,
    TrackStatus,
    Trouble,
    Waiting,
)
from bot.service.state.look import as_dict, look, unread

__all__ = [
    "AccountHealth",
    "AccountStatus",
    "Caps",
    "CollectionStatus",
    "Disk",
    "LimitLeft",
    "Missing",
    "Queue",
    "ServiceState",
    "TrackHealth",
    "TrackStatus",
    "Trouble",
    "Waiting",
    "as_dict",
    "look",
    "unread",
]
