"""``poq contract``: what the cheapest honest contract costs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from poq_abm.cli.options import AsCsv, AsJson, Seed
from poq_abm.errors import InputError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from poq_abm.analysis.contract import ScoreBins
    from poq_abm.profile import Profile

__all__ = ["contract"]

_UNITS = {"latency": "points", "price": "USD"}
_SPACINGS = ("quantile", "equal")

Target = Annotated[str, typer.Option(metavar="MODEL", help="The model that nodes are to run.")]
Basis = Annotated[
    str,
    typer.Option("--cost", metavar="latency|price", help="beta C, or dollars (usd_per_answer)."),
]
Beta = Annotated[
    float | None, typer.Option(min=0.0, help="What a cost C of 1 is worth, in points (0.3).")
]
Hardware = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where models run; default: each one's first.")
]
Evaluator = Annotated[
    str | None, typer.Option(metavar="NAME", help="Pay by the scores of this evaluator alone.")
]
Size = Annotated[
    int | None, typer.Option("--committee-size", help="K; default: 3, or all of fewer.")
]
Rule = Annotated[
    str | None, typer.Option(metavar="RULE", help="How a committee agrees; default: mean.")
]
Margin = Annotated[
    float, typer.Option(min=0.0, help="What the target is to earn more than any other, an answer.")
]
Bins = Annotated[int, typer.Option(help="Bins of the consensus, 2 to 12.")]
Spacing = Annotated[
    str, typer.Option("--edges", metavar="quantile|equal", help="Equally likely, or equally wide.")
]
Resamples = Annotated[int, typer.Option(min=20, help="Bootstrap resamples behind every interval.")]
Out = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Write the table and its figure here.")
]
Write = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a scenario that pays by the contract.")
]


def contract(
    profile: Annotated[
        str, typer.Argument(metavar="PROFILE", help="A name from `poq profile list`, or a folder.")
    ],
    target: Target,
    cost: Basis = "latency",
    beta: Beta = None,
    hardware: Hardware = None,
    evaluator: Evaluator = None,
    committee_size: Size = None,
    aggregation: Rule = None,
    margin: Margin = 0.0,
    bins: Bins = 5,
    edges: Spacing = "quantile",
    resamples: Resamples = 200,
    seed: Seed = 1,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    out: Out = None,
    write: Write = None,
) -> None:
    """Find the least pay by score bin that makes a model the best to run, and what that costs."""
    from poq_abm.analysis.contract import (  # noqa: PLC0415
        contract_sentence,
        contract_table,
        model_costs,
        score_bins,
    )
    from poq_abm.cli.printing import print_data, say  # noqa: PLC0415
    from poq_abm.profile import load_profile  # noqa: PLC0415

    _refuse_idle(cost, beta, evaluator, committee_size, aggregation)
    for option, value, known in (("--cost", cost, _UNITS), ("--edges", edges, _SPACINGS)):
        if value not in known:
            raise InputError(f"{option} {value}: {nearest(value, known)}")
    loaded = load_profile(profile)
    size = 1 if evaluator else committee_size or min(3, len(loaded.evaluators))
    rule, charge = aggregation or "mean", 0.3 if beta is None else beta
    chosen: Any = {"evaluator": evaluator, "committee_size": size, "aggregation": rule}
    binned = score_bins(loaded, bins=bins, spacing=edges, **chosen)  # type: ignore[arg-type]
    costs = model_costs(loaded, basis=cost, beta=charge, hardware=hardware)  # type: ignore[arg-type]
    key = 1 if seed is None else seed
    table = contract_table(
        loaded, target, binned, costs, margin=margin, resamples=resamples, seed=key
    )
    table.attrs["unit"] = _UNITS[cost]
    answer = _Answer(loaded, target, binned, costs, table)
    if out is not None:
        _write_out(out, answer)
    chosen["beta_inference"] = charge if cost == "latency" else 0.0
    if write is not None:
        _write_new(write, _scenario(answer, profile, hardware, chosen))
    said = contract_sentence(table, target, table.attrs["unit"])
    if print_data({"contracts": table}, as_json=as_json, as_csv=as_csv, said=said):
        return
    scored = f"scores of {evaluator}" if evaluator else f"consensus of {size} by {rule}"
    charged = f"beta C, beta = {charge:g}" if cost == "latency" else "in USD an answer"
    say(f"{target} on {loaded.name}: {scored}; costs {charged}")
    _print(answer)
    if write is None:
        _print_lines(_scenario(answer, profile, hardware, chosen))


class _Answer(NamedTuple):
    """What was found, and of what."""

    profile: Profile
    target: str
    binned: ScoreBins
    costs: NDArray[np.float64]
    table: pd.DataFrame


def _refuse_idle(
    cost: str, beta: float | None, evaluator: str | None, size: int | None, rule: str | None
) -> None:
    """Refuse an option that the others leave nothing to do."""
    if beta is not None and cost == "price":
        raise InputError("--beta does nothing with --cost price: dollars are not multiplied")
    for option, value in (("--committee-size", size), ("--aggregation", rule)):
        if value is not None and evaluator is not None:
            raise InputError(f"{option} does nothing with --evaluator, which pays by one score")


def _print(answer: _Answer) -> None:
    """Print both tables and what they say."""
    from poq_abm.analysis.contract import contract_sentence  # noqa: PLC0415
    from poq_abm.cli.printing import say  # noqa: PLC0415

    _, target, _, costs, table = answer
    unit = table.attrs["unit"]
    _print_pay(table, unit)
    _print_bins(answer)
    say(contract_sentence(table, target, unit))
    profit = table.iloc[0]["expected_pay"] - costs[answer.profile.models.index(target)]
    if profit < 0.0:
        say(f"That is {-profit:.4g} {unit} less than {target} costs: unless every answer is paid "
             "so much on top, a node would rather leave.")  # fmt: skip


def _print_pay(found: pd.DataFrame, unit: str) -> None:
    import pandas as pd  # noqa: PLC0415

    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    rows = []
    for row in found.to_dict("records"):
        none, ends = math.isnan(row["expected_pay"]), math.isnan(row["low"])
        rows.append(
            {
                "contract": row["contract"],
                "least": row["minimises"],
                "expected": "none" if none else _number(row["expected_pay"]),
                "largest": "-" if none else _number(row["largest_pay"]),
                "95% interval of the least": (
                    "-" if ends else f"[{_number(row['low'])}, {_number(row['high'])}]"
                ),
                "exists in": "-" if none else f"{row['exists_in']:.0%}",
            }
        )
    print_frame(pd.DataFrame(rows), f"Cheapest pay per answer, {unit}", keys=2)


def _print_bins(answer: _Answer) -> None:
    """Print what each bin is paid, and how often the target's answers fall into it."""
    import pandas as pd  # noqa: PLC0415

    from poq_abm.analysis.contract import bin_names  # noqa: PLC0415
    from poq_abm.cli.printing import print_frame  # noqa: PLC0415

    found, chances = answer.table, answer.binned.chances
    paid = found[(found["minimises"] == "pay") & found["pay_1"].notna()]
    place = answer.profile.models.index(answer.target)
    others = (chances.sum(axis=0) - chances[place]) / (len(chances) - 1)
    rows = [
        {
            "score": name,
            "target": f"{chances[place, number]:.1%}",
            "others": f"{others[number]:.1%}",
            **{
                str(kind): _number(pay)
                for kind, pay in zip(paid["contract"], paid[f"pay_{number + 1}"], strict=True)
            },
        }
        for number, name in enumerate(bin_names(answer.binned.edges))
    ]
    title = "Share of answers, and least expected pay, by bin of the score"
    print_frame(pd.DataFrame(rows), title)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _scenario(answer: _Answer, source: str, hardware: str | None, chosen: Mapping[str, Any]) -> str:
    """Return a scenario whose inference nodes are paid by the contract; nothing where none is."""
    profile, target, binned, _, found = answer
    row, evaluator = found.iloc[0], chosen["evaluator"]
    if math.isnan(row["expected_pay"]) or not binned.edges:
        return ""
    mechanism = {key: value for key, value in chosen.items() if key != "evaluator"}
    columns = [f"pay_{number}" for number in range(1, len(binned.edges) + 2)]
    pays = ", ".join(f"{float(row[name]):.6g}" for name in columns)
    scorers = [evaluator] if evaluator else profile.evaluators
    where = f", hardware: {hardware}" if hardware else ""
    lines = [
        f"# Which model earns most where {target} is to be the best to run?",
        "#",
        f"# Pay by score bin, cheapest on the records of profile {profile.name}: `poq contract`.",
        f"# Pay and cost are in {found.attrs['unit']}.",
        "",
        f"profile: {source}",
        "rounds: 5000",
        "replications: 20",
        "",
        "mechanism:",
        *(f"  {key}: {value}" for key, value in mechanism.items()),
        "  reward:",
        "    family: contract",
        f"    score_edges: [{', '.join(map(str, binned.edges))}]",
        f"    pays: [{pays}]",
        "",
        "population:",
        "  inference:",
        *(f"    - {{model: {model}{where}}}" for model in profile.models),
        "  evaluators:",
        *(f"    - {{model: {name}}}" for name in scorers),
    ]
    return "\n".join(lines) + "\n"


def _print_lines(scenario: str) -> None:
    """Print the section of a scenario that pays by the contract, where there is one."""
    if scenario:
        _, section, _ = re.split("(?=^mechanism:|^population:)", scenario, flags=re.MULTILINE)
        typer.echo(f"\n{section.rstrip()}")


def _write_new(path: Path, text: str) -> None:
    """Write a scenario, if there is one; never overwrite a file."""
    if not text:
        from poq_abm.cli.printing import say  # noqa: PLC0415

        say(f"No contract, no scenario: nothing is written to {path}.")
        return
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{path} exists; it is never overwritten") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _write_out(folder: Path, answer: _Answer) -> None:
    from poq_abm.analysis.contract import contract_plot  # noqa: PLC0415
    from poq_abm.analysis.figure_style import write as write_figure  # noqa: PLC0415
    from poq_abm.experiment.files import write_text  # noqa: PLC0415

    profile, target, binned, _, table = answer
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "contract.csv", table.to_csv(index=False))
    write_figure(contract_plot(table, profile, target, binned), folder / "contract")
