"""The trainer's figures: drawn, written as files, shown. Imported on first use: it loads plotly.

A figure is a page that opens without a network, its numbers as CSV, and images where kaleido is installed. The page
carries plotly.js and follows the reader's light or dark setting. What is drawn is told in `gradiend_ui.figures`.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradiend_ui.engine.errors import BadGrid, BadName, Failed, NotFound
from gradiend_ui.engine.files.csv_text import csv_text
from gradiend_ui.engine.files.file_names import WHY, is_device
from gradiend_ui.engine.files.whole_or_absent import write_whole
from gradiend_ui.engine.selection.policies import LMSThresholdPolicy, SelectionPolicy
from gradiend_ui.figures.encoder_distributions import Drawing, encoder_distribution_table, encoder_distributions
from gradiend_ui.figures.encoder_groups import Labels
from gradiend_ui.figures.encoder_points import Points, averaged, encoder_points, encoder_points_table, own_rows, thinned
from gradiend_ui.figures.lettering import Lettering
from gradiend_ui.figures.palette import DARK, FONT, LIGHT, light_to_dark
from gradiend_ui.figures.panels import PIXELS_PER_INCH
from gradiend_ui.figures.probability_shifts import probability_shift_table, probability_shifts
from gradiend_ui.figures.training_convergence import marked, training_convergence, training_convergence_table
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.decoder_plan import DecoderData
from gradiend_ui.trainer.rewriting import NOT_CHOICES

log = logging.getLogger(__name__)
__all__ = [
    "Destination",
    "Drawing",
    "Labels",
    "Lettering",
    "Points",
    "ShiftSource",
    "averaged",
    "destination",
    "marked",
    "own_rows",
    "save_figure",
    "thinned",
]

IMAGES = ("png", "svg", "pdf")
FORMATS = ("html", "csv", *IMAGES)
FOREIGN = ("jpg", "jpeg", "webp", "gif", "eps", "ps", "tif", "tiff", "bmp")
PAGE_WIDTH = 1100  # pixels of an image whose figure leaves the width to the page

UNWRITTEN = (
    "The figure %s is written nowhere: there is no experiment_dir and no output. It is returned as a Plotly figure: "
    "give output='figure.html', set experiment_dir in TrainingArguments, or call its write_html() or show()."
)
NO_KALEIDO = (
    "Writing {format} takes the package kaleido, which is not installed: pip install gradiend_ui[images]. "
    "kaleido in turn needs Chrome or Chromium on this machine. Written without it: {written}."
)
NO_BROWSER = (
    "kaleido could not draw the {format}; it needs Chrome or Chromium on this machine (install one, or name it in the "
    "environment variable BROWSER_PATH). Written without it: {written}. It said: {reason}"
)


@dataclass(frozen=True)
class ShiftSource:
    """Whose figure is drawn of which results; see `probability_shifts`."""

    results: Mapping[str, Any]
    target_class: str
    goal: str
    classes: Sequence[str]
    strengthening: Mapping[str, float]


@dataclass(frozen=True)
class Destination:
    """What becomes of a figure.

    path: file or folder, None writes nothing; formats: beside HTML and CSV; dpi: of a png; show: open it;
    as_figure: hand back the figure instead of the path of the first file written. Without a place it is handed back,
    too: no figure is drawn and lost.
    """

    path: Path | None
    formats: Sequence[str] = ()
    dpi: int | None = None
    show: bool = False
    as_figure: bool = False

    def take(self, figure: go.Figure, table: pd.DataFrame, name: str) -> Any:
        """Write the figure and its numbers as files called `name`, and show it where that was asked for."""
        written = (
            [] if self.path is None else save_figure(figure, table, self.path, self.formats, name=name, dpi=self.dpi)
        )
        if self.show:
            figure.show()
        if self.path is None and not self.as_figure:
            log.warning(UNWRITTEN, name)
        return figure if self.as_figure else next(iter(written), figure)


def destination(
    config: TextPredictionConfig,
    experiment_dir: str | None,
    output: str | Path | None,
    img_format: str | None,
    dpi: int | None,
    show: bool,
    as_figure: bool,
    output_dir: str | Path | None = None,
) -> Destination:
    """Where a figure goes: `output`, else `output_dir`, else the experiment folder; images beside HTML and CSV
    where they are asked for, in the call or by a configured format that is not the default."""
    folder = output_dir or experiment_dir
    if output is None and folder is not None:
        _make_folder(Path(folder))  # so that it counts as a folder
    path = output or folder
    image = img_format or (None if config.img_format == "png" else config.img_format)
    return Destination(
        path=None if path is None else Path(path),
        formats=() if image is None else (image,),
        dpi=dpi or config.img_dpi,
        show=show,
        as_figure=as_figure,
    )


def place_of_class(place: str | Path | None, name: str, *, alone: bool) -> Path | None:
    """Where one class's figure goes of those of several, so that none is written over another: a folder, or a file that
    gets the class's name. alone: the place as it is."""
    if place is None or alone:
        return None if place is None else Path(place)
    safe = "".join("_" if character in "/\\:" else character for character in name)
    file = Path(place)
    if file.is_dir() or not file.suffix:
        return file / f"decoder_probability_shifts_{safe}.html"
    return file.with_name(f"{file.stem}_{safe}{file.suffix}")


def shift_source(data: DecoderData, results: object, target_class: str | None, increase: bool) -> ShiftSource:
    """Whose figure is drawn of the results of `evaluate_decoder`; target_class: None takes their first one."""
    if not isinstance(results, Mapping):
        raise BadGrid("decoder_results must be what evaluate_decoder returned, a dictionary.")
    if target_class is None:
        named = [name for name in results if isinstance(name, str)]
        own = [name.removesuffix("_weaken") for name in named if name.endswith("_weaken") != increase]
        target_class = next((name for name in own if name in data.classes), data.classes[0])
    key = target_class if increase else f"{target_class}_weaken"
    if key not in results:
        made = ", ".join(str(name) for name in results if name not in NOT_CHOICES) or "none"
        raise NotFound(f"decoder_results holds no choice for {key!r} to draw; it has: {made}.")
    goal = "strengthen" if increase else "weaken"
    return ShiftSource(results, target_class, goal, data.targets.classes, data.strengthening)


def draw_probability_shifts(
    source: ShiftSource,
    destination: Destination,
    *,
    class_ids: Sequence[str] | None,
    figsize: tuple[float, float] | None,
    title: str | bool,
    feature_factor: float | None,
    policy: SelectionPolicy,
    theme: str,
) -> Any:
    """LMS and probabilities over the learning rates; see `probability_shifts`."""
    common: dict[str, Any] = {
        "target_class": source.target_class,
        "goal": source.goal,
        "classes": source.classes,
        "strengthening": source.strengthening,
        "class_ids": class_ids,
        "feature_factor": feature_factor,
        "ratio": policy.ratio if isinstance(policy, LMSThresholdPolicy) else None,
    }
    figure = probability_shifts(source.results, **common, title=title, figsize=figsize, theme=theme)
    table = probability_shift_table(source.results, **common)
    return destination.take(figure, table, "decoder_probability_shifts")


def draw_training(stats: Mapping[str, Any], options: Mapping[str, Any], destination: Destination) -> Any:
    """Correlation, means and loss over the steps; see `training_convergence` for the options."""
    figure = training_convergence(stats, **options)
    return destination.take(figure, training_convergence_table(stats, options["class_spread"]), "training_convergence")


def draw_encoder(frame: pd.DataFrame, options: Mapping[str, Any], destination: Destination) -> Any:
    """One violin per class; see `encoder_distributions` for the options."""
    figure = encoder_distributions(frame, **options)
    table = encoder_distribution_table(
        frame, options["classes"] if options["target_and_neutral_only"] else (), options["labels"]
    )
    return destination.take(figure, table, "encoder_distributions")


def draw_points(
    frame: pd.DataFrame, points: Points, look: Mapping[str, Any], destination: Destination, name: str
) -> Any:
    """Every text as a point; see `encoder_points` for the look."""
    return destination.take(encoder_points(frame, points, **look), encoder_points_table(frame, points), name)


# --- writing --------------------------------------------------------------------------------------------------------


def save_figure(
    figure: go.Figure,
    table: pd.DataFrame,
    path: str | Path,
    formats: Sequence[str] = ("html",),
    *,
    name: str = "decoder_probability_shifts",
    dpi: int | None = None,
) -> list[str]:
    """Write the figure in `formats`, and always also as HTML and its numbers as CSV. Returns the paths, as asked first.

    path: a folder (the files are called `name`), or a file whose ending, if it is a format, is one of those asked for
    formats: of html, csv, png, svg, pdf; dpi: pixels per inch of a png (None: 150)
    Raises BadName for an unknown format or a folder that cannot be made, Failed where an image needs kaleido or a
    browser that is not there (HTML and CSV are written by then).
    """
    stem, ending = _split(path, name)
    asked = list(dict.fromkeys([*ending, *(_checked(item) for item in formats)]))
    _make_folder(stem.parent)
    written = {kind: Path(f"{stem}.{kind}") for kind in (*asked, "html", "csv")}
    write_whole(written["html"], page(figure))
    lines = csv_text([table.columns, *table.itertuples(index=False)])
    write_whole(written["csv"], lines)
    done = f"{written['html']} and {written['csv']}"
    for kind in IMAGES:
        if kind in asked:
            write_whole(written[kind], image(figure, kind, dpi or 150, done))
    return [str(file) for file in written.values()]


def image(figure: go.Figure, kind: str, dpi: int, written: str) -> bytes:
    """The figure as png, svg or pdf. Raises Failed, naming what is `written` already, without kaleido or a browser."""
    if find_spec("kaleido") is None:
        raise Failed(NO_KALEIDO.format(format=kind, written=written))
    width = figure.layout.width or PAGE_WIDTH
    try:
        drawn = figure.to_image(format=kind, width=width, height=figure.layout.height, scale=dpi / PIXELS_PER_INCH)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Failed(NO_BROWSER.format(format=kind, written=written, reason=reason)) from error
    return bytes(drawn)


def page(figure: go.Figure) -> str:
    """A whole HTML document with plotly.js inside. A light figure turns dark where the reader's system is dark."""
    heading = str(figure.layout.title.text or "Figure").split("<br>")[0]
    plain = html.unescape(heading.removeprefix("<b>").removesuffix("</b>"))
    drawing = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="figure",
        config={"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]},
        post_script=_FOLLOW_THEME.replace("SWAPS", json.dumps(light_to_dark())),
    )
    return _PAGE.format(
        title=html.escape(plain), font=html.escape(FONT, quote=False), light=LIGHT.surface, dark=DARK.surface,
        drawing=drawing,
    )  # fmt: skip


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; padding: 12px; background: {light}; font-family: {font}; }}
@media (prefers-color-scheme: dark) {{ body {{ background: {dark}; }} }}
</style>
</head>
<body>
{drawing}
</body>
</html>
"""

# The figure is plain values and its colours are known: the dark one is the same text with other colours.
_FOLLOW_THEME = """
const shown = document.getElementById('{plot_id}');
const swaps = SWAPS;
const light = JSON.stringify({ data: shown.data, layout: shown.layout });
const dark = light.replace(/#[0-9a-f]{6}/g, (colour) => swaps[colour] || colour);
const system = window.matchMedia('(prefers-color-scheme: dark)');
const redraw = () => {
  const { data, layout } = JSON.parse(system.matches ? dark : light);
  Plotly.react(shown, data, layout);
};
if (system.matches) redraw();
system.addEventListener('change', redraw);
"""


def _split(path: str | Path, name: str) -> tuple[Path, list[str]]:
    """The files' common beginning, and the format that `path` itself asks for."""
    if not str(path).strip():
        raise BadName("The path for the figure is empty: give a folder or a file name.")
    file = Path(path)
    if is_device(file.name):
        raise BadName(f"{file.name!r} {WHY} a figure: choose another name.")
    if file.is_dir() or str(path).endswith(("/", "\\")):
        return file / name, []
    ending = file.suffix.removeprefix(".").lower()
    if ending in FOREIGN:
        _checked(ending)
    return (file.with_suffix(""), [ending]) if ending in FORMATS else (file, [])


def _checked(kind: str) -> str:
    plain = kind.removeprefix(".").lower()
    if plain not in FORMATS:
        raise BadName(f"A figure cannot be written as {kind!r}: choose from {', '.join(FORMATS)}.")
    return plain


def _make_folder(folder: Path) -> None:
    if not str(folder).strip():
        raise BadName("The folder for the figure has no name: give one, or leave it out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadName(f"The folder {folder} for the figure cannot be made: {error.strerror}.") from error
