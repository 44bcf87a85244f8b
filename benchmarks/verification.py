"""What verification costs the laboratory: ten protocols, and real attestations, per second.

``python -m benchmarks.verification`` plays every protocol on 200 nodes, 1,000,000 queries each, on
two threads (the loop lets go of the interpreter's lock), after one short play that compiles. Each
protocol's rate is also shown as a share of the centralised one's, and attestations are verified on
one core: signature, model, nonce, firmware, revocation and trace, a different one each time.
``--quick`` plays a hundredth.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import poq_abm
from benchmarks.machine import describe, on_one_core
from benchmarks.measuring import spread
from benchmarks.reporting import command_line, measurement, show
from poq_abm.profile import load_profile
from poq_abm.rules.protocol.protocol import PROTOCOLS
from poq_abm.rules.registry import shipped
from poq_abm.scenario.schema.verification import Verification
from poq_abm.simulation.queries.attestation import (
    Delivery,
    Enclave,
    Request,
    Vendor,
    Verifier,
    deliver,
    keyed_bytes,
)
from poq_abm.simulation.queries.execution import execute, measure
from poq_abm.simulation.queries.market import Market, open_market
from poq_abm.simulation.queries.query_replication import play_queries

__all__ = ["NODES", "QUERIES", "markets", "measure_all"]

NODES, QUERIES, WORKERS = 200, 1_000_000, 2
GOAL_S = 20.0
ATTESTATIONS, ATTESTATIONS_GOAL = 5_000, 5_000.0
STEPS = 64  # of a trace, so that an opening has seven siblings


def markets(queries: int) -> dict[str, Market]:
    """Return every protocol on the same population, ready to play."""
    scenario = poq_abm.load("cost_aware_poq").replace(
        {
            "rounds": queries,
            "population.inference": [{"model": "llama_3_2_3b", "count": NODES}],
            "population.evaluators": [{"model": "sts_stsb", "count": 30}],
        }
    )
    profile = load_profile(scenario.profile)
    return {
        name: open_market(scenario, profile, Verification(protocol=name))
        for name in shipped(PROTOCOLS)
    }


def measure_all(repeats: int, *, quick: bool = False) -> dict[str, Any]:
    """Return the time of all protocols, their rates and that of attestations, ready for JSON."""
    played = markets(QUERIES // 100 if quick else QUERIES)
    for market in markets(1000).values():
        play_queries(market, 0)
    walls = [_time_all(list(played.values())) for _ in range(repeats)]
    with on_one_core() as core:
        rates = {name: [_rate(market) for _ in range(repeats)] for name, market in played.items()}
        attested = [_attestations(ATTESTATIONS // 10 if quick else ATTESTATIONS, n)
                    for n in range(repeats)]  # fmt: skip
    queries = next(iter(played.values())).queries
    title = f"{len(played)} protocols x {queries:,} queries x {NODES} nodes, {WORKERS} threads"
    goal = None if quick else GOAL_S
    rows = [measurement(title, walls, "s", at_most=goal)]
    for name, own in rates.items():
        shares = [rate / base for rate, base in zip(own, rates["centralised"], strict=True)]
        rows.append(measurement(f"rate of {name}", shares, "of centralised"))
    rows.append(
        measurement("attestations, one core", attested, "per s", at_least=ATTESTATIONS_GOAL)
    )
    return {
        "benchmark": "verification",
        "machine": {**describe(), "core": core},
        "repeats": repeats,
        "quick": quick,
        "queries_per_second": {name: spread(own) for name, own in rates.items()},
        "measurements": rows,
    }


def _time_all(played: list[Market]) -> float:
    begun = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda market: play_queries(market, 0), played))
    return time.perf_counter() - begun


def _rate(market: Market) -> float:
    begun = time.perf_counter()
    play_queries(market, 0)
    return market.queries / (time.perf_counter() - begun)


def _attestations(count: int, turn: int) -> float:
    """Return how many different deliveries per second are verified and accepted."""
    vendor = Vendor("vendor", keyed_bytes(1, turn, 0, 0))
    enclave = Enclave(vendor, keyed_bytes(1, turn, 0, 1), 1)
    verifier = Verifier({"model": measure("model")}, {"vendor": vendor.public})
    made: list[tuple[Request, Delivery]] = []
    for number in range(count):
        prompt = number.to_bytes(8, "big")
        request = Request("model", prompt, keyed_bytes(1, turn, number, 2, 16))
        run = execute("model", prompt, STEPS)
        made.append((request, deliver(enclave, request, run, "model")))
    begun = time.perf_counter()
    accepted = sum(verifier.verify(request, delivery) is None for request, delivery in made)
    taken = time.perf_counter() - begun
    if accepted != count:
        raise RuntimeError(f"{count - accepted} honest attestations were refused")
    return count / taken


def main(arguments: list[str] | None = None) -> int:
    """Measure and print, as a table or as JSON."""
    parser = command_line(
        "verification", __doc__, counted="turns of each measurement", quick="a hundredth of it"
    )
    chosen = parser.parse_args(arguments)
    document = measure_all(chosen.repeats, quick=chosen.quick)
    show(document, as_json=chosen.json)
    if not chosen.json:
        rate = document["queries_per_second"]["centralised"]["median"]
        print(f"centralised: {rate / 1e6:.2f} million queries per second on one core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
