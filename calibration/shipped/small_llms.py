"""The profile ``small_llms``: two small language models at three precisions, measured end to end.

``python -m calibration.shipped.small_llms QUESTIONS ABSTRACTS FOLDER`` repeats the whole study,
each stage in order, and goes on where an earlier run ended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from calibration.configuration import Calibration, load_configuration
from calibration.corpus.record_samples import build_corpus
from calibration.judge.judging import judge
from calibration.latency.machine import hardware_name
from calibration.latency.measurement import measure
from calibration.libraries import library
from calibration.models.generation import generate
from calibration.models.scoring import score
from calibration.profile.building import build
from calibration.shipped.small_llms_files import ABSTRACT_WORDS, prepare
from calibration.shipped.small_llms_rules import serve_rules
from calibration.workspace import write_whole
from poq_abm.errors import InputError

__all__ = ["NAME", "configuration", "main", "study"]

NAME = "small_llms"
CONTEXT = 1024  #: tokens that a served model holds, prompt and answer together
LONGEST_REPLY = 160  #: tokens after which a server ends a verdict
JUDGED = 15  #: outputs of each model and task that the judge grades, at most
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
STAGES: Mapping[str, Callable[[Calibration, Callable[[str], None]], Any]] = {
    "corpus": build_corpus,
    "generate": generate,
    "score": score,
    "judge": judge,
    "efficiency": measure,
    "build": build,
}
SERVED = ("smollm2_q4", "smollm2_q3", "gemma3_q4", "gemma3_q3")
PROMPTS = {
    "qa": "Answer the question from the context, in as few words as possible.\n\n{input}\nAnswer:",
    "summarization": "Summarise the abstract in one sentence.\n\nAbstract: {input}\n\n"
    "Summary: In short,",
}
#: What the provenance of the profile says beside what was measured.
CAVEATS = (
    f"Repeat it: python -m calibration.shipped.{NAME} QUESTIONS ABSTRACTS FOLDER. With the "
    "versions of the stamp every number but the latencies comes back.",
    "Models: SmolLM2-135M-Instruct (Apache-2.0), Gemma-3-270M (Gemma licence), "
    "all-MiniLM-L6-v2 (Apache-2.0), WordLlama (MIT). Corpora: XQuAD, English (CC BY-SA 4.0), "
    f"SciTLDR, test (Apache-2.0), abstracts cut to {ABSTRACT_WORDS} words. No text is in the "
    "profile.",
    "Systems called f32 are the 4-bit files dequantised to 32 bits, not the models as released. "
    "Systems called q3 are those files with feed-forward weights rounded to 8 levels.",
    "Prompts, stop string and rounding were chosen by eye, on outputs of records that are in the "
    "study.",
    "minilm_input reads 256 tokens, as its model does: longer contexts are cut before they are "
    "compared.",
    "The judge and smollm2_likelihood are SmolLM2-135M-Instruct, one of the models they grade.",
    "Latencies were timed with one thread while other work ran: read their ratios, and no "
    "difference below a factor of two.",
)


@contextmanager
def served(file: Path, *, plain: bool) -> Iterator[str]:
    """Serve a GGUF file by llama.cpp with one thread; yield its address.

    A model without a chat template is given the instruction as it is (``plain``).
    """
    llama = library("xllamacpp")
    asked = llama.CommonParams()
    asked.model.path, asked.n_ctx, asked.n_parallel, asked.warmup = str(file), CONTEXT, 1, False
    asked.n_predict = LONGEST_REPLY
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    if plain:
        asked.use_jinja, asked.chat_template = True, PLAIN
    server = llama.Server(asked)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server


def configuration(
    files: Mapping[str, Path], addresses: Mapping[str, str], records: int
) -> dict[str, Any]:
    """Return the configuration of the study: ``records`` questions and as many abstracts."""

    def loaded(name: str, prompt: str) -> dict[str, Any]:
        file = str(files[f"{name}_q4"])
        extra = {"dtype": "float32", "prompt": prompt, "batch_size": 8}
        return {"name": f"{name}_f32", "model": file, **extra}

    def asked(name: str) -> dict[str, Any]:
        address, machine = addresses[name], hardware_name("cpu")
        return {"name": name, "model": name, "base_url": address, "hardware": machine}

    return {
        "name": NAME,
        "out": ".",
        "caveats": list(CAVEATS),
        "corpus": [
            {"format": "table", "path": str(files["questions"]), "sample": records},
            {"format": "table", "path": str(files["abstracts"]), "sample": records},
        ],
        "models": [
            loaded("smollm2", "chat"),
            asked("smollm2_q4"),
            asked("smollm2_q3"),
            loaded("gemma3", "plain"),
            asked("gemma3_q4"),
            asked("gemma3_q3"),
            asked("lead_sentence"),
            asked("central_sentence"),
        ],
        "evaluators": _evaluators(files),
        "judge": {
            "model": "smollm2_q4",
            "base_url": addresses["smollm2_q4"],
            "api": "chat",
            "retries": 0,
            "per_group": min(JUDGED, max(1, records // 4)),
        },
        "prompts": PROMPTS,
        "truth": {"qa": "token_f1", "summarization": "rouge_l"},
        "generation": {"max_new_tokens": 40, "temperature": 0, "stop": ["\n"], "device": "cpu"},
        "scoring": {"device": "cpu"},
        "efficiency": {"prompts": 8, "warm_up": 1, "new_tokens": 40},
    }


def _evaluators(files: Mapping[str, Path]) -> list[dict[str, Any]]:
    return [
        {"name": "minilm_reference", "model": str(files["minilm"]), "kind": "bi_encoder"},
        {
            "name": "minilm_input",
            "model": str(files["minilm"]),
            "kind": "bi_encoder",
            "pairs": "input_output",
        },
        {"name": "wordllama", "model": str(files["wordllama"]), "kind": "bi_encoder"},
        {
            "name": "smollm2_likelihood",
            "model": str(files["smollm2_q4"]),
            "kind": "likelihood",
            "dtype": "float32",
        },
        {"name": "word_overlap", "model": str(files["word_counts"]), "kind": "bi_encoder"},
    ]


def study(
    questions: Path,
    abstracts: Path,
    out: Path,
    records: int,
    *,
    only: str | None = None,
    report: Callable[[str], None],
) -> None:
    """Run the stages of the study in the folder ``out``, or ``only`` one; what is there is kept."""
    library("torch").set_num_threads(1)
    files = prepare(out / "files", questions, abstracts)
    with ExitStack() as open_servers:
        addresses = {
            name: open_servers.enter_context(served(files[name], plain=name.startswith("gemma3")))
            for name in SERVED
        }
        rules = open_servers.enter_context(serve_rules())
        addresses |= dict.fromkeys(("lead_sentence", "central_sentence"), rules)
        file = out / f"{NAME}.yaml"
        write_whole(file, yaml.safe_dump(configuration(files, addresses, records), sort_keys=False))
        calibration = load_configuration(file)
        for name, stage in STAGES.items():
            if only in (None, name):
                stage(calibration, report)


def main(arguments: list[str] | None = None) -> int:
    """Run the study named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m calibration.shipped.{NAME}",
        description="Measure two small language models at three precisions and write the profile.",
    )
    parser.add_argument("questions", type=Path, help="questions in SQuAD's JSON format")
    parser.add_argument("abstracts", type=Path, help="abstracts and references as JSONL")
    parser.add_argument("folder", type=Path, help="folder of the study; a study in it goes on")
    parser.add_argument("--records", type=int, default=100, help="of each task (100)")
    parser.add_argument("--only", choices=tuple(STAGES), help="run this stage alone")
    given = parser.parse_args(arguments)
    try:
        study(
            given.questions,
            given.abstracts,
            given.folder,
            given.records,
            only=given.only,
            report=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
        )
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
