"""``poq new``: a commented scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poq_abm.errors import InputError

__all__ = ["new"]

STARTER = """\
# {name}: put the question this scenario answers here.
#
# Check it with `poq validate {file}`, play it with `poq run {file}`.
# Every key except `population` may be left out; `poq show {file}` prints what it stands for then.

name: {name}
profile: published          # what agents draw from: a profile that ships, or a folder
rounds: 5000                # rounds of one replication
replications: 20            # independent repetitions; intervals come from these
seed: 1                     # key of every random draw

tasks: {{qa: 0.5, summarization: 0.5}}   # share of the rounds; must sum to 1
schedule: uniform           # who answers: uniform, round_robin or weighted

mechanism:
  committee_size: 3         # K, evaluators per round, at most as many as there are
  aggregation: mean         # how scores become the consensus
  reference: inclusive      # what an evaluator is compared with: inclusive or leave_one_out
  alpha_inference: 1.0      # inference reward = alpha x quality - beta x cost
  beta_inference: 0.3
  alpha_evaluator: 1.0      # evaluator reward = alpha x closeness - beta x cost
  beta_evaluator: 0.3

population:
  inference:                # F nodes: an LLM each
    - {{model: llama_3_2_3b, count: 2, hardware: rtx_4090}}
    - {{model: phi3_mini_4k, count: 1, hardware: rtx_4090}}
  evaluators:               # M nodes: an evaluator model each
    - {{model: sts_stsb, count: 1, hardware: rtx_4090}}
    - {{model: ce_minilm, count: 1, hardware: rtx_4090}}
    - {{model: ce_deberta, count: 1, hardware: rtx_4090}}

# sweep:                    # one treatment per combination of values
#   mechanism.committee_size: [1, 2, 3]
"""

_LIMIT, _JOB = 12, (500, 200)  # of a price list: models, and tokens of a prompt and of an answer


def new(
    name: Annotated[str, typer.Argument(help="Name of the scenario.")],
    metagraph: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take stakes and ranks of a Bittensor subnet's snapshot."
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take models and prices of a router's price list (JSON or CSV)."
        ),
    ] = None,
    listed: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A model of the list; may be repeated. Default: --limit."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="Models of the list, at equal steps of price.")
    ] = _LIMIT,
    prompt_tokens: Annotated[
        int, typer.Option(min=0, max=10**9, help="Tokens of a job's prompt, assumed.")
    ] = _JOB[0],
    completion_tokens: Annotated[
        int, typer.Option(min=0, max=10**9, help="Tokens of an answer, assumed.")
    ] = _JOB[1],
) -> None:
    """Write NAME.yaml, a commented scenario to start from; never overwrite a file."""
    from poq_abm.scenario import parse  # noqa: PLC0415

    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    text = STARTER.format(name=path.stem, file=path)
    job = (prompt_tokens, completion_tokens)
    if prices is None and (listed or limit != _LIMIT or job != _JOB):
        raise InputError(
            "--listed, --limit and the tokens of a job are about a list: --prices FILE"
        )
    if metagraph is not None:
        if prices is not None:
            raise InputError("a population is of a snapshot or of a price list: leave one out")
        text = _of_metagraph(path.stem, metagraph)
    elif prices is not None:
        text = _of_prices(path.stem, prices, listed or [], limit, job)
    parse(text, origin=str(path))  # a name that no scenario may have ends here
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{path} exists already; nothing was written") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    typer.echo(f"Wrote {path}. Play it with: poq run {path}")


def _of_metagraph(name: str, file: Path) -> str:
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.scenario.metagraph import read_metagraph, scenario_text  # noqa: PLC0415

    return scenario_text(name, file.name, read_metagraph(file), load_profile("published"))


def _of_prices(
    name: str, file: Path, models: list[str], limit: int, tokens: tuple[int, int]
) -> str:
    from poq_abm.profile import load_profile  # noqa: PLC0415
    from poq_abm.scenario.price_list import (  # noqa: PLC0415
        JobTokens,
        market_text,
        read_price_list,
    )

    known, job = read_price_list(file), JobTokens(*tokens)
    chosen = known.chosen(models, limit, job)
    return market_text(name, file.name, known, chosen, job, load_profile("published"))
