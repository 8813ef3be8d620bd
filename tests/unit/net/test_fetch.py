"""Downloads against a real server that breaks off, changes, lies or is not allowed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bot.core.errors import ModelError, RateLimited, Refused, StorageError, TargetGone, Unavailable
from bot.net.fetch import Fetcher
from tests.weights_server import Served, certificate, serving

DATA = random.Random(0).randbytes(900_000)
SUM = hashlib.sha256(DATA).hexdigest()
OTHER = random.Random(1).randbytes(900_000)
PATH = "/net/weights.bin"


@pytest.fixture
def server() -> Iterator[Served]:
    with serving() as served:
        served.files[PATH] = DATA
        yield served


def fetcher(server: Served, attempts: int = 3) -> Fetcher:
    return Fetcher(urlsplit(server.base).netloc, attempts=attempts, wait=lambda seconds: None)


def fetch(server: Served, target: Path, sha256: str = "", attempts: int = 3) -> str:
    told: list[tuple[int, int]] = []
    found = fetcher(server, attempts).fetch(
        server.base + PATH, target, 1_000_000, sha256, lambda *how: told.append(how)
    )
    assert told[-1][0] == target.stat().st_size
    return found


def alone(target: Path) -> bool:
    """Nothing but the file: no parts, no notes."""
    return [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_whole_file_with_its_sum_and_mode(server: Served, tmp_path: Path) -> None:
    target = tmp_path / "w.bin"
    assert fetch(server, target, SUM) == SUM
    assert target.read_bytes() == DATA
    assert target.stat().st_mode & 0o777 == 0o600
    assert alone(target)
    assert server.requests == [(PATH, "", "")]


def test_a_break_is_gone_on_with_at_once(server: Served, tmp_path: Path) -> None:
    server.cuts = [300_000, 300_000]
    assert fetch(server, tmp_path / "w.bin") == SUM
    ranges = [wanted for _, wanted, _ in server.requests]
    assert ranges == ["", "bytes=300000-", "bytes=600000-"]
    assert {condition for _, wanted, condition in server.requests if wanted} == {server.etag(PATH)}


def test_a_break_is_gone_on_with_by_another_process(server: Served, tmp_path: Path) -> None:
    target = tmp_path / "w.bin"
    server.cuts = [300_000, 0, 0, 0]
    with pytest.raises(Unavailable, match="broke off"):
        fetch(server, target)
    assert not target.exists()
    part = tmp_path / ".w.bin.part"
    assert part.stat().st_size == 300_000
    assert part.stat().st_mode & 0o777 == 0o600
    server.cuts.clear()
    server.requests.clear()
    assert fetch(server, target) == SUM
    assert server.requests[0][1] == "bytes=300000-"
    assert alone(target)


def test_many_breaks_that_bring_something_each(server: Served, tmp_path: Path) -> None:
    server.cuts = [100_000] * 8
    assert fetch(server, tmp_path / "w.bin", attempts=1) == SUM


def test_without_progress_it_is_given_up(server: Served, tmp_path: Path) -> None:
    server.cuts = [0] * 20
    with pytest.raises(Unavailable):
        fetch(server, tmp_path / "w.bin")
    assert len(server.requests) == 3


def test_a_server_that_ignores_ranges_sends_all_again(server: Served, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [300_000]
    assert fetch(server, tmp_path / "w.bin") == SUM
    assert [wanted for _, wanted, _ in server.requests] == ["", "bytes=300000-"]


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changed_in_between_begins_anew(
    server: Served, tmp_path: Path, honest: bool
) -> None:
    """Also where the server sends a part of the new file in spite of If-Range."""
    server.cuts = [300_000, 0, 0, 0]
    with pytest.raises(Unavailable):
        fetch(server, tmp_path / "w.bin")
    server.files[PATH], server.if_range = OTHER, honest
    server.cuts.clear()
    assert fetch(server, tmp_path / "w.bin") == hashlib.sha256(OTHER).hexdigest()
    assert (tmp_path / "w.bin").read_bytes() == OTHER


def test_a_file_that_became_shorter_begins_anew(server: Served, tmp_path: Path) -> None:
    server.cuts = [300_000, 0, 0, 0]
    with pytest.raises(Unavailable):
        fetch(server, tmp_path / "w.bin")
    server.files[PATH], server.if_range = OTHER[:1000], False  # 416 for the part asked for
    server.cuts.clear()
    fetch(server, tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == OTHER[:1000]


def test_without_a_mark_nothing_is_resumed(server: Served, tmp_path: Path) -> None:
    server.etags, server.cuts = False, [300_000]
    assert fetch(server, tmp_path / "w.bin") == SUM
    assert [wanted for _, wanted, _ in server.requests] == ["", ""]


def test_wrong_bytes_are_thrown_away(server: Served, tmp_path: Path) -> None:
    target = tmp_path / "w.bin"
    server.files[PATH] = OTHER
    with pytest.raises(ModelError, match=f"expected {SUM}") as caught:
        fetch(server, target, SUM)
    assert caught.value.exit_code == 7
    assert list(tmp_path.iterdir()) == []
    server.files[PATH] = DATA
    assert fetch(server, target, SUM) == SUM


def test_an_old_file_stays_until_the_new_one_is_whole(server: Served, tmp_path: Path) -> None:
    target = tmp_path / "w.bin"
    target.write_bytes(b"old")
    server.files[PATH] = OTHER
    with pytest.raises(ModelError):
        fetch(server, target, SUM)
    assert target.read_bytes() == b"old"


def test_too_large_is_refused(server: Served, tmp_path: Path) -> None:
    server.files[PATH] = bytes(1_000_001)
    with pytest.raises(Refused, match="1000001 bytes, more than 1000000"):
        fetch(server, tmp_path / "w.bin")
    assert (tmp_path / ".w.bin.part").stat().st_size == 0
    server.lengths = False
    with pytest.raises(Refused, match="does not say how large"):
        fetch(server, tmp_path / "w.bin")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, TargetGone), (410, TargetGone), (403, Refused), (429, RateLimited)]
)
def test_refusals_are_not_repeated(
    server: Served, tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    server.statuses = [status]
    with pytest.raises(kind, match=str(status)):
        fetch(server, tmp_path / "w.bin")
    assert len(server.requests) == 1


def test_a_passing_failure_is(server: Served, tmp_path: Path) -> None:
    server.statuses = [503, 500]
    assert fetch(server, tmp_path / "w.bin") == SUM


def test_nobody_answers(tmp_path: Path) -> None:
    with serving() as gone:
        pass
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        fetch(gone, tmp_path / "w.bin")


def test_a_full_disk_is_a_storage_error(server: Served, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        fetch(server, tmp_path / "missing" / "w.bin")


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("https://127.0.0.1/x", "private"),
        ("https://10.1.2.3/x", "private"),
        ("https://169.254.169.254/x", "private"),
        ("https://[::1]/x", "private"),
        ("https://localhost/x", "private"),
        ("http://198.51.100.1/x", "only https"),
        ("file:///etc/passwd", "odd|only https"),
        ("https://user@example.org/x", "user name"),
        ("https://example.org\\@evil/x", "odd"),
    ],
)
def test_addresses_that_are_not_asked(tmp_path: Path, url: str, match: str) -> None:
    with pytest.raises(Refused, match=match):
        Fetcher(wait=lambda seconds: None).fetch(
            url, tmp_path / "x", 1000, "", lambda done, total: None
        )


@pytest.mark.parametrize("where", ["https://10.0.0.1/x", "http://127.0.0.1:1/x", "file:///x"])
def test_a_redirect_leads_nowhere_else(server: Served, tmp_path: Path, where: str) -> None:
    """The named mirror may be on this machine; what it points at may not."""
    server.location = where
    with pytest.raises(Refused):
        fetch(server, tmp_path / "w.bin")
    server.location = PATH
    with pytest.raises(Refused, match="redirects"):
        fetch(server, tmp_path / "w.bin")


def test_over_tls_with_an_authority_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, own = certificate(tmp_path)
    with serving(own) as secure:
        secure.files[PATH], secure.cuts = DATA, [400_000]
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(Unavailable, match="SSLError"):
            fetch(secure, tmp_path / "w.bin", attempts=1)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert fetch(secure, tmp_path / "w.bin") == SUM
        assert secure.requests[-1][1] == "bytes=400000-"
