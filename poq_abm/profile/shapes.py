"""The shapes of models: what decides how many bytes a token moves and how much arithmetic it takes.

Taken from the public configurations of the checkpoints (published). Two bytes per
parameter are bfloat16, in which the published study ran its inference models; four are float32,
which is assumed of its evaluators.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelShape", "model_shapes"]

_TABLE = Path(__file__).parent / "data" / "model_shapes.csv"


@dataclass(frozen=True)
class ModelShape:
    """The dimensions of one model that bytes and arithmetic depend on.

    >>> shape = model_shapes()["llama_3_2_3b"]
    >>> round(shape.weight_bytes / 1e9, 2), shape.cache_bytes_per_token
    (6.43, 114688)
    """

    key: str
    kind: str  #: ``decoder``, which writes token by token, or ``encoder``, which reads once
    parameters: int
    layers: int
    hidden: int  #: width of a layer
    kv_heads: int  #: heads whose keys and values are kept
    head_dim: int
    bytes_per_parameter: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return self.parameters * self.bytes_per_parameter

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token leaves behind; an encoder keeps none."""
        if self.kind == "encoder":
            return 0
        return 2 * self.layers * self.kv_heads * self.head_dim * self.bytes_per_parameter

    def operations(self, context: float) -> float:
        """Return the arithmetic of one token that attends to ``context`` others.

        ``2 parameters + 4 layers hidden context``: a multiplication and an addition for each
        weight, and twice the same for each pair of tokens in attention.

        >>> ModelShape("tiny", "decoder", 1000, 2, 8, 1, 8, 2).operations(10)
        2640.0
        """
        return 2.0 * self.parameters + 4.0 * self.layers * self.hidden * context


@cache
def model_shapes() -> Mapping[str, ModelShape]:
    """Return every known shape by the key of its model.

    >>> "phi3_mini_4k" in model_shapes()
    True
    """
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = [
            ModelShape(row["key"], row["kind"], *(int(row[name]) for name in _NUMBERS))
            for row in csv.DictReader(file)
        ]
    return MappingProxyType({row.key: row for row in rows})


_NUMBERS = ("parameters", "layers", "hidden", "kv_heads", "head_dim", "bytes_per_parameter")
