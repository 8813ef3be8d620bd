"""The figures of a network, as its card has them: tables of Markdown."""

from __future__ import annotations

from dataclasses import dataclass, field

HEADING = "## Figures"


@dataclass(slots=True)
class CardTable:
    """Cells as they are written; each row has as many as the heading."""

    heading: list[str]
    rows: list[list[str]] = field(default_factory=list)


def card_figures(card: str) -> list[CardTable]:
    """The tables of the section Figures, in their order; none without that section."""
    _, _, section = f"\n{card}".partition(f"\n{HEADING}\n")
    section, _, _ = section.partition("\n## ")
    found: list[CardTable] = []
    inside = False
    for line in section.splitlines():
        cells = _cells(line)
        if not cells:
            inside = False
        elif not inside:
            found.append(CardTable(cells))
            inside = True
        elif set("".join(cells)) - set(":-"):  # else the line below a heading
            width = len(found[-1].heading)
            found[-1].rows.append((cells + [""] * width)[:width])
    return found


def _cells(line: str) -> list[str]:
    line = line.strip()
    if not (line.startswith("|") and line.endswith("|") and len(line) > 1):
        return []
    return [cell.strip() for cell in line[1:-1].split("|")]
