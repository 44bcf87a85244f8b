"""The command line: ``poq VERB ...``, one file per verb.

Exit codes: 0 done, 1 something that was checked failed, 2 usage or invalid input. A user's mistake
is a message, never a traceback.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys
from typing import TextIO

import typer

from poq_abm.errors import InputError

__all__ = ["app", "main"]

#: what Python does by itself with a character that cannot be written: it raises
_UNABLE = ("strict", "surrogateescape")
#: new ones, before garbage is looked for: at Python's 700, looking again and again through what the
#: libraries make when they are imported, and keep, takes a tenth of a short verb
_OBJECTS_BETWEEN_LOOKS = 50_000

app = typer.Typer(
    name="poq",
    help="A laboratory for the economics of decentralised LLM inference.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"poq_abm {version('poq-abm')}")
        raise typer.Exit


@app.callback()
def _options(
    _: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Keep the options that stand before the verb."""


def _register() -> None:
    from poq_abm.cli.analyse import analyse
    from poq_abm.cli.attack import attack
    from poq_abm.cli.audit import audit
    from poq_abm.cli.calibrate import calibrate
    from poq_abm.cli.compare import compare
    from poq_abm.cli.contract import contract
    from poq_abm.cli.converge import converge
    from poq_abm.cli.design import design
    from poq_abm.cli.equilibrium import equilibrium
    from poq_abm.cli.explore import explore
    from poq_abm.cli.export import export
    from poq_abm.cli.folders import status, verify
    from poq_abm.cli.new import new
    from poq_abm.cli.plan import plan
    from poq_abm.cli.plot import plot
    from poq_abm.cli.profile import profile
    from poq_abm.cli.report import report
    from poq_abm.cli.reproduce import reproduce
    from poq_abm.cli.rules import adaptations, behaviours, protocols, rules
    from poq_abm.cli.run import run
    from poq_abm.cli.scenarios import scenarios
    from poq_abm.cli.sensitivity import sensitivity
    from poq_abm.cli.show import show
    from poq_abm.cli.validate import validate
    from poq_abm.cli.warm import warm

    experiments = (plan, run, status, verify, compare, warm)
    files = (scenarios, show, validate, new)
    reference = (rules, behaviours, adaptations, protocols, reproduce)
    questions = (analyse, audit, attack, equilibrium, design, contract, sensitivity, converge)
    analysis = (*questions, plot, report, export, explore)
    for group in (calibrate, profile):
        app.add_typer(group)
    for verb in (*experiments, *analysis, *files, *reference):
        app.command()(verb)


_register()


def _show_what_it_can(stream: TextIO) -> None:
    """Let a stream write a question mark for a character that its encoding does not have.

    Names are anybody's, and a terminal may know few characters; a run that is over must not end in
    a traceback for one of them. Whoever asked for another treatment of errors gets that.
    """
    wanting = stream.errors == "strict" or not str(stream.encoding).lower().startswith("utf")
    if isinstance(stream, io.TextIOWrapper) and wanting and stream.errors in _UNABLE:
        stream.reconfigure(errors="replace")


def main() -> None:
    """Run the command line; turn every user's mistake into a message and exit code 2."""
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    atexit.register(gc.freeze)  # Python would look through everything again on its way out
    for stream in (sys.stdout, sys.stderr):
        _show_what_it_can(stream)
    try:
        app()
    except InputError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
