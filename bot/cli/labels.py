"""`tagecho labels`: how well hashtags fit, as networks and people say it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import complain, echo, print_json, say
from bot.cli.verb import Verbs

app = Verbs(no_args_is_help=True, help="How well hashtags fit their images.")
Post = Annotated[int, typer.Argument(min=1, help="The number of the post: `images list` has it.")]
Hashtags = Annotated[list[str], typer.Argument(help="One or more of its hashtags.")]


@app.command("score")
def labels_score(config: Config = CONFIG, json: Json = False) -> None:
    """Compute how probably each hashtag fits its post. A second run computes what is new.

    \b
    Examples:
      tagecho labels score
    """
    from bot.verbs.labels import score

    summary = score(prepare(config))
    if json:
        print_json(summary.as_dict())
    else:
        for row in summary.least_likely:
            echo(f"{row['probability']:.3f}  #{row['hashtag']}  {row['url']}")
    for problem in summary.unreadable:
        complain(problem)
    if not summary.least_likely:
        say("nothing tells any hashtag from chance yet: no photo stands out as wrong")
    say(
        f"{summary.scores} scores of {summary.hashtags} hashtags on {summary.posts} posts by "
        f"{summary.model}; {summary.embedded} of {summary.images} images were new"
    )
    if summary.unreadable:
        raise typer.Exit(1)


@app.command("accept")
def labels_accept(post: Post, hashtags: Hashtags, config: Config = CONFIG) -> None:
    """Say that hashtags fit their post: 1 in its scores, whatever the networks computed.

    \b
    Examples:
      tagecho labels accept 17 hoodie
    """
    _say(config, post, hashtags, True)


@app.command("reject")
def labels_reject(post: Post, hashtags: Hashtags, config: Config = CONFIG) -> None:
    """Say that hashtags do not fit their post: they are no label of it any more.

    \b
    Examples:
      tagecho labels reject 17 hoodie sale
    """
    _say(config, post, hashtags, False)


@app.command("undo")
def labels_undo(post: Post, hashtags: Hashtags, config: Config = CONFIG) -> None:
    """Take back what a person said of hashtags of a post: what the networks computed counts again.

    \b
    Examples:
      tagecho labels undo 17 hoodie
    """
    _say(config, post, hashtags, None)


def _say(config: Path, post: int, hashtags: list[str], fits: bool | None) -> None:
    from bot.verbs.gallery import say_of_hashtags

    said = say_of_hashtags(prepare(config), post, hashtags, fits)
    word = {True: "fits", False: "does not fit", None: "nobody said anything"}[fits]
    for tag in said:
        say(f"#{tag} of post {post}: {word}")
