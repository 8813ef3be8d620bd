"""A demo or rehearsal in processes of its own: what it must never touch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.config import load
from bot.core.errors import AccountLocked, UsageError
from bot.verbs.demo.folder import contained, fresh

pytestmark = pytest.mark.slow

CONFIG = """\
[accounts.main]
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "main"
hashtag = "sunset"
every = "15m"
"""


ON_MASTODON = (
    CONFIG.replace('"instagram"', '"mastodon"')
    + """
[[tracks]]
account = "main"
profile = "somebody@other.example"
every = "15m"
"""
)


def rehearse(
    tmp_path: Path, config: str = CONFIG, **environ: str
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "config.toml").write_text(config)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
    command = [sys.executable, "-m", "bot", "rehearse", "--for", "1", "--rate", "0.1", "--json"]
    command += ["--config", str(tmp_path / "config.toml"), "--dir", str(tmp_path / "rehearsal")]
    return subprocess.run(command, env=kept | environ, capture_output=True, text=True, check=False)


def test_a_rehearsal_never_opens_the_real_database(tmp_path: Path) -> None:
    """Though the shell says where that is."""
    real = tmp_path / "real.db"
    file = tmp_path / "url"
    file.write_text(f"sqlite:///{real}\n")
    file.chmod(0o600)
    done = rehearse(tmp_path, TAGECHO_DATA__URL_FILE=str(file))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["duplicate_replies"] == 0
    assert not real.exists()
    assert "every 15m is looked at only once" in " ".join(done.stderr.split())
    assert (tmp_path / "rehearsal/data/tagecho.db").exists()


def test_a_rehearsal_reads_no_secret_and_tells_nobody(tmp_path: Path) -> None:
    """Neither what cannot be read, nor the addresses of notices that could be."""
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets/main.password").mkdir()
    urls = tmp_path / "secrets/notices.urls"
    urls.write_text("json://127.0.0.1:1/", encoding="utf-8")
    urls.chmod(0o600)
    done = rehearse(
        tmp_path,
        TAGECHO_ACCOUNTS__MAIN__TOTP_SECRET_FILE=str(tmp_path / "absent"),
        TAGECHO_NOTICES__URLS_FILE=str(tmp_path / "absent"),
        TAGECHO_CONSOLE__ENABLED="true",
        TAGECHO_CONSOLE__PASSWORD_FILE=str(tmp_path / "absent"),
    )
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "rehearsal/daemon.log").read_text(encoding="utf-8")
    assert "session opened" in log, "by a second factor that the network made up"
    assert '"event": "notice' not in log and '"event": "console' not in log


def test_an_account_on_mastodon_is_rehearsed_on_its_own_network(tmp_path: Path) -> None:
    done = rehearse(tmp_path, ON_MASTODON)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["duplicate_replies"] == 0
    log = (tmp_path / "rehearsal/daemon.log").read_text()
    assert '"service started"' in log and "Traceback" not in log


def test_a_second_one_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    """It used to delete the data of the one that runs."""
    folder = tmp_path / "demo"
    with fresh(folder):
        (folder / "data").mkdir()
        (folder / "data" / "file").touch()
        with pytest.raises(AccountLocked, match="in use by another"), fresh(folder):
            pass
        assert (folder / "data" / "file").exists()
    with fresh(folder):
        assert not (folder / "data").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(UsageError, match="holds something else"), fresh(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine" / "file").exists()


@pytest.mark.parametrize("url", ["sqlite:////elsewhere/tagecho.db", "postgresql://h/tagecho"])
def test_a_database_outside_of_its_folder_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    settings = load(tmp_path / "config.toml", {"TAGECHO_DATA__URL": url})
    with pytest.raises(UsageError, match="must lie in"):
        contained(settings, tmp_path)
