"""Devices, their memory, and batches that shrink when it runs out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from calibration.libraries import library
from poq_abm.errors import InputError

__all__ = ["Batches", "chosen_device", "chunks", "is_out_of_memory", "kind_of_device", "release"]

T = TypeVar("T")
R = TypeVar("R")
_PHRASES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device, or the machine, has no memory left.

    CUDA raises ``torch.OutOfMemoryError``, a ``RuntimeError``; other devices and the allocator of
    the processor raise a plain ``RuntimeError`` with one of a few phrases.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    True
    >>> is_out_of_memory(ValueError("out of memory"))
    False
    """
    text = str(error).lower()
    is_short = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_short or (isinstance(error, RuntimeError) and any(p in text for p in _PHRASES))


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Return the items in their order, ``size`` at a time.

    >>> list(chunks("abcde", 2))
    ['ab', 'cd', 'e']
    """
    return (items[start : start + size] for start in range(0, len(items), size))


class Batches:
    """A batch size that is halved whenever a batch does not fit, and stays so.

    ``free`` gives memory back before the next attempt. Raises
    :class:`~poq_abm.errors.InputError`, naming ``what``, when a single item does not fit.

    >>> def work(items):
    ...     if len(items) > 2:
    ...         raise RuntimeError("out of memory")
    ...     return [10 * item for item in items]
    >>> batches = Batches(4, "model 'm'", print)
    >>> list(batches.run([1, 2, 3], work))
    model 'm': out of memory with a batch of 3; going on with 1
    [([1], [10]), ([2], [20]), ([3], [30])]
    >>> batches.size
    1
    """

    def __init__(
        self,
        size: int,
        what: str,
        report: Callable[[str], None],
        free: Callable[[], None] = lambda: None,
    ) -> None:
        self.size = size
        self._what = what
        self._report = report
        self._free = free

    def run(
        self, items: Sequence[T], work: Callable[[Sequence[T]], R]
    ) -> Iterator[tuple[Sequence[T], R]]:
        """Yield each batch of ``items`` with what ``work`` returns for it, in order."""
        while items:
            part = items[: self.size]
            try:
                done = work(part)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(len(part), error)
            else:
                yield part, done
                items = items[len(part) :]
                continue
            self._free()  # only here has the error, with all its frames, been let go

    def _shrink(self, tried: int, error: BaseException) -> None:
        if tried == 1:
            raise InputError(
                f"{self._what}: out of memory with a batch of one; "
                "choose a smaller dtype, another device or a shorter text"
            ) from error
        self.size = tried // 2
        self._report(
            f"{self._what}: out of memory with a batch of {tried}; going on with {self.size}"
        )


def chosen_device(setting: str) -> str:
    """Return the device a setting means: ``auto`` is CUDA where there is one, else the processor.

    Raises :class:`~poq_abm.errors.InputError` when the device cannot be used here.
    """
    torch = library("torch")
    if setting == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=setting)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {setting!r} cannot be used on this machine: {reason}") from error
    return setting


def kind_of_device(device: str) -> str:
    """Return a device without its number.

    >>> kind_of_device("cuda:1")
    'cuda'
    """
    return device.partition(":")[0]


def release(device: str) -> None:
    """Give back what no model in use occupies."""
    gc.collect()
    if kind_of_device(device) == "cuda":
        library("torch").cuda.empty_cache()
