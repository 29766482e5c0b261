"""Writing figures: a page and a table always, images with kaleido, a sentence without it."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from gradiend_ui.engine.errors import BadName, Failed
from gradiend_ui.figures.palette import LIGHT
from gradiend_ui.figures.panels import Panel, stacked
from gradiend_ui.trainer.figures import page, save_figure

TABLE = pd.DataFrame({"learning_rate": [0.1], "probability": [0.1234567890123456]})


@pytest.fixture
def figure() -> go.Figure:
    drawn, _ = stacked([Panel("LMS", "", 60)], LIGHT, title="</script><b>Title & more", x_title="x", x_axis={})
    return drawn.add_scatter(x=[1], y=[0.5])


def test_page_and_table_are_always_written(figure: go.Figure, tmp_path: Path) -> None:
    paths = save_figure(figure, TABLE, tmp_path / "new" / "shifts.v1")
    assert paths == [str(tmp_path / "new" / "shifts.v1.html"), str(tmp_path / "new" / "shifts.v1.csv")]
    assert pd.read_csv(paths[1]).equals(TABLE)  # every digit


def test_a_folder_takes_the_given_name(figure: go.Figure, tmp_path: Path) -> None:
    assert save_figure(figure, TABLE, tmp_path, name="training")[0] == str(tmp_path / "training.html")
    assert save_figure(figure, TABLE, f"{tmp_path}/deep/")[0] == str(tmp_path / "deep/decoder_probability_shifts.html")


def test_the_page_needs_no_network_and_its_texts_stay_texts(figure: go.Figure) -> None:
    text = page(figure)
    assert text.count("<script") == text.count("</script>")
    assert "plotly.js v" in text
    assert not re.search(r"<(script|link)[^>]* (src|href)=", text)
    assert "<title>&lt;/script&gt;&lt;b&gt;Title &amp; more</title>" in text


@pytest.mark.parametrize(
    ("path", "formats"), [("a", ("gif",)), ("a.jpg", ("html",)), ("a", ("html", "HTM")), (" ", ("html",))]
)
def test_unknown_formats_and_empty_paths_are_refused_before_anything_is_written(
    figure: go.Figure, tmp_path: Path, path: str, formats: tuple[str, ...]
) -> None:
    with pytest.raises(BadName, match="choose from html, csv, png, svg, pdf|is empty"):
        save_figure(figure, TABLE, tmp_path / path if path.strip() else path, formats)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(figure: go.Figure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadName, match="cannot be made"):
        save_figure(figure, TABLE, tmp_path / "file" / "shifts")


def test_without_kaleido_the_sentence_says_what_to_install(
    figure: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(Failed, match=r"pip install gradiend_ui\[images\].*Chrome or Chromium"):
        save_figure(figure, TABLE, tmp_path / "shifts.png")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["shifts.csv", "shifts.html"]


def test_kaleidos_image_is_written_and_named_first(
    figure: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def to_image(self: go.Figure, **options: object) -> bytes:
        asked.append(options)
        return b"image"

    monkeypatch.setattr("gradiend_ui.trainer.figures.find_spec", lambda name: object())
    monkeypatch.setattr(go.Figure, "to_image", to_image)
    paths = save_figure(figure, TABLE, tmp_path / "shifts.pdf", ["png"], dpi=192)
    assert [Path(path).suffix for path in paths] == [".pdf", ".png", ".html", ".csv"]
    assert Path(paths[0]).read_bytes() == b"image"
    assert {str(options["format"]) for options in asked} == {"pdf", "png"}
    assert asked[0]["scale"] == 2.0


def test_without_a_browser_the_sentence_says_so(
    figure: go.Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_image(self: go.Figure, **options: object) -> bytes:
        raise RuntimeError("Kaleido requires\nGoogle Chrome")

    monkeypatch.setattr("gradiend_ui.trainer.figures.find_spec", lambda name: object())
    monkeypatch.setattr(go.Figure, "to_image", to_image)
    with pytest.raises(Failed, match="needs Chrome or Chromium.*It said: Kaleido requires Google Chrome"):
        save_figure(figure, TABLE, tmp_path, ["svg"])


@pytest.mark.skipif(find_spec("kaleido") is None, reason="kaleido is not installed: pip install gradiend_ui[images]")
def test_real_kaleido_draws_png_svg_and_pdf(figure: go.Figure, tmp_path: Path) -> None:
    paths = save_figure(figure, TABLE, tmp_path / "shifts", ["png", "svg", "pdf"])
    starts = [Path(path).read_bytes()[:5] for path in paths[:3]]
    assert starts == [b"\x89PNG\r", b"<svg ", b"%PDF-"]
