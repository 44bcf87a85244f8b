"""A plan on its way to worker processes: packed once, unpacked once by each of them."""

from __future__ import annotations

import functools
import hashlib
import sys
from dataclasses import dataclass
from typing import Any

import cloudpickle

from poq_abm.experiment.plan import Plan
from poq_abm.rules.adaptation.registry import own_adaptations, register_adaptation
from poq_abm.rules.behaviour.resolving import own_behaviours, register

__all__ = ["Parcel"]


@dataclass(frozen=True)
class Parcel:
    """A plan together with the users' own behaviours and rules it may name."""

    digest: str
    content: bytes

    @classmethod
    def of(cls, plan: Plan) -> Parcel:
        """Pack a plan."""
        own = (own_behaviours(), own_adaptations())
        # Workers elsewhere lack the user's module: its code travels along.
        modules = {sys.modules[kind.__module__] for kinds in own for kind in kinds}
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
        """Return the plan, its behaviours and rules of adaptation registered."""
        return _open(self)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Parcel) and self.digest == other.digest


@functools.lru_cache(maxsize=2)
def _open(parcel: Parcel) -> Plan:
    own, plan = cloudpickle.loads(parcel.content)
    behaviours, adaptations = own
    for kind in behaviours:
        register(kind)
    for kind in adaptations:
        register_adaptation(kind)
    if not isinstance(plan, Plan):
        raise TypeError("a parcel holds a plan")
    return plan
