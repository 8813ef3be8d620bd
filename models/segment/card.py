"""The card of a network that was learned here, written by nobody but its run."""

from __future__ import annotations

import json
from typing import Any

from models.serving.promotion_rule import CORRECTED, FEWEST, GAIN, MARGIN, SHIPPED


def card(run: int, facts: dict[str, Any], decision: str, command: str) -> str:
    """`facts` of the run: data, recipe, evidence, new, in_service, start, teacher."""
    data, evidence = facts.get("data", {}), facts.get("evidence", {})
    start = facts.get("start") or ""
    rows = [
        _row(name, evidence.get(name)) for name in ("knn", "agreement", "corrected", "failures")
    ]
    return f"""# {facts.get("new", "segment")}

Finds the main object of a picture; mask and image embedding in one ONNX file. Learned by run {run}
on this installation's own stream, after {facts.get("in_service", "?")}.
It began with {start or "random weights"}.

## Data
{data.get("images", "?")} stored images of {data.get("authors", "?")} people, with
{data.get("hashtags", "?")} hashtags; {data.get("held_out_images", "?")} images of
{data.get("held_out_authors", "?")} other people were held out. Left out: quarantined images, near
duplicates, images with a verdict that the recipe names, deleted posts, people who opted out. No
label of these images was trained on.{_before(start, facts.get("teacher"))}

## Licence
The images belong to the people who posted them, and no licence was asked for: whether this network
may be passed on is for you to judge. The code that made it is under the Apache License 2.0.

## Recipe
DINO on the images, then backbone and decoder end to end on soft masks of these images, where those
who taught were sure: {_taught(facts.get("teacher"))}

    {json.dumps(facts.get("recipe", {}), sort_keys=True)}
    {command}

## Figures
On held-out people; old: {facts.get("in_service", "?")}. 95 % paired bootstrap of the difference.

| | n | old | new | difference | 95 % |
|---|---|---|---|---|---|
{chr(10).join(rows)}

Decision: {decision}
(The rule: kNN not worse, its interval above -{MARGIN:.0%}, and agreement better by {GAIN:.0%} with
its interval above 0; with {CORRECTED} corrected masks IoU on those decides. Below {FEWEST}: no.)

## Known failures
Unknown. Nobody has looked at its masks yet: `tagecho segment photos/ --out masks/` shows them.
"""


def _taught(teacher: dict[str, str] | None) -> str:
    if teacher is None:
        return "not recorded."
    network, pack = teacher["network"], teacher["pack"]
    if not pack:
        return f"{network} alone, which is self-training: what it never finds is not learned."
    return f"the mean of {network} and of {pack}, which learned from masks that people drew."


def _before(start: str, teacher: dict[str, str] | None) -> str:
    network = teacher["network"] if teacher else start
    known = [name for name in dict.fromkeys((start, network)) if name not in ("", SHIPPED)]
    return "".join(f"\nWhat {name} learned from, it learned from as well." for name in known)


def _row(name: str, figure: dict[str, Any] | None) -> str:
    if figure is None:
        return f"| {name} | 0 | – | – | – | – |"
    new, old = figure["new"], figure["old"]
    return (
        f"| {name} | {figure['count']} | {old:.3f} | {new:.3f} | {new - old:+.3f} "
        f"| {figure['low']:+.3f} to {figure['high']:+.3f} |"
    )
