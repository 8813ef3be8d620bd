"""`tagecho init`: the first configuration, asked for on a terminal or said by options."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bot.config import load
from bot.config.initial import example
from bot.core.events import TrackKind
from bot.platforms.mastodon_sandbox.server import Mastodon
from tests.command import Run
from tests.terminal import on_terminal
from tests.waiting import PATIENCE


@pytest.fixture
def tagecho(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None, tagecho: Run
) -> Run:
    """In an empty folder, with nothing of the shell's."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tagecho


def test_by_options(tagecho: Run, tmp_path: Path) -> None:
    done = tagecho(
        *("init", "--username", "My.Bot", "--account", "second", "--opt-in", "#tintme"),
        *("--track", "#Sunset", "--track", "@some.name"),
    )
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[-1] == "next: tagecho check"
    settings = load(tmp_path / "config.toml", {})
    assert settings.accounts["second"].username == "my.bot"
    assert [(track.kind, track.name) for track in settings.tracks] == [
        (TrackKind.HASHTAG, "sunset"),
        (TrackKind.PROFILE, "some.name"),
    ]
    assert settings.replies.opt_in_hashtags == ("tintme",)
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    assert "TAGECHO_ACCOUNTS__SECOND__PASSWORD" in text
    comments = [line for line in example().splitlines() if line.startswith("# ---")]
    assert [line for line in text.splitlines() if line.startswith("# ---")] == comments
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert tagecho("check").code == 0


def test_on_another_platform_it_has_that_ones_keys(tagecho: Run, tmp_path: Path) -> None:
    words = ("--platform", "bluesky", "--username", "me.bsky.social", "--track", "#dawn")
    assert tagecho("init", *words).code == 0
    account = load(tmp_path / "config.toml", {}).accounts["main"]
    assert (account.platform, account.handle) == ("bluesky", "me.bsky.social")
    assert tagecho("check").code == 0


def test_without_tracks_it_is_right_as_well(tagecho: Run, tmp_path: Path) -> None:
    done = tagecho("init", "--username", "bot", "--config", "sub folder/c.toml")
    assert done.err.splitlines()[-1] == "next: tagecho check --config 'sub folder/c.toml'"
    assert load(tmp_path / "sub folder" / "c.toml", {}).tracks == ()


def test_a_file_that_is_there_is_kept(tagecho: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine\n", encoding="utf-8")
    assert tagecho("init", "--username", "bot").code == 2
    assert (tmp_path / "config.toml").read_text(encoding="utf-8") == "# mine\n"
    assert tagecho("init", "--username", "bot", "--force").code == 0
    assert load(tmp_path / "config.toml", {}).accounts["main"].username == "bot"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--username"),
        (["--username", "a b"], "a b"),
        (["--username", "bot", "--track", "sunset"], "#name"),
        (["--username", "bot", "--track", "#a b"], "a b"),
        (["--username", "bot", "--platform", "instagran"], "did you mean"),
        (["--username", "bot", "--account", "My Bot"], "a-z"),
        (["--username", "b/ot"], "user name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    tagecho: Run, tmp_path: Path, words: list[str], said: str
) -> None:
    done = tagecho("init", *words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_secrets_that_others_may_enter_is_closed(tagecho: Run, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    assert tagecho("init", "--username", "bot").code == 0
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


@pytest.mark.slow
def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    """User name, tracks, password: the last is not echoed, and lands in a file of mode 0600."""
    with on_terminal(tmp_path, "init") as terminal:
        shown = ""
        for question, answer in (
            ("User name", "my.bot"),
            ("Collect", "#dusk"),
            # With the space, which is written after the echo is off. What was typed before that
            # is thrown away, as at any prompt for a password.
            ("Password (empty: later): ", "s3cr"),
        ):
            shown += terminal.until(question)
            terminal.type(f"{answer}\n")
        shown += terminal.until("next: tagecho check")
        assert terminal.process.wait(PATIENCE) == 0
    assert "s3cr" not in shown
    main = load(tmp_path / "config.toml", {}).accounts["main"]
    assert main.username == "my.bot"
    assert main.password.get_secret_value() == "s3cr"  # type: ignore[attr-defined]
    file = tmp_path / "secrets" / "main.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_access_token_of_mastodon_is_asked_for_by_its_code(tmp_path: Path) -> None:
    """`init` names what the platform takes; `login` gets it from the server."""
    with Mastodon() as network:
        with on_terminal(tmp_path, "init", "--platform", "mastodon") as terminal:
            for question, answer in (
                ("User name", network.username),
                ("Collect", "#dusk"),
                ("asks the server for one): ", ""),
            ):
                terminal.until(question)
                terminal.type(f"{answer}\n")
            terminal.until("next: tagecho check")
            assert terminal.process.wait(PATIENCE) == 0
        path = tmp_path / "config.toml"
        server = f'server = "{network.server}"\nplatform = '
        path.write_text(path.read_text().replace("platform = ", server, 1))
        with on_terminal(tmp_path, "login") as terminal:
            shown = terminal.until("Code: ")
            terminal.type(f"code-of-{network.username}\n")
            shown += terminal.until("logged in as")
            assert terminal.process.wait(PATIENCE) == 0
        assert f"http://{network.server}/oauth/authorize?" in shown
        assert "code-of" not in shown, "it is not echoed"
        file = tmp_path / "secrets" / "main.token"
        assert file.read_text() == f"{network.token}\n"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
