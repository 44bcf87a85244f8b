"""What is wrong with a scenario, and where: places, problems, and the error that carries them."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from poq_abm.errors import InputError

__all__ = [
    "MAX_PROBLEMS",
    "Finding",
    "KeyPath",
    "Origins",
    "Place",
    "Problem",
    "ScenarioError",
    "dotted",
    "shown",
]

KeyPath = tuple[str | int, ...]
Finding = tuple[KeyPath, str]  # where in the data, and what is wrong there

MAX_PROBLEMS = 200  # a file with more is not a scenario with mistakes but another kind of file
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def dotted(path: KeyPath) -> str:
    """Return a path as users write it.

    >>> dotted(("population", "inference", 0, "count"))
    'population.inference.0.count'
    """
    return ".".join(map(str, path))


def shown(value: object) -> str:
    """Return a value as an error message shows it: short, on one line, in YAML's words.

    >>> shown(None), shown(True), shown("qa"), shown([1, 2])
    ('null', 'true', "'qa'", '[1, 2]')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return _SHORT.repr(value)


class Place(NamedTuple):
    """Where a value was written: a file (or an override, verbatim) and a line, if it has lines."""

    file: str
    line: int | None = None
    inherited: bool = False  #: whether a file says it that the scenario extends

    def __str__(self) -> str:
        file = self.file if len(self.file) <= 300 else f"...{self.file[-297:]}"
        return file if self.line is None else f"{file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake: its place, the dotted path of the value ("" for the whole file), and a message.

    >>> str(Problem(Place("a.yaml", 3), "rounds", "must be at least 1, got 0"))
    'a.yaml:3: rounds: must be at least 1, got 0'
    """

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.message) if part)


class ScenarioError(InputError):
    """A scenario that cannot be played; the text lists every problem, one per line.

    >>> print(ScenarioError([Problem(Place("a.yaml", 1), "", "the file is empty")]))
    a.yaml:1: the file is empty
    """

    def __init__(self, problems: Iterable[Problem], salvaged: Any = None) -> None:
        self.problems: list[Problem] = list(problems)
        #: the ``Scenario`` without what is wrong, where enough is left to be checked further
        self.salvaged = salvaged
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MAX_PROBLEMS]]
        if len(self.problems) > MAX_PROBLEMS:
            lines.append(f"... and {len(self.problems) - MAX_PROBLEMS} more")
        return "\n".join(lines)


class Origins:
    """Where every value of a scenario was written.

    ``places`` holds what files say, ``over`` what was laid over them afterwards (overrides, axes of
    a sweep). A path that nobody wrote, such as a default, has the place of its closest parent.

    >>> origins = Origins({(): Place("a.yaml", 1), ("seed",): Place("a.yaml", 2)})
    >>> str(origins.at(("seed",))), str(origins.at(("mechanism", "alpha_inference")))
    ('a.yaml:2', 'a.yaml:1')
    """

    __slots__ = ("_over", "_places", "_swept_anew")

    def __init__(
        self,
        places: Mapping[KeyPath, Place],
        over: Mapping[KeyPath, Place] | None = None,
        *,
        swept_anew: bool = False,
    ) -> None:
        self._places = places
        self._over = over or {}
        self._swept_anew = swept_anew

    @property
    def swept_anew(self) -> bool:
        """Whether an override, or a replacement before, changed what is swept."""
        return self._swept_anew or any(path[:1] == ("sweep",) for path in self._over)

    def at(self, path: KeyPath) -> Place:
        """Return the place of the value at ``path``, or of the closest parent that was written.

        A mapping into which something was laid (one task's share, say) has the place of that.
        """
        return (
            self._closest(self._over, path)
            or next(
                (p for inner, p in self._over.items() if path and inner[: len(path)] == path), None
            )
            or self._closest(self._places, path)
            or Place("<scenario>")
        )

    @staticmethod
    def _closest(layer: Mapping[KeyPath, Place], path: KeyPath) -> Place | None:
        above = (layer.get(path[:length]) for length in range(len(path), -1, -1))
        return next((place for place in above if place is not None), None)

    def laid_over(self, places: Mapping[KeyPath, Place]) -> Origins:
        """Return origins in which ``places`` hide what was said there and below."""
        kept = {
            path: place
            for path, place in self._over.items()
            if not any(path[:length] in places for length in range(len(path) + 1))
        }
        return Origins(self._places, {**kept, **places}, swept_anew=self._swept_anew)

    def settled(self) -> Origins:
        """Return origins in which what was laid over counts as said below what is to come."""
        kept = {
            path: place
            for path, place in self._places.items()
            if not any(path[:length] in self._over for length in range(1, len(path) + 1))
        }
        earlier = {path: place._replace(inherited=True) for path, place in self._over.items()}
        return Origins({**kept, **earlier}, swept_anew=self.swept_anew)

    def is_override(self, path: KeyPath) -> bool:
        """Return whether an override said what stands at ``path``, or a part of it."""
        return any(
            laid[: len(path)] == path or path[: len(laid)] == laid for laid in self._over if laid
        )

    def is_written(self, path: KeyPath) -> bool:
        """Return whether it is known who wrote what stands at ``path``."""
        return bool(self._places) or self.is_override(path)

    def problem(self, finding: Finding) -> Problem:
        """Return the finding with its place.

        >>> str(Origins({(): Place("a.yaml", 1)}).problem((("seed",), "must be at least 0")))
        'a.yaml:1: seed: must be at least 0'
        """
        path, message = finding
        return Problem(self.at(path), dotted(path), message)

    def __getstate__(self) -> tuple[dict[KeyPath, Place], dict[KeyPath, Place], bool]:
        return dict(self._places), dict(self._over), self._swept_anew

    def __setstate__(self, state: tuple[dict[KeyPath, Place], dict[KeyPath, Place], bool]) -> None:
        self._places, self._over, self._swept_anew = state
