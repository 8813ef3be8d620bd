"""The sandbox as a machine: ports, certificates, proxy, control API, its own process."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.platforms.sandbox import ids, tls
from bot.platforms.sandbox.journal import Journal
from bot.platforms.sandbox.people import TRIGGER_SHARE, Habits, bulk
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import hashtags, linked_code, mentions
from tests.paths import ROOT
from tests.sandbox import close, new_client
from tests.waiting import PATIENCE, eventually, killed_at_the_end


def connect(box: Sandbox, request: str) -> bytes:
    port = int(box.proxy_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw:
        raw.sendall(request.encode())
        return raw.recv(4096)


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT example.org:443 HTTP/1.1",
        "CONNECT instagram.com.example.org:443 HTTP/1.1",
        "CONNECT i.instagram.com:80 HTTP/1.1",
        "GET http://i.instagram.com/ HTTP/1.1",
    ],
)
def test_the_proxy_refuses_everything_foreign(sandbox: Sandbox, request_line: str) -> None:
    assert connect(sandbox, f"{request_line}\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 403 ")
    [line] = sandbox.journal.requests()
    assert (line["status"], line["note"]) == (403, "refused by the proxy")


@pytest.mark.parametrize("host", ["i.instagram.com", "scontent.cdninstagram.com", "x.fbcdn.net"])
def test_the_proxy_leads_known_hosts_to_a_server_they_trust(sandbox: Sandbox, host: str) -> None:
    key = sandbox.gallery.pick(1).key
    answer = requests.get(
        f"https://{host}/m/{key}.jpg",
        proxies={"https": sandbox.proxy_url},
        verify=sandbox.ca_file,
        timeout=PATIENCE,
    )
    assert answer.status_code == (404 if host.startswith("i.") else 200)


def test_requests_without_the_ca_fail(sandbox: Sandbox) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(
            "https://i.instagram.com/", proxies={"https": sandbox.proxy_url}, timeout=PATIENCE
        )
    assert not sandbox.journal.requests(host="i.instagram.com")


def test_images_may_come_from_the_cdn_host(tmp_path: Path, no_foreign_ca: None) -> None:
    with Sandbox(tmp_path, media="cdn") as box:
        box.world.add_user("ana")
        url = box.net.image_url(box.world.add_post("ana").pictures[0])
        assert url.startswith("https://scontent.cdninstagram.com/m/")
        answer = requests.get(
            url, proxies={"https": box.proxy_url}, verify=box.ca_file, timeout=PATIENCE
        )
        assert answer.headers["content-type"] == "image/jpeg"


def test_certificates_are_private_kept_and_replaced_when_broken(tmp_path: Path) -> None:
    files = tls.ensure(tmp_path)
    first = files.ca.read_bytes()
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert tls.ensure(tmp_path).ca.read_bytes() == first
    files.cert.write_bytes(b"broken")
    assert tls.ensure(tmp_path).ca.read_bytes() != first
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_it_stops_cleanly_with_clients_connected_and_starts_again(
    tmp_path: Path, no_foreign_ca: None
) -> None:
    before = open_files()
    for _ in range(2):
        with Sandbox(tmp_path) as box:
            client = new_client(box)
            client.login_legacy(box.username, box.password)
            idle = requests.Session()
            idle.get(f"{box.control_url}/health", timeout=PATIENCE)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{box.control_url}/health", timeout=PATIENCE)
        idle.close()
        close(client)
    assert open_files() <= before + 2
    assert len(Journal.read(tmp_path / "journal.jsonl").writes("login")) == 2


def call(box: Sandbox, order: str, **body: Any) -> dict[str, Any]:
    answer = requests.post(f"{box.control_url}{order}", json=body, timeout=PATIENCE)
    return {"code": answer.status_code} | answer.json()


def test_control_changes_the_world(sandbox: Sandbox) -> None:
    call(sandbox, "/user", username="ana", is_private=False)
    made = call(
        sandbox, "/post", author="ana", caption="#sunset", tags=[["imagebot", 0.5, 0.5]],
        place=[1, "London", 51.5, -0.1],
    )  # fmt: skip
    post = sandbox.world.post(made["pk"])
    assert post.pictures[0].tags[0].user_pk == sandbox.account.pk
    assert post.place is not None and post.place.name == "London"
    call(sandbox, "/edit", ref=made["code"], caption="new")
    assert sandbox.world.post(made["code"]).caption == "new"
    call(sandbox, "/comment", ref=made["pk"], author="ana", text="hi")
    call(sandbox, "/delete", ref=made["media_id"])
    summary = requests.get(f"{sandbox.control_url}/world", timeout=PATIENCE).json()
    assert (summary["users"], summary["posts"]) == (2, 0)
    assert call(sandbox, "/bulk", hashtag="bench", count=30)["posts"] == 30
    assert call(sandbox, "/rate", rate=3.5)["rate"] == sandbox.crowd.rate == 3.5


def test_control_orders_faults_and_tells_what_was_wrong_with_an_order(sandbox: Sandbox) -> None:
    assert call(sandbox, "/fault", kind="html", path="*/qe/sync/")["code"] == 200
    assert [fault.kind for fault in sandbox.faults.pending()] == ["html"]
    call(sandbox, "/clear")
    assert sandbox.faults.pending() == []
    assert call(sandbox, "/fault", kind="typo")["code"] == 400
    assert call(sandbox, "/post", author="nobody")["code"] == 404
    assert call(sandbox, "/post", nonsense=1)["code"] == 400
    assert call(sandbox, "/nothing")["code"] == 404
    bad = requests.post(f"{sandbox.control_url}/post", data=b"{", timeout=PATIENCE)
    assert bad.status_code == 400


def test_its_own_process_says_where_it_is_and_stops_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "bot.platforms.sandbox"]
    command += ["--dir", str(tmp_path), "--rate", "50", "--json"]
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stdout is not None and process.stderr is not None
        told = json.loads(process.stdout.readline())
        world = f"{told['control']}/world"
        eventually(
            "ten are posted",
            lambda: requests.get(world, timeout=PATIENCE).json()["posted"] >= 10,
        )
        replies = requests.get(f"{told['control']}/replies", timeout=PATIENCE).json()
        assert (replies["by_source"], replies["duplicates"]) == ({}, 0)
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_crowd_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    told = []
    for name in ("one", "two"):
        box = Sandbox(tmp_path / name, seed=4)
        box.crowd.populate()
        told.append([(p.caption, p.kind) for p in (box.crowd.post() for _ in range(50))])
        box.stop()
    assert told[0] == told[1]


def test_the_crowd_asks_in_every_way_and_knows_who_asked(tmp_path: Path) -> None:
    box = Sandbox(tmp_path)
    box.crowd.populate()
    posts = {post.code: post for post in (box.crowd.post() for _ in range(300))}
    asked = [posts[code] for code in box.crowd.triggers]
    assert 0.8 * TRIGGER_SHARE * 300 < len(asked) < 1.2 * TRIGGER_SHARE * 300
    now = box.world.clock()
    for post in asked:
        person = box.world.user(post.user_pk)
        tagged = {tag.user_pk for picture in post.pictures for tag in picture.tags}
        assert not person.is_private
        assert now - post.at < 60
        assert (
            box.username in mentions(post.caption)
            or box.crowd.opt_in in hashtags(post.caption)
            or box.account.pk in tagged
        )
    others = [post for code, post in posts.items() if code not in box.crowd.triggers]
    assert {"quiet.corner", "daily_quote_bot"} <= {
        box.world.user(post.user_pk).username for post in others
    }
    assert any(now - post.at > 24 * 3600 for post in others)
    box.stop()


def test_the_crowd_plays_the_hashtags_and_profiles_it_is_given(tmp_path: Path) -> None:
    habits = Habits(hashtags=["sunset"], profiles=["zoe.w", "ana.lima", "imagebot"])
    box = Sandbox(tmp_path, habits=habits)
    box.crowd.populate()
    made = [box.crowd.post() for _ in range(60)]
    assert all("sunset" in hashtags(post.caption) for post in made)
    assert sum(box.world.user(post.user_pk).username == "zoe.w" for post in made) >= 3
    assert box.account.pk not in {post.user_pk for post in made}
    box.stop()


def test_bulk_posts_are_cheap_and_in_order(tmp_path: Path) -> None:
    box = Sandbox(tmp_path)
    bulk(box.world, "bench", 2000)
    page, more = box.world.of_hashtag("bench", None, 27)
    assert [post.caption for post in page][:2] == ["#bench 1999", "#bench 1998"]
    assert more and box.world.count_of(hashtag="bench") == 2000
    box.stop()


def test_ids_sort_by_time_and_codes_lead_back() -> None:
    early, late = ids.media_pk(1_700_000_000, 9), ids.media_pk(1_700_000_000.5, 1)
    assert early < late
    assert ids.pk_of(ids.code(late)) == late
    assert linked_code(f"see https://www.instagram.com/p/{ids.code(late)}/ !") == ids.code(late)
