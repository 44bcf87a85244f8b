"""Batches that shrink: order kept, nothing lost, one item at the least."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.models.devices import Batches, is_out_of_memory
from poq_abm.errors import InputError


class Memory:
    """Work that fails above a number of items, and counts what it was asked for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.freed = 0
        self.lines: list[str] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        if len(items) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [item + 1 for item in items]

    def free(self) -> None:
        self.freed += 1


@given(st.integers(0, 40), st.integers(1, 16), st.integers(1, 16))
def test_every_item_is_done_once_and_in_order(count: int, size: int, room: int) -> None:
    memory = Memory(room)
    batches = Batches(size, "model 'm'", memory.lines.append, memory.free)
    done = list(batches.run(range(count), memory))
    assert [item for part, _ in done for item in part] == list(range(count))
    assert [item for _, part in done for item in part] == list(range(1, count + 1))
    assert all(len(part) <= min(size, room) for part, _ in done)
    assert memory.freed == len(memory.lines)


def test_a_smaller_batch_stays_and_is_reported() -> None:
    memory = Memory(2)
    batches = Batches(8, "model 'm'", memory.lines.append)
    assert [len(part) for part, _ in batches.run(range(8), memory)] == [2, 2, 2, 2]
    assert [len(part) for part, _ in batches.run(range(3), memory)] == [2, 1]
    assert memory.lines == [
        "model 'm': out of memory with a batch of 8; going on with 4",
        "model 'm': out of memory with a batch of 4; going on with 2",
    ]


def test_one_item_that_does_not_fit_is_an_input_error() -> None:
    with pytest.raises(InputError, match="model 'm': out of memory with a batch of one"):
        list(Batches(2, "model 'm'", lambda _: None).run([1, 2], Memory(0)))


def test_other_errors_pass() -> None:
    def work(items: Sequence[int]) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(Batches(2, "model 'm'", lambda _: None).run([1, 2], work))


def test_the_error_of_torch_is_known() -> None:
    torch = pytest.importorskip("torch")
    assert is_out_of_memory(torch.OutOfMemoryError("allocation failed"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
