"""The curves of a training, from its JSON lines to a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.training.training_log import read_log

PANELS = {  # title: what is drawn there, where it was measured
    "loss": ("loss", "dino", "patch", "koleo"),
    "collapse: the two must stay apart": ("entropy", "mean_entropy"),
    "kNN accuracy": ("knn",),
    "NCut IoU": ("ncut",),
}


def draw_curves(log: Path, picture: Path) -> None:
    """`log` (JSON lines with `step`) → a PNG of 2 × 2 panels; an empty one was not measured."""
    rows = read_log(log)
    figure = Figure(figsize=(10, 7), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.replace("_", " "), marker=".")
        axes.set_title(title)
        axes.set_xlabel("step")
        if axes.lines:
            axes.legend()
    partial = picture.with_suffix(".part")
    figure.savefig(partial, format="png")
    partial.replace(picture)
