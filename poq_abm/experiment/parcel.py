"""A plan on its way to worker processes: packed once, unpacked once by each of them."""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass
from typing import Any

import cloudpickle

from poq_abm.experiment.plan import Plan
from poq_abm.rules.registry import own_rules, register

__all__ = ["Parcel"]


@dataclass(frozen=True)
class Parcel:
    """A plan together with the users' own rules it may name."""

    digest: str
    content: bytes

    @classmethod
    def of(cls, plan: Plan) -> Parcel:
        """Pack a plan."""
        own = own_rules()
        # Workers elsewhere lack the user's module: its code travels along.
        modules = {sys.modules[rule.__module__] for rule in own}
        modules.discard(sys.modules["__main__"])
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            content = cloudpickle.dumps((own, plan))
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)
        return cls(hashlib.sha256(content).hexdigest(), content)

    def open(self) -> Plan:
        """Return the plan, its rules registered."""
        return _open(self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Parcel) and self.digest == other.digest


@functools.lru_cache(maxsize=2)
def _open(parcel: Parcel) -> Plan:
    own, plan = cloudpickle.loads(parcel.content)
    for rule in own:
        register(rule)
    if not isinstance(plan, Plan):
        raise TypeError("a parcel holds a plan")
    return plan
