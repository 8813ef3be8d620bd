"""The tables of the proof, from whatever has been measured so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from research.proof.book import Book, Figure

NAMES = {
    "random": "(a) untrained ViT",
    "tags": "(b) supervised on the noisy tags",
    "dino": "(d) DINO on hashtags + tagged",
    "dino-tagged": "(d2) DINO on tagged alone",
    "dino-general": "(e) DINO on unrelated images",
    "box": "control: centre box",
    "grabcut": "control: GrabCut, centred rectangle",
    "unet": "control: U-Net, same masks and steps",
    "second-round": "(d), as many steps again on its own masks",
    "more-steps": "(d), as many steps again on the first masks",
}
MEASURES = {"ncut": "raw NCut", "frozen": "frozen, linear head", "tuned": "fine-tuned"}
AGAINST = ("random", "tags", "dino-general", "unet")


def report(book: Book, selection: Collection[str]) -> str:
    """Markdown. `selection`: ids that chose something; no figure is of them."""
    lines = [*verdict(book, selection), ""]
    for size in sizes(book):
        lines += [*main_table(book, size, selection), ""]
        lines += [*differences(book, size, selection), ""]
    return "\n".join([*lines, *off_centre_table(book, selection), *rounds(book, selection)])


def rounds(book: Book, selection: Collection[str]) -> Iterator[str]:
    gain = book.difference("tuned", ("second-round", 0), ("more-steps", 0), without=selection)
    if gain is not None:
        yield f"\nA second round minus the same steps on the first masks: {points(gain)} points."


def sizes(book: Book) -> list[int]:
    """All images first, then from many to few."""
    return sorted({key.size for key in book.measured()}, key=lambda size: -(size or 10**9))


def verdict(book: Book, selection: Collection[str]) -> Iterator[str]:
    """What the figures say, the U-Net first when it is the better one."""
    gain = book.difference("tuned", ("dino", 0), ("unet", 0), without=selection)
    if gain is not None and gain.high < 0:
        yield f"**The U-Net beats the ViT**: DINO arm minus U-Net {points(gain)}.\n"
    against = [("tags", "d − b"), ("dino-general", "d − e")]
    found = {
        name: book.difference("tuned", ("dino", 0), (arm, 0), without=selection)
        for arm, name in against
    }
    if any(gain is None for gain in found.values()):
        yield "Not all arms have been measured: nothing is decided."
        return
    proven = all(gain is not None and gain.low > 0 for gain in found.values())
    words = "; ".join(f"{name} {points(gain)}" for name, gain in found.items() if gain)
    yield (
        f"Self-training on the collected images **helps** here: {words}."
        if proven
        else f"**Null result**: that self-training on the collected images helps is not shown "
        f"({words}; both would have to lie above 0)."
    )


def main_table(book: Book, size: int, selection: Collection[str]) -> Iterator[str]:
    what = f"{size} images" if size else "all images"
    yield f"| backbone, {what} | {' | '.join(MEASURES.values())} | seeds |"
    yield "|---|---|---|---|---|"
    for arm, name in NAMES.items():
        figures = [book.mean(measure, arm, size, without=selection) for measure in MEASURES]
        if any(figures):
            seeds = max(figure.seeds for figure in figures if figure)
            yield f"| {name} | {' | '.join(map(plain, figures))} | {seeds} |"


def differences(book: Book, size: int, selection: Collection[str]) -> Iterator[str]:
    """DINO on hashtags + tagged minus the others; those without a backbone are of all images."""
    rows = []
    for arm in AGAINST:
        other = size if book.seeds("tuned", arm, size) else 0
        gains = [
            book.difference(measure, ("dino", size), (arm, other), without=selection)
            for measure in MEASURES
        ]
        if any(gains):
            rows.append(f"| (d) − {NAMES[arm]} | {' | '.join(map(points, gains))} |")
    if rows:
        yield f"| IoU points, paired | {' | '.join(MEASURES.values())} |"
        yield "|---|---|---|---|"
        yield from rows


def off_centre_table(book: Book, selection: Collection[str]) -> Iterator[str]:
    measures = ("tuned", "border", "canvas")
    # A moved picture is named ID-left or ID-canvas: it belongs to where its photo belongs.
    moved = {f"{name}-{how}" for name in selection for how in MOVES} | set(selection)
    rows = []
    for arm, name in NAMES.items():
        figures = [book.mean(measure, arm, 0, without=moved) for measure in measures]
        if any(figures[1:]):
            rows.append(f"| {name} | {' | '.join(map(plain, figures))} |")
    if rows:
        yield "| off-centre, all images | whole photos | pushed to a border | corner of a canvas |"
        yield "|---|---|---|---|"
        yield from rows


MOVES = ("left", "right", "top", "bottom", "canvas")


def plain(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{figure.value:.3f} [{figure.low:.3f}–{figure.high:.3f}]"


def points(figure: Figure | None) -> str:
    """A difference in points; bold when its interval does not hold 0."""
    if figure is None:
        return "–"
    text = f"{100 * figure.value:+.1f} [{100 * figure.low:+.1f}, {100 * figure.high:+.1f}]"
    return f"**{text}**" if figure.proven else text
