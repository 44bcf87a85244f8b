"""Every kind of figure, drawn from what a user has; titles, units and numbers of cases on each."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import poq_abm
from poq_abm.analysis.audit.attacks import (
    attack_frontier,
    attack_frontier_figure,
    attack_phase_diagram,
    attack_phases,
)
from poq_abm.analysis.audit.auditing import audit
from poq_abm.analysis.audit.gains import gain_forest
from poq_abm.analysis.audit.variants import VariantRunner
from poq_abm.analysis.comparison import difference_forest
from poq_abm.analysis.figure_style import FORMATS, canvas, write
from poq_abm.analysis.questions import AnalysisRequest, draw, figures, make, tables
from poq_abm.analysis.sweeps import sweep_lines
from poq_abm.errors import InputError
from poq_abm.scenario import load
from tests.conftest import interrupt

# The drawing libraries warn of each other's plans in some pairs of versions.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
    pytest.mark.usefixtures("shipped_rules"),
]

SWEEP = {
    "sweep": {"malicious.share": [0.0, 0.3, 0.6], "mechanism.aggregation": ["mean", "median"]},
    "rounds": 200,
    "replications": 3,
}


@pytest.fixture(scope="module")
def runs(
    stored_runs: dict[str, Path],
    gallery_runs: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Results folders: one treatment, a sweep of two axes, one with a trust log, and the others."""
    swept = poq_abm.run(load("adversary_sweep").replace(SWEEP))
    made = {**stored_runs, "swept": swept.save(tmp_path_factory.mktemp("runs") / "swept")}
    return {**gallery_runs, **{name: str(folder) for name, folder in made.items()}}


REQUESTS = {
    "figure4": ("base", {}),
    "figure5": ("base", {}),
    "figure6": ("base", {}),
    "cascade": ("base", {}),
    "costs": ("base", {}),
    "ecdf": ("base", {}),
    "violins": ("base", {"role": "inference"}),
    "lorenz": ("base", {}),
    "heatmap": ("swept", {"metric": "bias", "x": "share", "y": "aggregation"}),
    "lines": ("swept", {"metric": "bias", "x": "share", "y": "aggregation"}),
    "trust": ("trust", {"treatment": "b=3,update=relative"}),
    "forest": ("swept", {}),
    "frontier": ("base", {}),
    "trilemma": ("protocols", {}),
    "economy": ("economy", {"metric": "profit"}),
    "phases": ("swept", {}),
    "accuracy": ("payments", {}),
    "dose": ("doses", {}),
}


def words(figure) -> str:
    """Return everything written on a figure, without its line breaks."""
    from matplotlib.text import Text

    return " | ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))


def test_every_kind_is_tried_here() -> None:
    assert set(REQUESTS) == set(figures())


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_kind_has_units_n_and_the_name_of_what_it_shows(runs, kind: str) -> None:
    folder, arguments = REQUESTS[kind]
    figure = draw(kind, AnalysisRequest(runs[folder], **arguments))
    said = words(figure)
    name = json.loads((Path(runs[folder]) / "manifest.json").read_text())["name"]
    assert (name if kind not in ("figure4", "figure5", "cascade") else "profile published") in said
    assert re.search(r"n = \d", said), said
    axes = figure.axes[0]
    labels = axes.get_xlabel() + axes.get_ylabel()
    assert "(" in labels or kind in ("heatmap", "trust", "trilemma"), labels


def written_boxes(figure) -> list[tuple[str, object]]:
    """Return the upright texts that a figure shows and their boxes in pixels, once laid out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    beyond = set()  # labels of ticks outside the limits of their axis, which are not drawn
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in (*axis.majorTicks, *axis.minorTicks):
            if not low - slack <= tick.get_loc() <= high + slack:
                beyond |= {tick.label1, tick.label2}
    return [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in beyond
        and text.get_rotation() in (0.0, 90.0)  # the box of a slanted text is mostly empty
    ]  # fmt: skip


def assert_legible(figure) -> None:
    """Check that no text leaves the canvas or lies on another."""
    width, height = figure.bbox.size
    boxes = written_boxes(figure)
    for said, box in boxes:
        assert box.x0 > -1, said
        assert box.y0 > -1, said
        assert box.x1 < width + 1, said
        assert box.y1 < height + 1, said
    for (said, one), (other, two) in itertools.combinations(boxes, 2):
        across = min(one.x1, two.x1) - max(one.x0, two.x0)
        down = min(one.y1, two.y1) - max(one.y0, two.y0)
        assert min(across, down) < 1.5, (said, other)


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_text_is_cut_or_lies_on_another(runs, kind: str) -> None:
    folder, arguments = REQUESTS[kind]
    assert_legible(draw(kind, AnalysisRequest(runs[folder], **arguments)))


def test_a_forest_of_long_names_is_legible_with_a_panel_for_each_unit() -> None:
    rows = [
        (f"reward of inference group_with_a_long_name_{k}", unit, 10.0**k, True)
        for k, unit in enumerate(["tokens per job", "tokens per job", "0-1", "score -10 to 10"])
    ]
    frame = pd.DataFrame(rows, columns=["metric", "unit", "difference", "moved"])
    frame = frame.assign(low=frame["difference"] * 0.5, high=frame["difference"] * 2.0, p_value=0.1,
                         replications=3)  # fmt: skip
    four = "behaviour=boost,committee_size=3,beta_inference=0.25"
    frame.attrs |= {"sides": (f"share=0,aggregation=mean,{four}", f"share=0.3,{four}")}
    figure = difference_forest(frame)
    assert_legible(figure)
    first, *others = figure.axes
    assert first.get_xlabel() == "difference (tokens per job)"
    assert len(others) == 2
    assert [line.get_xdata()[0] for line in first.lines if line.get_marker() == "o"] == [1.0, 10.0]


def test_figures_speak_of_fields_and_measures_in_words(runs) -> None:
    for kind in ("lines", "heatmap"):
        said = words(draw(kind, AnalysisRequest(runs["swept"], **REQUESTS[kind][1])))
        assert "malicious share of evaluators" in said
        assert "consensus rule" in said
        assert "bias of the consensus (points of 10)" in said
        assert "mechanism." not in said


def test_a_line_that_lies_under_another_is_named_in_the_legend() -> None:
    rows = [(x, y, 1.0, 0.9, 1.1) for y in ("mean", "median") for x in (0, 1)]
    frame = pd.DataFrame(rows, columns=["x", "y", "mean", "low", "high"])
    assert "median (the same as mean)" in words(sweep_lines(frame, "x", "y"))


def test_distributions_of_several_treatments_lie_in_one_panel_for_each_class(runs) -> None:
    sizes = [f"committee_size={size}" for size in (1, 2, 3)]
    panels = draw("ecdf", AnalysisRequest(runs["committees"])).axes
    assert [axes.get_title() for axes in panels] == ["inference", "evaluator"]
    assert [[line.get_label() for line in axes.lines] for axes in panels] == [sizes, sizes]
    two = {"treatment": sizes[0], "against": sizes[2], "role": "evaluator"}
    (axes,) = draw("violins", AnalysisRequest(runs["committees"], **two)).axes
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == [sizes[0], sizes[2]]
    violins = [c for c in axes.collections if len(c.get_paths()) == 1 and c.get_alpha() == 0.85]
    assert len(violins) == 2 * 3  # evaluators


def test_a_caption_warns_of_what_is_drawn_alone(runs) -> None:
    sizes = [f"committee_size={size}" for size in (1, 2, 3)]
    for first, warned in ((sizes[0], True), (sizes[1], False)):
        asked = AnalysisRequest(runs["committees"], treatment=first, against=sizes[2])
        for kind in ("forest", "ecdf"):
            assert ("K = 1" in words(draw(kind, asked))) == warned, kind
    assert "bands: 95%" in words(draw("ecdf", asked))


class Watched(AnalysisRequest):
    """A request that remembers which of its fields were asked for."""

    def __getattribute__(self, name: str) -> object:
        if name in AnalysisRequest.__dataclass_fields__ and name != "source":
            self.__dict__.setdefault("asked", set()).add(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_kind_declares_what_it_heeds(runs, kind: str) -> None:
    folder, arguments = REQUESTS[kind]
    request = Watched(runs[folder], **arguments)
    draw(kind, request)
    assert request.__dict__.get("asked", set()) == set(figures()[kind].takes)


def test_the_points_of_figure_5_are_quality_by_latency() -> None:
    """Left truth, right judge, one point a model: Llama and Gemma near 1.1 s, 5.3, 9.0 and 8.7."""
    left, right = draw("figure5", AnalysisRequest("published")).axes
    assert "truth" in left.get_ylabel()
    assert "judge" in right.get_ylabel()
    for axes, llama, gemma in ((left, 5.35, 5.33), (right, 9.0, 8.7)):
        points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() in "osD^v"]
        assert len(points) == 5
        quickest, next_ = sorted(map(tuple, points))[:2]
        assert quickest == pytest.approx((1077.7, llama), abs=0.05)
        assert next_ == pytest.approx((1108.0, gemma), abs=0.05)


def test_the_bars_of_figure_6_are_mean_rewards() -> None:
    """Table 4: inference nodes left, evaluators right, the best first."""
    left, right = draw("figure6", AnalysisRequest("published")).axes
    for axes, printed in (
        (left, [0.623, 0.598, 0.426, 0.157, 0.126]),
        (right, [0.856, 0.834, 0.544]),
    ):
        heights = [patch.get_height() for patch in axes.patches]
        assert heights == pytest.approx(printed, abs=0.008)
    assert (left.get_title(), right.get_title()) == ("inference nodes", "evaluator nodes")


@pytest.mark.parametrize("kind", ["figure4", "figure5", "figure6", "costs"])
def test_figures_of_the_reconstruction_say_that_it_is_one(runs, kind: str) -> None:
    for source in ("published", runs["base"]):
        said = " ".join(words(draw(kind, AnalysisRequest(source))).split())
        assert "a reconstruction fitted to published aggregates" in said
    assert "reconstruction" not in words(draw(kind, AnalysisRequest("extractive_baselines")))


@pytest.mark.parametrize("kind", ["figure4", "figure5", "figure6", "costs"])
def test_the_papers_figures_come_from_a_profile_too(kind: str) -> None:
    assert "profile published" in words(draw(kind, AnalysisRequest("published")))


def test_the_bars_of_figure_4_are_the_correlations() -> None:
    figure = draw("figure4", AnalysisRequest("published"))
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sorted(round(h, 1) for h in heights) == [-0.2, -0.2, -0.0, 0.0, 0.3, 0.7]


def test_a_heat_map_writes_its_cells(runs) -> None:
    figure = draw("heatmap", AnalysisRequest(runs["swept"], **REQUESTS["heatmap"][1]))
    image = figure.axes[0].images[0].get_array()
    written = [float(text.get_text()) for text in figure.axes[0].texts]
    assert np.allclose(written, np.asarray(image).reshape(-1), atol=0.006)


def test_a_partial_run_is_drawn_and_said_to_be_partial(runs, tmp_path: Path) -> None:
    from poq_abm.experiment.plan import Plan
    from poq_abm.experiment.running import run_to_folder

    run_to_folder(Plan.of(load("cost_aware_poq", ["rounds=50", "replications=4"])), tmp_path)
    interrupt(tmp_path)
    assert "partial: 4 of 4" in " ".join(
        words(draw("ecdf", AnalysisRequest(str(tmp_path)))).split()
    )


def test_one_replication_is_drawn_and_said_to_have_no_interval(tmp_path: Path) -> None:
    scenario = load("cost_aware_poq", ["rounds=50", "replications=1"])
    folder = poq_abm.run(scenario).save(tmp_path / "one")
    said = words(draw("figure6", AnalysisRequest(str(folder))))
    assert "one replication: no interval can be given" in said


@pytest.mark.parametrize(
    ("kind", "folder", "arguments", "message"),
    [
        ("figur4", "base", {}, "did you mean 'figure4'"),
        ("heatmap", "swept", {"x": "share", "y": "agregation"}, "did you mean 'aggregation'"),
        ("violins", "base", {"role": "evaluater"}, "did you mean 'evaluator'"),
        ("violins", "base", {"by": ["grup"]}, "did you mean 'group'"),
        ("violins", "attacks", {}, "18 treatments; name one with --treatment"),
        ("ecdf", "base", {"treatment": "bas"}, "did you mean 'base'"),
    ],
)
def test_what_cannot_be_drawn_is_explained(runs, kind, folder, arguments, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(kind, AnalysisRequest(runs[folder], **arguments))


KINDS = {
    "rewards": {"figures": {"figure6", "costs", "ecdf", "violins", "lorenz", "frontier"},
                "tables": {"rewards", "lorenz", "alignment", "explain", "quality"}},
    "swept": {"figures": {"lines", "forest"}, "tables": {"axes", "difference"}},
    "profile": {"figures": {"figure4", "figure5", "cascade"}, "tables": {"cascade", "composite"}},
}  # fmt: skip
#: what fits each kind of run; all else is refused, in one line that names it
FITTING = {
    "base": ("rewards", "profile"),
    "economy": ("rewards", "swept", "profile"),
    "protocols": ("swept", "profile"),
}
ALSO = {
    "base": set(),
    "economy": {"economy", "surplus", "elasticity"},
    "protocols": {"trilemma", "queries"},
}
FROM_TWO = {"treatment": "pool=500", "against": "pool=1500"}


@pytest.mark.parametrize("name", FITTING)
@pytest.mark.parametrize("what", ["figures", "tables"])
def test_a_kind_fits_a_run_or_says_what_does(stored_runs, name: str, what: str) -> None:
    known, made = (figures(), draw) if what == "figures" else (tables(), make)
    fitting = set(known) & set.union(*(KINDS[kind][what] for kind in FITTING[name]), ALSO[name])
    fitting -= {"difference"} if name == "protocols" else set()
    for kind, one in known.items():
        asked = FROM_TWO if name == "economy" else {}
        asked = {option: value for option, value in asked.items() if option in one.takes}
        request = AnalysisRequest(str(stored_runs[name]), **asked)
        if kind in fitting:
            made(kind, request)
            continue
        with pytest.raises(InputError) as refused:
            made(kind, request)
        said = str(refused.value)
        assert f"{kind}` needs " in said
        assert "\n" not in said
        assert set(said.rpartition("what fits it: ")[2].split(", ")) == fitting


def test_the_usual_measure_is_one_of_the_study(stored_runs) -> None:
    for name, label in (("economy", "mean profit"), ("protocols", "dishonest answers that stand")):
        assert (
            draw("lines", AnalysisRequest(str(stored_runs[name])))
            .axes[0]
            .get_ylabel()
            .startswith(label)
        )


@pytest.fixture(scope="module")
def runner() -> VariantRunner:
    return VariantRunner.of(load("cost_aware_poq", ["rounds=100", "replications=3"]))


def test_the_pictures_of_an_audit(runner: VariantRunner) -> None:
    gains = audit(runner.scenario, roles=["evaluator"]).gains
    frontier = attack_frontier(runner, [{"name": "boost"}], shares=[0.4, 0.7], replications=3)
    phases = attack_phases(
        runner, {"name": "boost"}, "mechanism.aggregation", ["mean", "median"],
        shares=[0.4, 0.7], replications=3,
    )  # fmt: skip
    for table, figure in (
        (gains, gain_forest), (frontier, attack_frontier_figure), (phases, attack_phase_diagram),
    ):  # fmt: skip
        table.attrs["scenario"] = "mine"
        said = words(figure(table))
        assert "scenario mine" in said
        assert "n = 3 replications" in said
    assert len(attack_phase_diagram(phases).axes[0].texts) == 4


def test_a_table_that_lacks_a_column_is_refused(runner: VariantRunner) -> None:
    table = pd.DataFrame({"behavior": ["boost"], "members": [1], "drift": [0.1]})
    with pytest.raises(InputError, match="no column 'behaviour'; did you mean 'behavior'"):
        attack_frontier_figure(table)
    with pytest.raises(InputError, match="no rows"):
        attack_frontier_figure(
            attack_frontier(runner, [{"name": "noise"}], replications=2).iloc[:0]
        )


def test_a_figure_is_written_in_every_format_with_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        figure, (axes,) = canvas()
        axes.plot([0, 1], [0, 1])
        write(figure, tmp_path / name, FORMATS)
    for form in FORMATS:
        content = (tmp_path / f"a.{form}").read_bytes()
        assert len(content) > 3000
        assert content == (tmp_path / f"b.{form}").read_bytes()
    with pytest.raises(InputError, match="did you mean 'png'"):
        write(figure, tmp_path / "c", ["pgn"])


def test_drawing_libraries_are_imported_only_to_draw() -> None:
    import subprocess
    import sys

    code = (
        "import sys, poq_abm.cli; from poq_abm.analysis.questions import figures, tables;"
        "figures(); tables();"
        "print([m for m in ('matplotlib', 'seaborn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
