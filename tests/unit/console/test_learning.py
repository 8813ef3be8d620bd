"""Networks with their figures, runs with their curves; promoted and rolled back by a person."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest

from bot.console.pages.cards import card_html
from bot.service.app import App, networks_of
from models.segment.learned_networks import Store
from models.serving.card_figures import card_figures
from models.serving.packs import EMBEDDED
from storage import learning
from storage.learning import RunState
from storage.tables import ConsoleAction, LearningRun
from tests.databases import NOW, rows
from tests.unit.console.conftest import CONFIG, PASSWORD, VIEWING, Console, Starts

EVIDENCE = {
    "knn": {"count": 30, "new": 0.5, "old": 0.52, "low": -0.06, "high": 0.02},
    "agreement": {"count": 25, "new": 0.8, "old": 0.75, "low": 0.01, "high": 0.09},
    "corrected": None,
}
CARD = """# segment
## Figures
| | n | old | new |
|---|---|---|---|
| knn | 30 | 0.520 | 0.500 |

Decision: kept out.
## Known failures
| none | of | this | counts |
"""


@pytest.fixture
def learned(tmp_path: Any) -> Any:
    """An export of the network that we ship, a little longer: a version of its own."""
    folder = tmp_path / "export"
    folder.mkdir()
    shutil.copyfile(EMBEDDED / "segment.onnx", folder / "segment.onnx")
    with (folder / "segment.onnx").open("ab") as file:
        file.write(b"\x32\x00")  # an empty field of the format: read and forgotten
    import hashlib

    data = (folder / "segment.onnx").read_bytes()
    entry = json.loads((EMBEDDED / "manifest.json").read_text())["segment"]
    entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps({"segment": entry}))
    return folder


def kept_out(app: App, export: Any) -> str:
    """A run whose network was not proved to be better; its version."""
    version = Store(networks_of(app.settings)).add(export, CARD)
    with app.database.write() as session:
        run = learning.begin(session, {"batch": 4, "leave_out": ["all"]}, NOW)
        facts = {"evidence": EVIDENCE, "in_service": "segment-embedded", "seconds": 90}
        learning.note(session, run.id or 0, facts, model_version=version, stage="decision")
        learning.finish(session, run.id or 0, RunState.KEPT_OUT, "kNN may be worse", NOW)
    log = networks_of(app.settings) / "runs" / "1" / "dino" / "log.jsonl"
    log.parent.mkdir(parents=True)
    lines = [{"step": n, "seconds": 1.5, "loss": 10 / n, "entropy": 1.0} for n in (10, 20)]
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + '{"step": 30, "lo')
    return version


def test_networks_have_the_figures_of_their_cards(console: Console, learned: Any) -> None:
    version = kept_out(console.app, learned)
    with console.program() as program:
        found = {one["name"]: one for one in program.get("/api/learning/networks").json()}
        card = program.get(f"/api/learning/networks/{version}/card")
        assert program.get("/api/learning/networks/nothing/card").status_code == 404
        assert "Figures" in program.get("/api/learning/networks/segment/card").text
    assert card.headers["content-type"].startswith("text/plain") and card.text == CARD
    mine = found[version]
    assert mine["figures"] == [
        {"heading": ["", "n", "old", "new"], "rows": [["knn", "30", "0.520", "0.500"]]}
    ]
    assert mine["run"] == {"run": 1, "state": "kept_out", "reason": "kNN may be worse"}
    assert not mine["in_service"] and mine["pack"] == "learned"
    assert found["segment"]["in_service"] and found["segment"]["figures"]
    assert found["u2netp"]["about"] and not found["u2netp"]["here"]


def test_every_shipped_card_has_figures_that_can_be_read() -> None:
    for card in EMBEDDED.glob("*.md"):
        tables = card_figures(card.read_text(encoding="utf-8"))
        assert tables and all(table.rows for table in tables), card.name
    assert card_figures("# a\n\nno figures") == []


def test_a_run_has_its_evidence_and_curves(console: Console, learned: Any) -> None:
    version = kept_out(console.app, learned)
    with console.program() as program:
        state = program.get("/api/learning").json()
        run = program.get("/api/learning/runs/1").json()
        curves = program.get("/api/learning/runs/1/curves").json()
        text = program.get("/api/learning/runs/1/curves.csv").text
        assert program.get("/api/learning/runs/9").status_code == 404
        assert program.get("/api/learning/runs/9/curves").status_code == 404
    assert (state["current"], state["running"]) == ("embedded", False)
    assert [one["run"] for one in state["runs"]] == [1]
    assert run["version"] == version and run["evidence"]["knn"]["low"] == -0.06
    assert run["recipe"]["batch"] == 4
    points = [{"step": 10, "value": 1.0}, {"step": 20, "value": 0.5}]
    assert curves[0] == {"training": "dino", "figure": "loss", "points": points}
    assert "dino,loss,20,0.5" in text.splitlines()


def test_a_network_is_promoted_and_rolled_back_and_the_log_says_by_whom(
    start: Starts, learned: Any
) -> None:
    guarded = start(guarded=True, text=CONFIG)
    version = kept_out(guarded.app, learned)
    with guarded.program(VIEWING) as viewer:
        for path in ("promote", "rollback"):
            refused = viewer.post(f"/api/learning/{path}", json={"version": version})
            assert refused.status_code == 403
    with guarded.browser() as browser:
        browser.log_in()
        assert browser.change("/api/learning/rollback", {}).status_code == 404
        unknown = browser.change("/api/learning/promote", {"version": "segment-0123456789ab"})
        assert unknown.status_code == 400
        said = browser.change("/api/learning/promote", {"version": version}).json()
        assert said == {"current": version, "previous": "embedded"}
        page = browser.get("/learning").text
        assert "Roll back to embedded" in page and "the proof: kNN may be worse" in page
        said = browser.change("/api/learning/rollback", {}).json()
        assert said == {"current": "embedded", "previous": version}
    (run,) = rows(guarded.app.database, LearningRun)
    assert run.state == RunState.PROMOTED
    assert run.reason == "promoted by eva; the proof: kNN may be worse"
    noted = [
        (one.who, one.action, one.target, one.outcome)
        for one in rows(guarded.app.database, ConsoleAction)
        if one.action.startswith("network")
    ]
    assert noted == [
        ("eva", "network rollback", "embedded → embedded", noted[0][3]),
        ("eva", "network promote", "segment-0123456789ab", noted[1][3]),
        ("eva", "network promote", version, "done"),
        ("eva", "network rollback", f"{version} → embedded", "done"),
    ]
    assert "no previous network" in noted[0][3] and "does not exist" in noted[1][3]


def test_a_damaged_network_is_not_put_in_service(console: Console, learned: Any) -> None:
    version = kept_out(console.app, learned)
    store = Store(networks_of(console.app.settings))
    (store.root / version / "segment.onnx").write_bytes(b"broken")
    with console.program() as program:
        answer = program.post("/api/learning/promote", json={"version": version})
        assert answer.status_code == 503 and version in answer.json()["error"]
        assert program.get("/api/learning").json()["current"] == "embedded"


def test_the_pages_show_decision_reason_figures_and_curves(console: Console, learned: Any) -> None:
    with console.browser() as browser:
        assert "Nothing was learned yet." in browser.get("/learning").text
        version = kept_out(console.app, learned)
        page = browser.get("/learning").text
        assert "<strong>Kept out because:</strong> kNN may be worse" in page
        assert f"{version} was kept out: kNN may be worse. Put it in service all the same?" in page
        assert "kept out" in page and "kNN may be worse" in page and version in page
        assert "tagecho models pull u2netp" in page
        run = browser.get("/learning/runs/1").text
        assert "-0.060 to +0.020" in run and "not measured" in run
        assert "Kept out because:</strong> kNN may be worse" in run
        assert (
            "not clearly better or worse" in run and '<td data-label="the new one is">better' in run
        )
        assert "Loss of DINO" in run and "Collapse" in run and "Loss of the masks" not in run
        assert "Decision: kept out." in browser.get(f"/learning/networks/{version}").text
        assert browser.get("/learning/networks/nothing").status_code == 404
        assert browser.get("/learning/runs/9").status_code == 404


def test_a_viewer_sees_no_button(start: Starts, learned: Any) -> None:
    guarded = start(guarded=True)
    version = kept_out(guarded.app, learned)
    Store(networks_of(guarded.app.settings)).promote(version)
    with guarded.browser() as browser:
        browser.log_in(VIEWING)
        page = browser.get("/learning").text
        assert version in page and "data-post" not in page.partition("<main")[2]
        browser.get("/logout")
    with guarded.browser() as browser:
        browser.log_in(PASSWORD)
        assert "Put in service" in browser.get("/learning").text


def test_a_card_is_a_page_and_runs_nothing_of_others() -> None:
    text = """# net

## Figures

| a | b |
|---|---:|
| 1 | *2* |

<script>alert(1)</script> <b onclick=alert(2)>bold</b>

![seen](https://stranger.example/pixel.png) [good](https://example.org/a) [bad](javascript:alert(3))
[data](data:text/html,x) <https://example.org/b> [near](/logout)
"""
    page = card_html(text, "net")
    for part in ("<h3>Figures</h3>", "<td>1</td>", "<em>2</em>", 'href="https://example.org/a"'):
        assert part in page
    assert "<h2>net" not in page and "<h2>net" in card_html(text, "another")
    links = re.findall(r'href="([^"]*)"', page)
    assert links == [  # a picture is a link that somebody may follow
        "https://stranger.example/pixel.png",
        "https://example.org/a",
        "https://example.org/b",
    ]
    assert page.count('rel="noreferrer noopener"') == len(links)
    for tag in ("<script", "<b ", "<img", "javascript:alert(3)</a>"):
        assert tag not in page
    assert "&lt;script&gt;" in page


def test_every_shipped_card_is_shown_as_a_page(console: Console) -> None:
    with console.browser() as browser:
        page = browser.get("/learning/networks/segment").text
    assert "<h3>Data</h3>" in page and "<th>part</th>" in page and "\n## Data" not in page
    assert page.count("<h1>") == 1
