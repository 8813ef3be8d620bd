"""`tagecho dataset`, `snapshot`, `export`, `import`: from a stream to something to train on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, print_json, say
from bot.core.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Datasets: named queries over what was collected.")
snapshots = typer.Typer(no_args_is_help=True, help="Snapshots: datasets frozen.")

Name = Annotated[str, typer.Argument(help="The dataset.")]
Frozen = Annotated[str, typer.Argument(help="DATASET/SNAPSHOT, or DATASET for its newest.")]
Many = list[str] | None


@app.command("create")
def dataset_create(
    name: Name,
    hashtag: Annotated[Many, typer.Option(help="At least one of these; repeat it.")] = None,
    all_hashtag: Annotated[Many, typer.Option(help="All of these.")] = None,
    no_hashtag: Annotated[Many, typer.Option(help="None of these.")] = None,
    dataset: Annotated[Many, typer.Option(help="Found by a track with this dataset.")] = None,
    track: Annotated[
        Many, typer.Option(help="Found by this track, as `track list` says it.")
    ] = None,
    author: Annotated[Many, typer.Option(help="Posted by PLATFORM/USER.")] = None,
    platform: Annotated[Many, typer.Option(help="On this platform.")] = None,
    since: Annotated[str, typer.Option(help="Taken on or after this day, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Taken before this day, UTC.")] = "",
    min_side: Annotated[int, typer.Option(help="Pixels of the shorter side.")] = 0,
    min_label_fit: Annotated[float, typer.Option(help="Probability that a hashtag fits.")] = 0.0,
    leave_out: Annotated[
        Many, typer.Option(help="A verdict that keeps an image out: a check, `all`, or `none`.")
    ] = None,
    covers: Annotated[bool, typer.Option(help="Covers of videos, too.")] = True,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted posts, too.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give it another query.")] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Name a query; says what it finds now. One that tracks feed needs no creating."""
    from bot.verbs import datasets

    values: dict[str, Any] = {
        "any_hashtags": hashtag or [],
        "all_hashtags": all_hashtag or [],
        "no_hashtags": no_hashtag or [],
        "datasets": dataset or [],
        "tracks": track or [],
        "authors": author or [],
        "platforms": platform or [],
        "since": _day(since, "--since"),
        "until": _day(until, "--until"),
        "min_side": min_side,
        "min_label_fit": min_label_fit,
        "leave_out": _verdicts(leave_out or ["all"]),
        "covers": covers,
        "deleted": deleted,
    }
    _tell(datasets.create(prepare(config), name, values, replace=replace), json)


@app.command("list")
def dataset_list(config: Config = CONFIG, json: Json = False) -> None:
    """Every dataset, what it finds now, and its snapshots."""
    from bot.verbs import datasets

    rows = datasets.listing(prepare(config))
    if json:
        print_json(rows)
        return
    for row in rows:
        echo(
            f"{row['dataset']}  {row['images']} images of {row['posts']} posts by "
            f"{row['authors']} people  snapshots: {' '.join(row['snapshots']) or 'none'}"
        )


@app.command("show")
def dataset_show(name: Name, config: Config = CONFIG, json: Json = False) -> None:
    """A dataset's query and what it finds now."""
    from bot.verbs import datasets

    _tell(datasets.show(prepare(config), name), json)


@app.command("remove")
def dataset_remove(
    name: Name,
    with_snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Its snapshots, too, and the record of its exports.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Take a dataset away. Images and exported folders stay."""
    from bot.verbs import datasets

    gone = datasets.remove(prepare(config), name, frozen=with_snapshots)
    say(f"removed {name}" + (f" and {gone} snapshots" if gone else ""))


@snapshots.command("create")
def snapshot_create(
    dataset: Name,
    name: Annotated[str, typer.Option(help="Its name; default: the next number.")] = "",
    splits: Annotated[str, typer.Option(help="Shares of train/val/test.")] = "80/10/10",
    seed: Annotated[int, typer.Option(help="Another number, other splits.")] = 0,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Freeze a dataset. No author and no near duplicate lies in two splits."""
    from bot.dataset.snapshots import freeze
    from bot.dataset.splits import ratios

    _tell(freeze(prepare(config), dataset, name, ratios(splits), seed), json)


@snapshots.command("list")
def snapshot_list(
    dataset: Annotated[str, typer.Argument(help="Only of this dataset.")] = "",
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Snapshots, oldest first."""
    from bot.dataset.snapshots import snapshot_rows

    rows = snapshot_rows(prepare(config), dataset)
    if json:
        print_json(rows)
        return
    for row in rows:
        counts = " ".join(f"{split} {count}" for split, count in row["counts"].items())
        echo(f"{row['dataset']}/{row['snapshot']}  {row['created']:%Y-%m-%d}  {counts}")


@snapshots.command("verify")
def snapshot_verify(name: Frozen, config: Config = CONFIG, json: Json = False) -> None:
    """Compare a snapshot's rows and originals with what was frozen; exit code 1 if they differ."""
    from bot.dataset.snapshots import verify

    _checked(verify(prepare(config), name), json)


@snapshots.command("rebuild")
def snapshot_rebuild(
    name: Frozen,
    out: Annotated[Path, typer.Option("--out", help="File for the manifest.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write the manifest again, bit for bit, but for what was forgotten."""
    from bot.dataset.snapshots import rebuild

    _checked(rebuild(prepare(config), name, out), json)


def export(
    name: Frozen,
    format_: Annotated[
        str, typer.Option("--format", help="imagefolder, parquet, webdataset, coco or yolo.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder that is made.")],
    masks: Annotated[bool, typer.Option("--masks", help="Compute masks that are missing.")] = False,
    size: Annotated[
        int | None, typer.Option(help="Pixels of the longer side; default: the originals.")
    ] = None,
    fields: Annotated[
        str, typer.Option(help="What is said of an image: `default`, `caption`, … by comma.")
    ] = "default",
    classes: Annotated[
        str, typer.Option(help="Hashtags that name main objects, by comma; default: the query's.")
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Instead of what is there.")] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write a snapshot as a folder; a dataset without one gets its first."""
    from bot.dataset.export import Options
    from bot.dataset.export import export as write

    names = tuple(filter(None, (part.strip().lstrip("#") for part in classes.split(","))))
    options = Options(format_, out, masks, size, fields, names, replace)
    result = write(prepare(config), name, options)
    if json:
        print_json(result.as_dict())
        return
    echo(result.path)
    say(f"{result.dataset}/{result.snapshot}: {result.items} images in {result.seconds} s")
    for count, why in (
        (result.forgotten, "were forgotten since"),
        (result.without_mask, "have no mask and are left out"),
        (result.masks_gone, "masks are no longer there; --masks computes them"),
    ):
        if count:
            say(f"{count} {why}")


def import_(
    path: Annotated[Path, typer.Argument(help="A folder of gallery-dl, instaloader or an export.")],
    dataset: Annotated[str, typer.Option(help="The dataset they are found in.")] = "imported",
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Take photos with their sidecar files in; what is there already is not taken twice."""
    from bot.dataset.importing import take

    report = take(prepare(config), path, dataset)
    if json:
        print_json(report.as_dict())
    else:
        echo(f"{report.posts} posts, {report.images} images")
        for count, why in (
            (report.known, "posts were known"),
            (report.kept_out, "posts of people who opted out"),
        ):
            if count:
                say(f"{count} {why}")
    for where, why in report.problems:
        say(f"{where}: {why}")
    if report.problems:
        raise typer.Exit(1)


def _checked(checked: Any, json: bool) -> None:
    if json:
        print_json(checked.as_dict())
    else:
        here = checked.items - checked.forgotten
        echo(f"{checked.dataset}/{checked.snapshot}  {here} images  {checked.rebuilt_sha256}")
        if checked.forgotten:
            say(f"{checked.forgotten} were forgotten; the manifest was {checked.manifest_sha256}")
        for numbers, what in ((checked.changed, "changed"), (checked.missing, "missing")):
            if numbers:
                say(f"{len(numbers)} {what}: " + " ".join(map(str, numbers[:20])))
    if not checked.sound:
        raise typer.Exit(1)


def _tell(values: dict[str, Any], json: bool) -> None:
    if json:
        print_json(values)
        return
    for key, value in values.items():
        echo(f"{key}: {value}")


def _day(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r}: a day, as in 2026-03-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _verdicts(names: list[str]) -> str | list[str]:
    if len(names) > 1 and {"all", "none"} & set(names):
        raise UsageError("--leave-out: `all` and `none` stand alone")
    return "all" if names == ["all"] else [] if names == ["none"] else names
