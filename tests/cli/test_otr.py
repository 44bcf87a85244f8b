"""``poq reproduce otr``."""

from __future__ import annotations

import pytest

from poq_abm.analysis.reproduce import otr


def test_reproduce_otr_counts_each_status_and_keeps_sources_apart(poq) -> None:
    done = poq("reproduce", "otr")
    assert done.code == 0
    assert "unexpected" not in done.out
    said = " ".join(done.out.split())
    assert "agree" not in said.split("Of arXiv")[0]
    counts = "13 reproduced, 8 input, 5 solved for, 6 contradicted, 3 not testable."
    assert f"35 figures: {counts}" in said
    assert "claim, 23: 2 reproduced, 8 input, 5 solved for, 5 contradicted, 3 not testable." in said
    assert "defaults" in said
    assert "the abstract is known to us" in said
    assert "inferred" in said
    assert "assumed" in said
    assert all(kind in done.out for kind in ("claim", "consequence"))


def test_an_altered_claim_misses(poq, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otr, "COST_USD", 0.09)
    done = poq("reproduce", "otr")
    assert done.code == 1
    assert "of them are not as documented" in done.out


def test_an_unknown_study_is_refused_with_the_nearest(poq) -> None:
    done = poq("reproduce", "otrr")
    assert done.code == 2
    assert "did you mean 'otr'?" in done.err
