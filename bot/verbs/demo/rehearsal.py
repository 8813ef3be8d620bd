"""`tagecho rehearse`: the operator's own file on the loopback network."""

from __future__ import annotations

import os
from pathlib import Path

from bot import config
from bot.config import Settings
from bot.config.source import account_secrets_named
from bot.core.errors import UsageError
from bot.schema.values import format_duration
from bot.verbs.demo.folder import fresh
from bot.verbs.demo.loopback import account_variables, loopback, secret_variables
from bot.verbs.demo.run import Script, show

DROPPED = ("TAGECHO_ACCOUNTS__", "TAGECHO_DATA__", "TAGECHO_NOTICES__", "TAGECHO_CONSOLE__")


def rehearse(
    path: Path,
    folder: Path,
    *,
    seconds: float | None,
    rate: float,
    approve: bool,
    as_json: bool,
) -> None:
    """The operator's own file: only addresses, secrets and the data folder are replaced.

    `approve` plays the person who approves; without it, replies wait as they would. No secret of
    the operator is read, nobody gets a notice, and the console, whose port may be taken, is off.
    """
    folder = folder.resolve()
    settings = config.load(path, styles=config.STYLES, secrets="none")
    names = list(settings.accounts)
    if len(names) != 1:
        raise UsageError("a rehearsal plays one account: give a file that has exactly one")
    platform, people = settings.accounts[names[0]].platform, cast(settings, names[0])
    # The network makes up such secrets as the operator has; theirs stay untouched.
    for secret in sorted(account_secrets_named(path, names[0], os.environ)):
        people += ["--secret", secret]
    with fresh(folder), loopback(folder, rate, people, platform) as network:
        linked = folder / "config.toml"  # here is no folder of secrets beside it
        linked.symlink_to(path.absolute())
        name = f"TAGECHO_ACCOUNTS__{names[0].upper()}__"
        environ = secret_variables(names, network) | {
            **account_variables(name, network),
            "TAGECHO_DATA__DIR": str(folder / "data"),
            "TAGECHO_DATA__URL": "",
            "TAGECHO_HEALTH__LISTEN": "",
            "TAGECHO_CONSOLE__ENABLED": "false",
        }
        if approve:
            environ["TAGECHO_REPLIES__APPROVAL"] = "false"
        waits = settings.replies.approval and not approve
        note = f"a rehearsal of {path}" + (
            "; replies wait for approval, as they would (--approve plays that person)"
            if waits
            else ""
        )
        rare = sorted({t.every for t in settings.tracks if seconds and t.every.seconds >= seconds})
        if rare:
            note += f"; what is looked at every {format_duration(rare[0])} is looked at only once"
        script = Script(linked, note, environ, dropped=DROPPED)
        show(network, script, folder, seconds, as_json=as_json)


def cast(settings: Settings, account: str) -> list[str]:
    """The people and hashtags the operator's file speaks of, as options of the sandbox."""
    options = ["--bot", settings.accounts[account].username]
    for track in settings.tracks:
        options += [f"--{track.kind}", track.name]
    if settings.replies.opt_in_hashtags:
        options += ["--opt-in", settings.replies.opt_in_hashtags[0]]
    return options
