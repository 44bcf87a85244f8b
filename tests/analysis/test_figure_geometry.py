"""In no format and at no width is a text of a figure cut, or does it lie on another."""

from __future__ import annotations

from pathlib import Path

import gallery
import pytest
from matplotlib import rc_context
from written_texts import faults, starts_in_pdf, texts_of_svg

import poq_abm
from poq_abm.analysis.figure_style import WIDTHS, canvas, printed, width_named, write
from poq_abm.analysis.questions import AnalysisRequest, draw, figures
from poq_abm.errors import InputError
from poq_abm.experiment.labels import measure_in_words
from poq_abm.scenario import load
from poq_abm.simulation.queries.query_tables import QUERIES

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]


def drawn(gallery_runs: dict[str, str], kind: str):
    source, asked = gallery.FIGURES[kind]
    return draw(kind, AnalysisRequest(gallery_runs.get(source, source), **asked))


def test_the_gallery_shows_every_kind() -> None:
    assert set(gallery.FIGURES) == set(figures())
    assert {source for source, _ in gallery.FIGURES.values()} <= {*gallery.RUNS, "published"}
    for kind in gallery.FIGURES:
        assert (gallery.IMAGES / f"{kind}.svg").is_file(), "python docs/gallery.py"


@pytest.mark.parametrize("kind", gallery.FIGURES)
def test_vector_formats_cut_nothing_and_lay_out_alike(
    gallery_runs: dict[str, str], tmp_path: Path, kind: str
) -> None:
    figure = drawn(gallery_runs, kind)
    with rc_context({"pdf.compression": 0}):
        svg, pdf = write(figure, tmp_path / kind, ["svg", "pdf"])
    texts, size = texts_of_svg(svg)
    assert len(texts) > 8
    assert faults(texts, size) == []
    starts = starts_in_pdf(pdf.read_bytes())
    for each in texts:
        x, y = each.start[0], size[1] - each.start[1]
        assert min(abs(x - a) + abs(y - b) for a, b in starts) < 3.0, each.said


@pytest.mark.parametrize("kind", gallery.FIGURES)
def test_a_figure_fits_a_papers_column(
    gallery_runs: dict[str, str], tmp_path: Path, kind: str
) -> None:
    with printed(WIDTHS["column"]):
        (path,) = write(drawn(gallery_runs, kind), tmp_path / kind, ["svg"])
    texts, size = texts_of_svg(path)
    assert size[0] == pytest.approx(72 * WIDTHS["column"])
    assert size[1] < 72 * 11.0
    assert faults(texts, size) == []


def test_letters_are_set_in_the_font_that_was_asked_for(
    gallery_runs: dict[str, str], tmp_path: Path
) -> None:
    with printed(WIDTHS["column"], "times"):
        (path,) = write(drawn(gallery_runs, "lorenz"), tmp_path / "lorenz", ["svg"])
    assert "STIXGeneral" in path.read_text()
    assert faults(*texts_of_svg(path)) == []


def test_a_legend_beside_the_last_panel_takes_no_room_from_others(
    gallery_runs: dict[str, str],
) -> None:
    with printed(WIDTHS["page"]):
        figure = drawn(gallery_runs, "dose")
    figure.draw_without_rendering()
    left, right, _ = figure.axes
    assert left.get_position().width > 0.3
    assert right.get_position().x0 - left.get_position().x1 < 0.2


def test_the_trilemma_fits_a_papers_page_and_says_what_its_protocols_are(
    gallery_runs: dict[str, str], tmp_path: Path
) -> None:
    with printed(WIDTHS["page"]):
        figure = drawn(gallery_runs, "trilemma")
        (path,) = write(figure, tmp_path / "trilemma", ["svg"])
    texts, size = texts_of_svg(path)
    assert faults(texts, size) == []
    assert size[1] < 72 * 7.0
    said = figure.get_supxlabel().replace("\n", " ")
    assert "tee: signed by secure hardware" in said
    assert "n = 3 replications" in said


def test_what_a_paper_cannot_hold_is_refused() -> None:
    with printed(WIDTHS["column"]), pytest.raises(InputError, match=r"ask for a width of 10\.4"):
        canvas(14.0, 3.0, panels=4, sharey=True)
    for text, message in (("colum", "column or page or inches"), ("1", "2.5 to 20 inches")):
        with pytest.raises(InputError, match=message):
            width_named(text)


FOUR_AXES = {
    "malicious.share": [0.0, 0.3],
    "mechanism.aggregation": ["mean", "trust_weighted_median"],
    "mechanism.committee_size": [3, 5],
    "malicious.behaviour": ["boost", "intermittent"],
}


@pytest.fixture(scope="module")
def four_axes(tmp_path_factory: pytest.TempPathFactory) -> str:
    few = {"rounds": 50, "replications": 2, "sweep": FOUR_AXES}
    results = poq_abm.run(load("adversary_sweep").replace(few))
    return str(results.save(tmp_path_factory.mktemp("swept") / "four"))


FIXED = {"behaviour": "boost", "committee_size": "5"}
OVER_TWO = {"x": "share", "y": "aggregation", "metric": "bias", "where": FIXED}


@pytest.mark.parametrize("kind", ["lines", "heatmap", "forest", "ecdf", "violins"])
def test_a_sweep_of_four_axes_is_drawn_whole(four_axes: str, tmp_path: Path, kind: str) -> None:
    names = poq_abm.read_results(four_axes).treatments["treatment"].tolist()
    two = {"treatment": names[0], "against": names[-1]}  # they differ in all four
    asked = OVER_TWO if kind in ("lines", "heatmap") else two
    figure = draw(kind, AnalysisRequest(four_axes, **asked))
    (path,) = write(figure, tmp_path / kind, ["svg"])
    assert faults(*texts_of_svg(path)) == []


def test_names_along_an_axis_are_turned_where_they_have_no_room(
    gallery_runs: dict[str, str], tmp_path: Path
) -> None:
    for width in WIDTHS:
        with printed(WIDTHS[width]):
            asked = AnalysisRequest(gallery_runs["protocols"], metric="total_usd")
            (path,) = write(draw("lines", asked), tmp_path / width, ["svg"])
        assert faults(*texts_of_svg(path)) == []


def test_no_measure_of_queries_is_named_as_its_column() -> None:
    names = [field.name for field in QUERIES if field.name.endswith(("_s", "_usd", "_per_s"))]
    assert names
    assert [name for name in names if measure_in_words(name) == name.replace("_", " ")] == []
