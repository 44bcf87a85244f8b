"""The study ``small_llms``: weights rounded to 3 bits, classical systems behind the protocol."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import numpy.typing as npt

from calibration.shipped import small_llms_findings as findings
from calibration.shipped.small_llms import CAVEATS, PROMPTS, configuration
from calibration.shipped.small_llms_files import HIGHEST, round_blocks
from calibration.shipped.small_llms_rules import SYSTEMS, parts, serve_rules
from poq_abm.analysis.evaluator_correlation import correlation_table
from poq_abm.profile import load_profile
from poq_abm.profile.profile import folder_of

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "small_llms.md"


def unpacked(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.float64]:
    blocks = packed.reshape(-1, 20)
    step, low = (blocks[:, i : i + 2].copy().view(np.float16).astype(float) for i in (0, 2))
    level = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    assert level.max() <= HIGHEST
    return (step * level + low).reshape(-1, width)


def test_weights_are_rounded_to_eight_levels_with_a_small_error() -> None:
    weights = np.random.default_rng(1).normal(size=(6, 64)).astype(np.float32)
    back = unpacked(round_blocks(weights), 64)
    assert np.mean((back - weights) ** 2) < 0.025
    assert all(len(np.unique(block)) <= 8 for block in back.reshape(-1, 32))


def test_what_eight_levels_can_say_comes_back() -> None:
    weights = np.tile(np.arange(8, dtype=np.float32), (2, 4)) * 0.25 - 1.0
    assert np.allclose(unpacked(round_blocks(weights), 32), weights, atol=1e-3)
    assert np.allclose(unpacked(round_blocks(np.full((1, 32), 0.5, np.float32)), 32), 0.5)


def test_prompts_of_the_study_are_taken_apart() -> None:
    asked = PROMPTS["qa"].replace("{input}", "Context: It rained.\n\nQuestion: Did it?")
    assert parts(asked) == ("Did it?", "It rained.")
    assert parts(PROMPTS["summarization"].replace("{input}", "We prove it.")) == (
        "",
        "We prove it.",
    )


def test_classical_systems_answer_by_the_protocol() -> None:
    asked = PROMPTS["qa"].replace("{input}", "Context: It rained. Ann won.\n\nQuestion: Who won?")
    with serve_rules() as address:
        said = {}
        for name in SYSTEMS:
            body = {"model": name, "messages": [{"role": "user", "content": asked}]}
            sent = Request(f"{address}/chat/completions", json.dumps(body).encode())
            with urlopen(sent) as reply:
                first = reply.read().decode().split("\n\n")[0].removeprefix("data: ")
            said[name] = json.loads(first)["choices"][0]["delta"]["content"]
    assert said == {"lead_sentence": "It rained.", "central_sentence": "Ann won."}


def test_three_precisions_of_each_model() -> None:
    files: defaultdict[str, Path] = defaultdict(lambda: Path("file"))
    asked = configuration(files, defaultdict[str, str](str), 100)
    names = [model["name"] for model in asked["models"]]
    assert names[:3] == ["smollm2_f32", "smollm2_q4", "smollm2_q3"]
    assert asked["generation"]["temperature"] == 0  # precision alone tells the three apart


def test_the_page_says_what_the_findings_compute() -> None:
    page, profile = PAGE.read_text(encoding="utf-8"), load_profile("small_llms")
    for table in (findings.systems, findings.downgrades, findings.agreement_pay, findings.claims):
        assert findings.markdown(table(profile)) in page
    evaluators = findings.evaluators(profile)
    assert findings.markdown(evaluators) in page
    shown = correlation_table(profile, resamples=20, seed=1)
    average = shown[(shown["task"] == "average") & (shown["against"] == "truth")]
    assert np.allclose(average["correlation"], evaluators["value"])  # one definition


def test_what_ships_says_its_machine_and_what_it_leans_on() -> None:
    profile = load_profile("small_llms")
    assert set(profile.costs["hardware"]) == {"amd_epyc_2_cores"}
    assert tuple(profile.provenance["caveats"]) == CAVEATS
    (machine,) = json.loads((folder_of("small_llms") / "profile.json").read_text())["hardware"]
    assert machine["stamp"]["cpu"]["usable_cores"] == 2
