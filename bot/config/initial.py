"""The first configuration: the explained example with the operator's own account and tracks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from bot.core.events import TrackKind
from bot.platforms import registry

_TRACKS = re.compile(r"(?m)^\[\[tracks\]\]\n[\s\S]*?(?=^# --- Replies)")


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the operator says at first; all else are defaults."""

    username: str
    account: str = "main"
    platform: str = registry.FIRST
    tracks: Sequence[tuple[TrackKind, str]] = ()
    opt_in: Sequence[str] = ()


def example() -> str:
    """The configuration that explains every key: a file of the package."""
    return (resources.files("bot.config") / "template.toml").read_text(encoding="utf-8")


def initial(begin: Beginning) -> str:
    """The example as the configuration of this operator. Nothing in it is judged."""
    quoted = json.dumps(begin.account, ensure_ascii=False)  # a name that is none is judged later
    heading = begin.account if re.fullmatch(r"\w+", begin.account, re.ASCII) else quoted
    text = example().replace("[accounts.main]", f"[accounts.{heading}]")
    text = text.replace("ACCOUNTS__MAIN__", f"ACCOUNTS__{begin.account.upper()}__")
    text = text.replace('named "main"', f'named "{begin.account}"')
    text = text.replace("secrets/main.", f"secrets/{begin.account}.")
    text = _with(text, "platform", begin.platform)
    text = _of_its_platform(text, begin.platform)
    text = _with(text, "username", begin.username)
    text = _with(text, "opt_in_hashtags", list(begin.opt_in))
    tracks = "".join(_track(begin.account, kind, name) for kind, name in begin.tracks)
    none = '# [[tracks]]\n# hashtag = "sunset"\n\n'
    return _TRACKS.sub(lambda _: tracks or none, text, count=1)


def _of_its_platform(text: str, platform: str) -> str:
    """Without the keys of the example's account that this platform does not have."""
    first, own = registry.find(registry.FIRST), registry.find(platform)
    if first is None or own is None:
        return text
    for key in set(first.settings.model_fields) - set(own.settings.model_fields):
        text = re.sub(rf"(?m)^(# )?{key} = .*\n", "", text, count=1)
    return text


def _with(text: str, key: str, value: object) -> str:
    """The first `key = …` with another value; its comment stays in its column."""
    found = re.search(rf"(?m)^{key} = (\"[^\"]*\"|\[[^\]]*\])( *)(?=#|$)", text)
    if found is None:
        raise ValueError(f"the example has no {key}")
    new = json.dumps(value, ensure_ascii=False)
    room = max(1, len(found[1]) + len(found[2]) - len(new)) if found[2] else 0
    return text[: found.start()] + f"{key} = {new}{' ' * room}" + text[found.end() :]


def _track(account: str, kind: TrackKind, name: str) -> str:
    lines = [
        "[[tracks]]",
        f"account = {json.dumps(account, ensure_ascii=False)}",
        f"{kind} = {json.dumps(name, ensure_ascii=False)}",
        'every = "15m"                      # how often to look',
        '# dataset = "sunsets"              # the dataset of its posts; default: the name above',
        '# reply = "auto"                   # a style: every post of the track gets a reply',
    ]
    return "\n".join(lines) + "\n\n"
