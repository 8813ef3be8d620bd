"""`tagecho dataset`, `snapshot`, `export`, `import`: from collected posts to a training set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bot.cli.common import CONFIG, Config, Csv, Json, day, prepare
from bot.cli.output import complain, counted, echo, print_json, print_rows, say
from bot.cli.verb import Verbs
from bot.core.errors import UsageError

if TYPE_CHECKING:
    from bot.dataset.snapshots import Checked

app = Verbs(no_args_is_help=True, help="Datasets: named queries over the collected posts.")
snapshots = Verbs(no_args_is_help=True, help="Snapshots: frozen datasets.")

Name = Annotated[str, typer.Argument(help="The name of the dataset.")]
Frozen = Annotated[
    str, typer.Argument(help="DATASET/SNAPSHOT, or DATASET for its newest snapshot.")
]
Many = list[str] | None


@app.command("create")
def dataset_create(
    name: Name,
    hashtag: Annotated[
        Many,
        typer.Option(help="The post has this hashtag or another one that is given; repeatable."),
    ] = None,
    all_hashtag: Annotated[
        Many, typer.Option(help="The post has all of these hashtags; repeatable.")
    ] = None,
    no_hashtag: Annotated[
        Many, typer.Option(help="The post has none of these hashtags; repeatable.")
    ] = None,
    dataset: Annotated[
        Many, typer.Option(help="A track with this dataset found the post; repeatable.")
    ] = None,
    track: Annotated[
        Many, typer.Option(help="This track found the post; a name from `track list`; repeatable.")
    ] = None,
    author: Annotated[Many, typer.Option(help="PLATFORM/USER posted it; repeatable.")] = None,
    platform: Annotated[
        Many, typer.Option(help="The post is on this platform; repeatable.")
    ] = None,
    since: Annotated[str, typer.Option(help="Posted on or after this day, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Posted before this day, UTC.")] = "",
    min_side: Annotated[
        int, typer.Option(help="The shorter side has at least so many pixels.")
    ] = 0,
    min_label_fit: Annotated[
        float, typer.Option(help="A hashtag fits with at least this probability, from 0 to 1.")
    ] = 0.0,
    leave_out: Annotated[
        Many,
        typer.Option(
            help="Leave out images with this verdict: a check, `all` or `none`; repeatable."
        ),
    ] = None,
    covers: Annotated[bool, typer.Option(help="Also take the cover images of videos.")] = True,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="Also take posts that were deleted.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the query of an existing dataset.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Store a query under a name, and show what it finds now.

    The datasets of tracks exist already; you need not create them.

    \b
    Examples:
      tagecho dataset create hoodies --hashtag hoodie --min-side 600
    """
    from bot.verbs import datasets
    from storage.queries import Query, mistakes_told

    with mistakes_told():
        query = Query(
            any_hashtags=tuple(hashtag or ()),
            all_hashtags=tuple(all_hashtag or ()),
            no_hashtags=tuple(no_hashtag or ()),
            datasets=tuple(dataset or ()),
            tracks=tuple(track or ()),
            authors=tuple(author or ()),
            platforms=tuple(platform or ()),
            since=day(since, "--since"),
            until=day(until, "--until"),
            min_side=min_side,
            min_label_fit=min_label_fit,
            leave_out=_verdicts(leave_out or ["all"]),
            covers=covers,
            deleted=deleted,
        )
    _tell(datasets.create(prepare(config), name, query, replace=replace), json)


@app.command("list")
def dataset_list(config: Config = CONFIG, json: Json = False, csv: Csv = False) -> None:
    """List the datasets, what each finds now, and their snapshots.

    \b
    Examples:
      tagecho dataset list
    """
    from bot.verbs import datasets

    rows = datasets.listing(prepare(config))
    if print_rows(rows, json=json, csv=csv):
        return
    for row in rows:
        echo(
            f"{row['dataset']}  {row['images']} images of {row['posts']} posts by "
            f"{row['authors']} people  snapshots: {' '.join(row['snapshots']) or 'none'}"
        )


@app.command("show")
def dataset_show(name: Name, config: Config = CONFIG, json: Json = False) -> None:
    """Show the query of a dataset, and what it finds now.

    \b
    Examples:
      tagecho dataset show hoodies
    """
    from bot.verbs import datasets

    _tell(datasets.show(prepare(config), name), json)


@app.command("remove")
def dataset_remove(
    name: Name,
    with_snapshots: Annotated[
        bool,
        typer.Option(
            "--snapshots", help="Also remove its snapshots and the record of its exports."
        ),
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Remove a dataset. Its images and exported folders stay.

    \b
    Examples:
      tagecho dataset remove hoodies
    """
    from bot.verbs import datasets

    gone = datasets.remove(prepare(config), name, frozen=with_snapshots)
    say(f"removed {name}" + (f" and {counted(gone, 'snapshot')}" if gone else ""))


@snapshots.command("create")
def snapshot_create(
    dataset: Name,
    name: Annotated[
        str, typer.Option(help="The name of the snapshot; default: the next number.")
    ] = "",
    splits: Annotated[
        str, typer.Option(help="The shares of train/val/test, in percent.")
    ] = "80/10/10",
    seed: Annotated[int, typer.Option(help="Another number gives other splits.")] = 0,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Freeze a dataset. No author and no near duplicate is in two splits.

    Later snapshots with the same `--seed` keep each author in the same split. An image that belongs
    to two splits is left out and counted. The shares are of authors, so those of images are
    approximate.

    \b
    Examples:
      tagecho snapshot create hoodies --splits 80/10/10
    """
    from bot.dataset.snapshots import freeze
    from bot.dataset.splits import ratios, uneven

    made = freeze(prepare(config), dataset, name, ratios(splits), seed)
    _tell(made, json)
    if line := uneven(made["counts"], ratios(splits)):
        say(line)


@snapshots.command("list")
def snapshot_list(
    dataset: Annotated[str, typer.Argument(help="Show only snapshots of this dataset.")] = "",
    config: Config = CONFIG,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the snapshots, oldest first.

    \b
    Examples:
      tagecho snapshot list hoodies
    """
    from bot.dataset.snapshots import snapshot_rows

    rows = snapshot_rows(prepare(config), dataset)
    if print_rows(rows, json=json, csv=csv):
        return
    for row in rows:
        counts = " ".join(f"{split} {count}" for split, count in row["counts"].items())
        echo(f"{row['dataset']}/{row['snapshot']}  {row['created']:%Y-%m-%d}  {counts}")


@snapshots.command("verify")
def snapshot_verify(name: Frozen, config: Config = CONFIG, json: Json = False) -> None:
    """Compare the rows and images of a snapshot with what was frozen. Exit code 1: they differ.

    \b
    Examples:
      tagecho snapshot verify hoodies/1
    """
    from bot.dataset.snapshots import verify

    _checked(verify(prepare(config), name), json)


@snapshots.command("rebuild")
def snapshot_rebuild(
    name: Frozen,
    out: Annotated[Path, typer.Option("--out", help="The file for the manifest.")],
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write the manifest again. It is the same bit for bit, without what was forgotten.

    \b
    Examples:
      tagecho snapshot rebuild hoodies/1 --out manifest.jsonl
    """
    from bot.dataset.snapshots import rebuild

    _checked(rebuild(prepare(config), name, out), json)


def export(
    name: Frozen,
    format_: Annotated[
        str, typer.Option("--format", help="imagefolder, parquet, webdataset, coco or yolo.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    masks: Annotated[
        bool, typer.Option("--masks", help="Compute the masks that are missing.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(help="Write JPEGs with this longer side, in pixels; default: the originals."),
    ] = None,
    fields: Annotated[
        str, typer.Option(help="Fields of each image, separated by commas: `default`, `caption` …")
    ] = "default",
    classes: Annotated[
        str,
        typer.Option(
            help="Hashtags as classes of objects, separated by commas; default: those of the query."
        ),
    ] = "",
    objects: Annotated[
        str,
        typer.Option(
            help="Write the objects of this recipe of `label`; latest: of the last one.",
            metavar="RECIPE",
        ),
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the folder if it exists.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write a snapshot as a folder. A dataset without a snapshot gets its first one.

    The folder appears when it is complete; an export that fails leaves what was there before.
    Originals are copied with their metadata. Images that EXIF turns are written upright, GIF and
    AVIF become PNG in `coco` and `yolo`, and a `webdataset` of several kinds becomes JPEG. `--size`
    writes JPEGs without metadata. Authors are pseudonyms, and captions lose @names unless
    `--fields` has `username`. Where all texts of a column look like dates, `imagefolder` writes
    `metadata.parquet` instead of `metadata.jsonl`, whose readers would take them for dates; that
    needs the `export` extra. `data.yaml` works from any working folder. The class of
    an object is the hashtag of the query, or of `--classes`, that fits best, else `object`.

    \b
    Examples:
      tagecho export hoodies --format parquet --out hoodies/
    """
    from bot.dataset.export.folder import ExportOptions
    from bot.dataset.export.folder import export as write

    names = tuple(filter(None, (part.strip() for part in classes.split(","))))
    options = ExportOptions(format_, out, masks, size, fields, names, replace, objects)
    result = write(prepare(config), name, options)
    if json:
        print_json(result.as_dict())
        return
    echo(result.path)
    images = counted(result.items, "image")
    say(f"{result.dataset}/{result.snapshot}: {images} in {result.seconds} s")
    for count, why in (
        (result.forgotten, "forgotten since the snapshot"),
        (result.without_mask, "left out: without a mask, or without an answer of `label`"),
        (result.masks_gone, "whose mask no longer exists; --masks computes it"),
    ):
        if count:
            say(f"{counted(count, 'image')} {why}")


def import_(
    path: Annotated[
        Path, typer.Argument(help="A folder of gallery-dl or instaloader, an export, or images.")
    ],
    dataset: Annotated[str, typer.Option(help="The dataset of the posts.")] = "imported",
    table: Annotated[
        Path | None,
        typer.Option(help="A CSV or JSONL file whose rows name the images of the folder."),
    ] = None,
    column: Annotated[
        Many,
        typer.Option(help="FIELD=COLUMN of the table, where the names differ; repeatable."),
    ] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Take every image as a post; folder names are hashtags."),
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Import photos with their sidecar files. Known posts are not imported twice.

    Fields of a table are file, id, author, time, caption, hashtags, url, likes and platform; only
    file must be there. Rows with the same id are one post.

    It reads `FILE.jpg` with `FILE.jpg.json` or `FILE.json` (gallery-dl), `FILE.jpg` with
    `FILE.json` or `FILE.json.xz` and `FILE.txt` (instaloader), and `metadata.jsonl` of our own
    exports. People who opted out stay out, also under the pseudonyms of our own exports. Each file
    that cannot be read is one line on stderr, and the exit code is 1. Exit code 8: nothing was
    imported; the message says which files there are.

    \b
    Examples:
      tagecho import gallery-dl/ --dataset old
      tagecho import photos/ --plain
      tagecho import photos/ --table posts.csv --column file=filename --column author=user
    """
    from bot.dataset.importing.folder import take
    from bot.dataset.importing.table import Table, columns_of

    if (table is not None and plain) or (column and table is None):
        raise UsageError("--plain stands without --table, and --column with it")

    rows = None if table is None else Table(table, columns_of(column or []))
    report = take(prepare(config), path, dataset, table=rows, plain=plain)
    if json:
        print_json(report.as_dict())
    else:
        echo(f"{counted(report.posts, 'post')}, {counted(report.images, 'image')}")
        for count, why in (
            (report.known, "known already"),
            (report.kept_out, "of people who opted out"),
        ):
            if count:
                say(f"{counted(count, 'post')} {why}")
    for where, why in report.problems:
        complain(f"{where}: {why}")
    if report.problems:
        if report.nothing:
            complain(f"nothing imported: {report.why()}")
        raise typer.Exit(1)


def _checked(checked: Checked, json: bool) -> None:
    if json:
        print_json(checked.as_dict())
    else:
        here = checked.items - checked.forgotten
        images = counted(here, "image")
        echo(f"{checked.dataset}/{checked.snapshot}  {images}  {checked.rebuilt_sha256}")
        if checked.forgotten:
            say(f"{checked.forgotten} were forgotten; the manifest was {checked.manifest_sha256}")
        for numbers, what in ((checked.changed, "changed"), (checked.missing, "missing")):
            if numbers:
                complain(f"{len(numbers)} {what}: " + " ".join(map(str, numbers[:20])))
    if not checked.sound:
        raise typer.Exit(1)


def _tell(values: dict[str, Any], json: bool) -> None:
    if json:
        print_json(values)
        return
    for key, value in values.items():
        echo(f"{key}: {value}")


def _verdicts(names: list[str]) -> Literal["all"] | tuple[str, ...]:
    if len(names) > 1 and {"all", "none"} & set(names):
        raise UsageError("--leave-out: `all` and `none` stand alone")
    return "all" if names == ["all"] else () if names == ["none"] else tuple(names)
