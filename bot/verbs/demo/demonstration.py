"""`tagecho demo`: an account made up, with a config file of its own."""

from __future__ import annotations

import json
from pathlib import Path

from bot.platforms import registry
from bot.verbs.demo.folder import fresh
from bot.verbs.demo.loopback import Loopback, loopback, secret_variables
from bot.verbs.demo.run import Script, show

_CONFIG = """\
# Written by `tagecho demo` for the network on this machine.
[data]
dir = "data"

[accounts.main]
{account}
mentions_every = "3s"

[[tracks]]
account = "main"
hashtag = "photooftheday"
every = "2s"
dataset = "photos"

[[tracks]]
account = "main"
profile = "{profile}"
every = "5s"
dataset = "ana"

[[tracks]]
account = "main"
hashtag = "coffee"
every = "5s"
dataset = "coffee"

[replies]
approval = false          # a demonstration on loopback; the default is true
style = "auto"            # another look for every post
reconcile = ["2s", "5s"]
opt_in_hashtags = ["{opt_in}"]
per_day = 100000
per_author_per_day = 100000

[pacing]
{pacing}

[health]
listen = ""
"""


def demo(folder: Path, platform: str, *, seconds: float | None, rate: float, as_json: bool) -> None:
    """Run until `seconds` are over or Ctrl-C, then report."""
    folder = folder.resolve()
    with fresh(folder), loopback(folder, rate, [], platform) as network:
        path = folder / "config.toml"
        path.write_text(_config(network), encoding="utf-8")
        note = "approval is off here: this network is on loopback; the default is on"
        script = Script(path, note, secret_variables(["main"], network), dropped=("TAGECHO_",))
        show(network, script, folder, seconds, as_json=as_json)


def _config(network: Loopback) -> str:
    """The demonstration's own file, for an account on this network."""
    told = network.addresses
    platform, username = told["platform"], told["username"]
    keys = {"platform": platform, "username": username, **told["account"], **told["pace"]}
    actions = found.actions if (found := registry.find(platform)) else ()
    return _CONFIG.format(
        account="\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
        pacing="\n".join(f'{action} = "off"' for action in actions),
        opt_in=told["opt_in"],
        profile=told["profile"],
    )
