"""The command line as a person or a script meets it: exit codes, streams, files."""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from bot.config import load
from bot.core.normal_form import username
from bot.platforms.instagram.kinds import Remote
from models.compose.styles import styles
from models.images import decoder
from storage import retractions
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import (
    WHOEVER,
    AuthorName,
    AuthorRow,
    BlobRow,
    Control,
    Reply,
    ReplyState,
    ReplyStep,
    StepState,
    TrackState,
)
from tests.command import Result, Run
from tests.databases import NOW, sqlite_in
from tests.paths import ROOT
from tests.waiting import PATIENCE, killed_at_the_end

CONFIG = """\
[accounts.main]           # ours
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "main"
hashtag = "sunset"        # the first
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of the test's own; nothing of the shell's."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("TAGECHO_CONFIG", str(path))
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def tagecho(config: Path, own_logging: None, tagecho: Run) -> Run:
    """With that configuration, and a log of its own."""
    return tagecho


@pytest.fixture
def database(config: Path) -> Database:
    """The database that the verbs use."""
    return Database(sqlite_in(config.with_name("data")))


def make_reply(database: Database, state: ReplyState, post: str = "17_5") -> int:
    now = datetime.now(UTC)
    with database.write() as session:
        reply = Reply(
            platform="instagram",
            account="main",
            source_post=post,
            source_url="https://www.instagram.com/p/CODE/",
            author_id="5",
            track="main:hashtag:sunset",
            trigger="opt-in",
            style="tint",
            mode="post",
            state=state,
            created=now,
            updated=now,
            expires_at=now + timedelta(hours=48),
            not_before=now,
        )
        session.add(reply)
        session.flush()
        assert reply.id is not None
        return reply.id


def state_of(database: Database, reply: int) -> str:
    with database.read() as session:
        return session.get_one(Reply, reply).state


def photo(path: Path, width: int = 64, height: int = 48) -> Path:
    Image.fromarray(data.astronaut()).resize((width, height)).save(path)
    return path


def width(path: Path) -> int:
    with Image.open(path) as image:
        return image.width


# --- start --------------------------------------------------------------------------------------


def loaded_by(arguments: list[str], names: str) -> str:
    """Which of the named modules a verb has loaded when it ends, in a fresh interpreter."""
    program = (
        "import sys; from bot.cli.main import main\n"
        f"sys.argv = ['tagecho', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('LOADED', *sorted(sys.modules.keys() & set({names.split()!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.partition("LOADED")[2].strip()


@pytest.mark.parametrize("verb", [[], ["replies"], ["compose"], ["run"]])
def test_help_loads_nothing_heavy(verb: list[str]) -> None:
    heavy = "torch onnxruntime numpy instagrapi sqlalchemy sqlmodel scipy PIL apscheduler requests"
    assert loaded_by([*verb, "--help"], heavy) == ""


def test_the_configuration_is_judged_without_networks_and_database() -> None:
    heavy = "torch onnxruntime numpy instagrapi sqlalchemy tomllib"
    assert loaded_by(["check", "-c", "config.toml"], heavy) == "tomllib"


@pytest.mark.slow
def test_serving_leaves_torch_out(tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    command = ["compose", str(source), "--out", str(tmp_path / "out")]
    assert loaded_by(command, "torch onnx cv2 onnxruntime") == "onnxruntime"


def test_no_command_shows_help_with_examples(tagecho: Run) -> None:
    result = tagecho("--help")
    assert result.code == 0
    assert result.out.index("tagecho demo ") < result.out.index("Commands:")


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["met at the end", "met while it prints"])
@pytest.mark.parametrize("arguments", [["replies", "list", "--json"], ["check", "--json"]])
def test_a_reader_that_leaves_is_no_error_to_report(
    config: Path, arguments: list[str], unbuffered: str
) -> None:
    """Whoever notices, after however much output, the exit code is the same."""
    environ = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with (
        subprocess.Popen(
            [sys.executable, "-m", "bot", *arguments],
            cwd=ROOT,
            env=environ | {"TAGECHO_DATA__DIR": str(config.parent / "data")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaint = process.stderr.read()
    assert process.returncode == 141
    assert complaint == b""


# --- configuration ------------------------------------------------------------------------------


def test_check_of_a_good_file(tagecho: Run, config: Path) -> None:
    assert tagecho("check") == Result(0, "", f"{config}: correct (1 account, 1 track)\n")
    answer = json.loads(tagecho("check", "--json").out)
    assert answer["accounts"] == ["main"]
    assert answer["tracks"] == ["main:hashtag:sunset"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "hashtag =",
            "hashtags =",
            ':7: tracks[0].hashtags: unknown key (did you mean "hashtag"?)',
        ),
        ("platform =", "platform", ":2: not TOML: "),
        ('"main"', '"mian"', ":6: tracks[0].account: "),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    tagecho: Run, config: Path, old: str, new: str, message: str
) -> None:
    config.write_text(CONFIG.replace(old, new), encoding="utf-8")
    result = tagecho("check")
    assert result.code == 3
    assert result.out == ""
    assert str(config) + message in result.err


def test_every_verb_refuses_a_wrong_file(tagecho: Run, config: Path) -> None:
    config.write_text("[replies]\nstyle = 'ehco'\n", encoding="utf-8")
    verbs = ["check", "run", "rehearse", "pause", "resume", "login", "replies list", "track list"]
    for verb in verbs:
        result = tagecho(*verb.split())
        assert (verb, result.code) == (verb, 3)
        assert f"{config}:2: replies.style: " in result.err
        assert 'did you mean "echo"' in result.err
    assert not config.with_name("data").exists()


def test_a_missing_file(tagecho: Run, tmp_path: Path) -> None:
    result = tagecho("check", "-c", tmp_path / "absent.toml")
    assert result.code == 3
    assert result.err == f"{tmp_path / 'absent.toml'}: no such file\n"


def test_an_unknown_verb_and_an_unknown_option_are_usage_errors(tagecho: Run) -> None:
    assert tagecho("dance").code == 2
    assert tagecho("check", "--jsno").code == 2
    assert tagecho("demo", "--for", "0").code == 2


# --- tracks -------------------------------------------------------------------------------------


def test_a_track_there_and_back(tagecho: Run, config: Path) -> None:
    added = tagecho("track", "add", "@ana.lima", "--every", "1h", "--reply", "duotone")
    assert added.code == 0
    assert "# the first" in config.read_text(encoding="utf-8")
    track = load(config).tracks[1]
    assert (track.profile, track.every, track.reply) == ("ana.lima", timedelta(hours=1), "duotone")
    assert tagecho("track", "remove", "@ana.lima").code == 0
    assert config.read_text(encoding="utf-8") == CONFIG


def test_a_name_that_changed_hands_from_the_finding_to_the_end(
    tagecho: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGECHO_ACCOUNTS__MAIN__PASSWORD", "correct horse")
    assert "every tracked profile is whose it was" in tagecho("doctor").out
    tagecho("track", "add", "@ana.lima")
    key, why = "main:profile:ana.lima", "NameTaken: @ana.lima is user 2 now and was user 1"
    with database.write() as session:
        session.add(TrackState(track=key, health="failing", error=why, user_id="1"))
    found = tagecho("doctor")
    assert found.code == 5
    assert f"FAIL names: {key}: {why}" in found.out
    accepted = tagecho("track", "accept", "@Ana.Lima")
    assert (accepted.code, accepted.err) == (0, f"{key} follows who is @Ana.Lima now\n")
    assert "FAIL" not in tagecho("doctor").out
    with database.read() as session:
        state = session.get_one(TrackState, key)
    assert (state.user_id, state.error) == (WHOEVER, "")


def test_only_a_profile_that_is_followed_can_be_accepted(tagecho: Run) -> None:
    nobody = tagecho("track", "accept", "@nobody")
    assert (nobody.code, nobody.err) == (8, "no track follows @nobody\n")
    assert tagecho("track", "accept", "#sunset").code == 2


def test_a_track_twice_or_of_no_style_is_refused(tagecho: Run, config: Path) -> None:
    assert tagecho("track", "add", "sunset").code == 2
    assert tagecho("track", "add", "#sunset").code != 0
    assert tagecho("track", "add", "#dawn", "--reply", "tnit").code == 2
    assert tagecho("track", "remove", "#dawn").code == 8
    assert config.read_text(encoding="utf-8") == CONFIG


def test_track_list_before_the_first_poll(tagecho: Run) -> None:
    rows = {row["track"]: row for row in json.loads(tagecho("track", "list", "--json").out)}
    assert rows["main:hashtag:sunset"]["health"] == "not_polled"
    assert rows["main:hashtag:sunset"]["found"] == 0
    head, line, *_ = tagecho("track", "list").out.splitlines()
    assert head.split() == ["track", "every", "health", "last", "poll", "next"]
    assert line.split() == ["#sunset", "15m", "not", "polled", "never", "-"]


# --- replies ------------------------------------------------------------------------------------


def test_an_empty_log(tagecho: Run, tmp_path: Path) -> None:
    assert tagecho("replies", "list", "--json").out == "[]\n"
    assert tagecho("replies", "list") == Result(0, "", "no replies\n")
    waiting = tagecho("replies", "list", "--state", "sent")
    assert waiting == Result(0, "", "no replies in state sent\n")
    missing = tagecho("replies", "show", "7")
    assert (missing.code, missing.err) == (2, "there is no reply 7\n")
    page = tmp_path / "page.html"
    assert tagecho("replies", "html", page).code == 0
    assert "<html" in page.read_text()


def test_the_log_has_a_head(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.SENT)
    head, line = tagecho("replies", "list").out.splitlines()
    assert head.split() == ["number", "state", "age", "author", "style", "trigger", "conf"]
    number, state, _age, _unit, style, trigger = line.split()
    assert (number, state, style, trigger) == (str(reply), "sent", "tint", "opt-in")
    assert head.index("state") == line.index("sent")
    assert head.index("style") == line.index("tint")
    assert len(head) <= 80


def test_a_list_says_what_it_left_out(tagecho: Run, database: Database, tmp_path: Path) -> None:
    for number in range(5):
        make_reply(database, ReplyState.SENT if number else ReplyState.FAILED, f"p{number}")
    assert tagecho("replies", "list", "--limit", "2").err == "2 of 5: --limit 5 lists all\n"
    assert tagecho("replies", "list", "--limit", "2", "--state", "sent").err.startswith("2 of 4:")
    assert tagecho("replies", "list").err == ""
    page = tmp_path / "r.html"
    said = tagecho("replies", "html", page, "--limit", "2").err
    assert said == f"wrote 2 of 5 replies to {page}: --limit 5 writes all\n"
    assert "2 of 5 replies" in page.read_text()
    tagecho("replies", "html", page, "--state", "failed")
    assert page.read_text().count("<article") == 1


def test_a_word_on_many_replies(tagecho: Run, database: Database) -> None:
    ids = [
        make_reply(database, state, f"p{number}")
        for number, state in enumerate([ReplyState.AWAITING_APPROVAL] * 3 + [ReplyState.SENT])
    ]
    done = tagecho("replies", "approve", f"{ids[1]}-{ids[3] + 2}")
    assert done.code == 0
    assert done.err.splitlines()[-1] == "left out: 1 sent, 2 not there"
    assert [state_of(database, n) for n in ids] == ["awaiting_approval", *["approved"] * 2, "sent"]
    assert tagecho("replies", "reject").code == 2, "of which?"
    assert tagecho("replies", "reject", "--state", "awaiting_approval").code == 0
    assert state_of(database, ids[0]) == "rejected"
    again = tagecho("replies", "reject", "--state", "awaiting_approval")
    assert (again.code, again.err) == (8, "there is nothing to reject\n")
    assert tagecho("replies", "redo", str(ids[1]), "--style", "tnit").code == 2
    assert tagecho("replies", "redo", str(ids[1]), "--style", "poster").code == 0
    assert state_of(database, ids[1]) == "queued"


def test_run_without_any_way_to_log_in(tagecho: Run) -> None:
    """It would log an error every minute, for ever."""
    result = tagecho("run")
    assert result.code == 4
    assert "neither a session nor a password" in result.err
    assert "TAGECHO_ACCOUNTS__MAIN__PASSWORD" in result.err


def test_a_misspelt_state_names_the_states(tagecho: Run) -> None:
    result = tagecho("replies", "list", "--state", "sended")
    assert result.code == 2
    assert "awaiting_approval" in result.err


def test_approve_writes_a_row_that_the_daemon_obeys(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.AWAITING_APPROVAL)
    assert tagecho("replies", "approve", str(reply)).err == f"reply {reply}: approved\n"
    assert state_of(database, reply) == "approved"
    details = json.loads(tagecho("replies", "show", str(reply), "--json").out)
    assert details["state"] == "approved"
    assert details["history"][-1]["to"] == "approved"
    assert details["history"][-1]["who"]


def test_a_user_with_a_number_only_may_approve(
    tagecho: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that was started with --user 12345."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    reply = make_reply(database, ReplyState.AWAITING_APPROVAL)
    assert tagecho("replies", "approve", str(reply)).code == 0
    history = json.loads(tagecho("replies", "show", str(reply), "--json").out)["history"]
    assert history[-1]["who"] == f"uid {os.getuid()}"


def test_reject_keeps_the_reason_and_is_final(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.AWAITING_APPROVAL)
    assert tagecho("replies", "reject", str(reply), "--why", "too dark").code == 0
    assert "too dark" in tagecho("replies", "show", str(reply)).out
    assert tagecho("replies", "approve", str(reply)).code == 2
    assert state_of(database, reply) == "rejected"


def test_settling_several_is_all_or_nothing(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.AWAITING_APPROVAL)
    assert tagecho("replies", "approve", str(reply), str(reply + 1)).code == 2
    assert state_of(database, reply) == "awaiting_approval"


def test_confirm_is_for_unknown_outcomes(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.UNKNOWN)
    with database.write() as session:
        step = ReplyStep(
            reply=reply, way=0, seq=0, mode="post", kind="post", token="t", leaves="post"
        )
        step.state = StepState.UNKNOWN
        session.add(step)
    assert tagecho("replies", "confirm", str(reply)).code == 0
    # The daemon does what is left of it, here nothing: the write in doubt counts as done.
    details = json.loads(tagecho("replies", "show", str(reply), "--json").out)
    assert details["state"] == "approved"
    assert [step["state"] for step in details["steps"]] == ["done"]
    assert tagecho("replies", "confirm", str(reply)).code == 2


# --- operation ----------------------------------------------------------------------------------


def test_pause_and_resume(tagecho: Run, database: Database) -> None:
    def switch(key: str) -> str:
        with database.read() as session:
            return session.get_one(Control, key).value

    assert tagecho("pause").code == 0
    assert switch("pause") == "on"
    assert tagecho("pause", "--account", "main").code == 0
    assert tagecho("resume").code == 0
    assert switch("pause") == "off"
    assert switch("pause:main") == "on"
    assert tagecho("resume", "--account", "main").code == 0
    assert switch("pause:main") == "off"
    assert tagecho("pause", "--account", "mian").code == 2


def test_forget_somebody_never_seen(tagecho: Run) -> None:
    result = tagecho("forget", "instagram/nobody")
    assert result.code == 8
    assert "nobody" in result.err
    assert tagecho("forget", "nobody").code == 2
    # The numeric id is enough to keep a person out, even one never collected.
    assert json.loads(tagecho("forget", "instagram/4711", "--json").out)["posts"] == 0


def failed_deletion(database: Database) -> None:
    now = datetime.now(UTC)
    with database.write() as session:
        for kind, remote_id in ((Remote.POST, "42"), (Remote.COMMENT, "17/43")):
            assert retractions.add(session, "instagram", "main", kind, remote_id, now)
        retractions.finish(session, 1, retractions.State.FAILED, now, "still there: 403")


def test_what_is_to_be_deleted_is_listed_and_tried_again(tagecho: Run, database: Database) -> None:
    nothing = tagecho("forget", "--status")
    assert (nothing.code, nothing.out) == (0, "nothing was ever to be deleted\n")
    assert json.loads(tagecho("forget", "--status", "--json").out) == []
    failed_deletion(database)
    assert tagecho("forget", "--status").out.splitlines() == [
        "failed   main post 42 still there: 403",
        "waiting  main comment 17/43",
    ]
    listed = json.loads(tagecho("forget", "--status", "--json").out)
    assert [(row["state"], row["remote_id"], row["attempts"]) for row in listed] == [
        ("failed", "42", 0),
        ("waiting", "17/43", 0),
    ]
    for _ in range(2):
        again = json.loads(tagecho("forget", "--retry", "--json").out)
        assert [row["state"] for row in again] == ["waiting", "waiting"]
    with database.read() as session:
        assert {row.not_before <= datetime.now(UTC) for row in retractions.listing(session)} == {
            True
        }


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("instagram/a", "--status"),
        ("instagram/a", "--retry"),
        ("nobody",),
        ("",),
        ("instagram/",),
        ("@somebody",),
        ("tiktok/somebody",),
        ("tiktok:post:1",),
        ("instagram:post:",),
        ("instagram:post:abc",),
        ("https://example.org/p/Cabc/",),
        ("https://www.instagram.com/stories/a/1/",),
        ("https://www.instagram.com/p/",),
        ("instagram/a b",),
    ],
)
def test_forget_says_what_it_cannot_read(tagecho: Run, arguments: tuple[str, ...]) -> None:
    result = tagecho("forget", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "name" in result.err or "PLATFORM/USER" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("known", "named"), [("some.body", "Some.Body"), ("Im.Ported", "Im.Ported")]
)
def test_a_person_is_found_however_the_name_is_written(
    tagecho: Run, database: Database, known: str, named: str
) -> None:
    seen = datetime.now(UTC)
    row = AuthorRow(
        platform="instagram", user_id="7", username=known, first_seen=seen, last_seen=seen
    )
    with database.write() as session:
        session.add(row)
        session.flush()
        name = AuthorName(platform="instagram", user_id="7", username=known, first_seen=seen)
        name.normal, name.last_seen = username(known), seen
        session.add(name)
    assert tagecho("forget", f"instagram/{named}").code == 0
    assert tagecho("forget", f"instagram/{named}").code == 8, "nobody of that name is left"


def test_an_id_is_kept_out_of_a_platform_nobody_is_of_any_more(tagecho: Run) -> None:
    """An export of theirs may still be imported some day."""
    assert tagecho("forget", "flickr/12345", "--json").code == 0
    assert tagecho("forget", "flickr/somebody", "--json").code == 2


def test_doctor_sees_what_could_not_be_deleted(
    tagecho: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGECHO_ACCOUNTS__MAIN__PASSWORD", "correct horse")
    assert "deletions: 0 wait" in tagecho("doctor").out
    failed_deletion(database)
    result = tagecho("doctor")
    assert (result.code, "FAIL deletions: 1 failed" in result.out) == (5, True)
    tagecho("forget", "--retry")
    again = tagecho("doctor")
    assert (again.code, "deletions: 2 wait" in again.out) == (0, True)


def test_doctor_names_what_a_person_must_do(
    tagecho: Run, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tagecho("doctor", "--json")
    findings = {finding["topic"]: finding for finding in json.loads(without.out)}
    assert without.code == 4
    wrong = [topic for topic, finding in findings.items() if finding["fine"] is False]
    assert wrong == ["account main"]
    assert findings["service"]["fine"] is findings["track #sunset"]["fine"] is None
    assert "TAGECHO_ACCOUNTS__MAIN__PASSWORD" in findings["account main"]["text"]
    assert {"packages", "instagrapi", "clock", "config", "disk", "database", "weights"} < set(
        findings
    )
    assert "tagecho models pull u2netp" in findings["masks"]["text"]
    monkeypatch.setenv("TAGECHO_ACCOUNTS__MAIN__PASSWORD", "correct horse")
    fine = tagecho("doctor")
    assert fine.code == 0
    assert "FAIL" not in fine.out
    assert "correct horse" not in fine.out + fine.err
    config.write_text("x", encoding="utf-8")
    assert tagecho("doctor").code == 3


def test_doctor_sees_a_session_that_others_can_read(tagecho: Run, config: Path) -> None:
    session = config.parent / "data" / "sessions" / "main.json"
    session.parent.mkdir(parents=True)
    session.write_text("{}")
    session.chmod(0o644)
    result = tagecho("doctor")
    assert result.code == 4
    assert "can be read by others" in result.out
    session.chmod(0o600)
    assert tagecho("doctor").code == 0
    session.write_text("{")
    assert "is damaged" in tagecho("doctor").out


def test_a_demo_empties_only_its_own_folder(tagecho: Run, tmp_path: Path) -> None:
    precious = tmp_path / "photos" / "one.jpg"
    precious.parent.mkdir()
    precious.write_bytes(b"mine")
    result = tagecho("demo", "--for", "1", "--dir", precious.parent)
    assert result.code == 2
    assert precious.read_bytes() == b"mine"


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if str(folder) in line]


@pytest.mark.slow
def test_sigterm_ends_a_demo_with_a_report_and_leaves_no_process(config: Path) -> None:
    folder = config.parent / "demo"
    with (
        subprocess.Popen(
            [sys.executable, "-m", "bot", "demo", "--dir", str(folder), "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        killed_at_the_end(process),
    ):
        assert process.stderr is not None
        assert any("stored" in line for line in process.stderr)  # progress: all is running
        assert len(processes_of(folder)) == 3
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(out)["duplicate_replies"] == 0
    assert processes_of(folder) == []


# --- image verbs --------------------------------------------------------------------------------


def test_segment_writes_masks_of_the_input_size(tagecho: Run, tmp_path: Path) -> None:
    Image.fromarray(data.astronaut()).resize((201, 199)).save(tmp_path / "astronaut.jpg")
    result = tagecho("segment", tmp_path / "astronaut.jpg", "--out", tmp_path / "out")
    assert result.code == 0
    assert result.out == f"{tmp_path / 'out' / 'astronaut.png'}\n"
    with Image.open(tmp_path / "out" / "astronaut.png") as mask:
        assert (mask.mode, mask.size, mask.format) == ("L", (201, 199), "PNG")
        values = np.unique(np.asarray(mask))
    assert values.tolist() == [0, 255]  # there is a person in it, and not only a person


@pytest.mark.parametrize("scale", [2, 4])
def test_upscale_enlarges(tagecho: Run, tmp_path: Path, scale: int) -> None:
    source = photo(tmp_path / "small.png", 37, 23)
    assert tagecho("upscale", source, "--out", tmp_path / "out", "--scale", str(scale)).code == 0
    with Image.open(tmp_path / "out" / "small.png") as large:
        assert (large.mode, large.size) == ("RGB", (37 * scale, 23 * scale))
        pixels = np.asarray(large.resize((37, 23), Image.Resampling.BOX)).astype(int)
    with Image.open(source) as small:
        assert np.abs(pixels - np.asarray(small).astype(int)).mean() < 12  # the same picture


def test_upscale_by_three_is_a_usage_error(tagecho: Run, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    assert tagecho("upscale", source, "--out", tmp_path / "out", "--scale", "3").code == 2
    assert not (tmp_path / "out").exists()


def test_two_inputs_of_one_name_are_both_written(tagecho: Run, tmp_path: Path) -> None:
    sources = [tmp_path / "a" / "photo.png", tmp_path / "b" / "photo.jpg", tmp_path / "PHOTO.png"]
    for number, source in enumerate(sources):
        source.parent.mkdir(exist_ok=True)
        photo(source, 40 + number, 30)
    result = tagecho("segment", *sources, "--out", tmp_path / "out")
    written = [Path(line) for line in result.out.splitlines()]
    assert result.code == 0
    assert [path.name for path in written] == ["photo.png", "photo-2.png", "PHOTO-3.png"]
    assert [width(path) for path in written] == [40, 41, 42]


def test_what_cannot_be_read_is_named_and_the_rest_is_written(tagecho: Run, tmp_path: Path) -> None:
    good, absent = photo(tmp_path / "good.png"), tmp_path / "absent.png"
    broken, empty = tmp_path / "broken.jpg", tmp_path / "empty.jpg"
    broken.write_bytes(good.read_bytes()[:200])
    empty.touch()
    result = tagecho("segment", broken, absent, good, empty, "--out", tmp_path / "out")
    assert result.code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    for path in (broken, absent, empty):
        assert f"{path}: " in result.err
    assert str(good) not in result.err


def test_a_folder_without_images_is_nothing_to_do(tagecho: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    assert tagecho("segment", tmp_path / "folder", "--out", tmp_path / "out").code == 8


def test_a_result_never_overwrites_its_source(tagecho: Run, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    before = source.read_bytes()
    result = tagecho("segment", source, "--out", tmp_path)
    assert result.code == 1
    assert "overwrite" in result.err
    assert source.read_bytes() == before


@pytest.mark.slow
def test_compose_makes_what_a_reply_would_be(tagecho: Run, tmp_path: Path) -> None:
    Image.fromarray(data.astronaut()).resize((320, 320)).save(tmp_path / "a.jpg")
    result = tagecho(
        "compose", tmp_path / "a.jpg", "--out", tmp_path / "out", "--style", "spotlight"
    )
    assert result.code == 0
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert (image.format, image.width) == ("JPEG", 1080)
    assert b"compositeWithTrainedAlgorithmicMedia" in (tmp_path / "out" / "a.jpg").read_bytes()


def test_an_unknown_style_names_the_styles(tagecho: Run, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    result = tagecho("compose", source, "--out", tmp_path / "out", "--style", "tnit")
    assert result.code == 2
    assert "spotlight" in result.err
    assert not (tmp_path / "out").exists()


def test_the_image_verbs_need_no_configuration(tagecho: Run, config: Path, tmp_path: Path) -> None:
    config.unlink()
    source = photo(tmp_path / "a.png")
    assert tagecho("segment", source, "--out", tmp_path / "out").code == 0
    assert not (tmp_path / "data").exists()


# --- what a disk, or somebody's folders, do -------------------------------------------------------


def with_data(config: Path, folder: Path | str) -> None:
    config.write_text(f'[data]\ndir = "{folder}"\n{CONFIG}', encoding="utf-8")


@pytest.mark.parametrize(
    "verb",
    [
        ["replies", "list"],
        ["track", "list"],
        ["search", "sunset"],
        ["stats"],
        ["snapshot", "create", "sunset"],
        ["export", "sunset", "--format", "imagefolder", "--out", "out"],
        ["curate"],
        ["pause"],
        ["run"],
    ],
    ids=" ".join,
)
def test_a_data_folder_that_cannot_be_made(tagecho: Run, config: Path, verb: list[str]) -> None:
    config.with_name("file").write_text("not a folder", encoding="utf-8")
    with_data(config, "file/data")
    done = tagecho(*verb)
    assert done.code == 10
    assert "file/data" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_check_and_doctor_see_a_data_folder_that_cannot_be_made(tagecho: Run, config: Path) -> None:
    config.with_name("file").write_text("not a folder", encoding="utf-8")
    with_data(config, "file/data")
    checked = tagecho("check")
    assert checked.code == 3
    assert f"{config}:2: data.dir" in checked.err
    looked = tagecho("doctor")
    assert looked.code == 10
    assert "FAIL disk" in looked.out
    assert "Traceback" not in looked.err


def test_folders_of_a_new_data_folder_are_private(
    tagecho: Run, config: Path, database: Database
) -> None:
    data = config.with_name("data")
    data.chmod(0o755)  # as an older version made it
    assert tagecho("replies", "list").code == 0
    modes = {path.name: path.stat().st_mode & 0o777 for path in [data, *data.rglob("*")]}
    assert not {name: f"{mode:o}" for name, mode in modes.items() if mode & 0o077}


def test_a_full_disk_is_one_line(tagecho: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of the program meets it first."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/x")

    monkeypatch.setattr("bot.verbs.stats.collect", full)
    done = tagecho("stats")
    assert (done.code, done.err) == (10, "/data/x: No space left on device\n")


@pytest.mark.parametrize("verb", ["segment", "upscale", "compose", "import", "search"])
def test_pictures_that_cannot_be_read_now_are_one_line(
    tagecho: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """No process for them can be made: nothing is wrong with the pictures."""
    folder = tmp_path / "in"
    folder.mkdir()
    photo(folder / "1.jpg")
    sidecar = {"category": "instagram", "post_id": "1", "post_shortcode": "C", "owner_id": "7"}
    sidecar |= {"username": "ann", "date": "2026-01-31 12:00:01", "num": 1, "extension": "jpg"}
    (folder / "1.jpg.json").write_text(json.dumps(sidecar))
    arguments: dict[str, list[str | Path]] = {
        "import": [folder, "--dataset", "old"],
        "search": ["--image", folder / "1.jpg"],
    }
    options = arguments.get(verb, [folder / "1.jpg", "--out", tmp_path / "out"])
    decoder.shared.stop()
    decoder.shared.start()
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "_START", "raise SystemExit(1)")
        done = tagecho(verb, *options)
    assert done.code == 1
    *_, last = done.err.splitlines()
    assert "there is no process to read pictures" in last
    assert "Traceback" not in done.err


def test_a_mistake_of_ours_is_not_blamed_on_the_disk(
    tagecho: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("bot.verbs.stats.collect", wrong)
    with pytest.raises(OSError, match="Bad file descriptor"):
        tagecho("stats")


@pytest.mark.parametrize("name", ["models", "storage"])
def test_a_package_of_somebody_else_in_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert str(tmp_path / name) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["all", "3-1", "-1", "1-", "1-999999999", "²", "1.5", ""])
def test_numbers_are_explained(tagecho: Run, database: Database, said: str) -> None:
    done = tagecho("replies", "approve", "--", said)
    assert done.code == 2
    assert done.err == f"{said!r}: write numbers of the list, as 7, or ranges, as 10-40\n"


def test_a_range_of_replies(tagecho: Run, database: Database) -> None:
    ids = [make_reply(database, ReplyState.AWAITING_APPROVAL, f"17_{n}") for n in range(4)]
    assert tagecho("replies", "approve", f"{ids[0]}-{ids[2]}", str(ids[1])).code == 0
    assert [state_of(database, one) for one in ids] == ["approved"] * 3 + ["awaiting_approval"]


def test_one_reply_for_people(tagecho: Run, database: Database) -> None:
    reply = make_reply(database, ReplyState.AWAITING_APPROVAL)
    with database.write() as session:
        session.get_one(Reply, reply).facts = {"compose": {"style": "spotlight"}, "alt_text": "x"}
        session.add(
            AuthorRow(
                platform="instagram", user_id="5", username="ana", first_seen=NOW, last_seen=NOW
            )
        )
    shown = tagecho("replies", "show", str(reply)).out
    assert "style:        spotlight" in shown, "the one that was made, not the one asked for"
    assert "author:       @ana" in shown
    assert "{" not in shown
    document = json.loads(tagecho("replies", "show", str(reply), "--json").out)
    assert document["style"] == "spotlight"
    assert document["created"][10] == "T"


def test_the_pictures_of_a_reply_get_extensions(
    tagecho: Run, config: Path, database: Database, tmp_path: Path
) -> None:
    reply, folder = make_reply(database, ReplyState.AWAITING_APPROVAL), tmp_path / "look"
    jpeg = photo(tmp_path / "photo.jpg").read_bytes()
    sha256 = BlobStore(load(config).data.dir / "originals").put(jpeg)
    with database.write() as session:
        session.get_one(Reply, reply).before_sha256 = sha256
        session.add(BlobRow(sha256=sha256, size=len(jpeg), mime="image/jpeg", refs=1, created=NOW))
    shown = tagecho("replies", "show", str(reply), "--files", str(folder)).out
    assert f"{folder}/{reply}-before.jpg" in shown
    assert (folder / f"{reply}-before.jpg").read_bytes() == jpeg
    assert len(list(folder.iterdir())) == 1, "what is not there is not written"
    assert tagecho("replies", "show", "999", "--files", str(folder)).code == 2


def test_one_of_a_thing_is_not_many(tagecho: Run, config: Path) -> None:
    assert tagecho("check").err == f"{config}: correct (1 account, 1 track)\n"


# --- styles --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compose_names_its_styles_and_takes_what_the_configuration_takes(
    tagecho: Run, tmp_path: Path
) -> None:
    for style in (*styles(), "auto"):
        assert style in tagecho("compose", "--help").out
    source = photo(tmp_path / "photo.png")
    made = [tmp_path / name / "photo.jpg" for name in ("one", "two")]
    for target in made:
        done = tagecho("compose", source, "--style", "auto", "--out", target.parent)
        assert done.code == 0
    assert made[0].read_bytes() == made[1].read_bytes()
