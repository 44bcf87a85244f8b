"""What a payment rule is, for each of the two roles."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from poq_abm.rules.committee import open_committee
from poq_abm.rules.kernels import KernelRule
from poq_abm.rules.payment.formulas import SCORE_SCALE
from poq_abm.rules.rule import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

__all__ = [
    "EVALUATOR_PAYMENT",
    "INFERENCE_PAYMENT",
    "Counted",
    "EvaluatorPayment",
    "InferencePayment",
    "Merits",
    "earned_before_cost",
]

_PACKAGE = "poq_abm.rules.payment"

INFERENCE_PAYMENT: Kind[InferencePayment] = Kind(
    name="reward family",
    key="mechanism.reward.family",
    package=_PACKAGE,
    arguments=("consensus", "cost", "alpha", "beta"),
    field="inference_payment",
)
EVALUATOR_PAYMENT: Kind[EvaluatorPayment] = Kind(
    name="evaluator payment",
    key="mechanism.evaluator_reward",
    package=_PACKAGE,
    arguments=("committee", "seat", "cost", "alpha", "beta"),
    field="evaluator_payment",
)


class Counted(IntEnum):
    """What is counted of the rounds of a batch, for a rule that pays when the batch has ended."""

    NOTHING = 0  #: every round is paid by itself
    PAIRS = 1  #: how often two members' reports of one answer lie in which bins
    PEERS = 2  #: moments of a member's reports and the mean of the other members'
    TRUTH = 3  #: moments of a member's reports and the truth, on planted records


class Merits(NamedTuple):
    """What the jobs of a batch are worth, before the charge for cost."""

    merit: Array  #: (nodes of the role,) as a share of alpha
    thin: int  #: comparisons that rest on too few records, and count as the neutral pay


class InferencePayment(KernelRule):
    """Base class of the rules that pay an inference node for an answer, in points.

    A kernel takes the consensus in [0, 10], the cost C that is charged, in [0, 1] unless it was
    realised, and the coefficients alpha and beta, then the rule's parameters. More cost is paid no
    more.
    """

    kind = INFERENCE_PAYMENT

    #: whether all that a reward is short of alpha Q is the charge for cost; else that is beta C
    charges_shortfall: ClassVar[bool] = False
    #: whether a round only charges, and :meth:`merits` says what its batch pays
    by_batch: ClassVar[bool] = False
    #: whether more quality is never paid less
    rises_with_quality: ClassVar[bool] = True

    @classmethod
    def merits(cls, answers: Array, values: Mapping[str, float]) -> Merits:
        """Return what every node's jobs of a batch are worth, where they are paid :attr:`by_batch`.

        ``answers`` has the shape (records, F, 2): how many answers of a node a record had, and the
        sum of their consensus; ``values`` are those of the parameters.
        """
        raise NotImplementedError

    @classmethod
    def trial(cls) -> tuple[Any, ...]:
        """Return a good answer at half the highest cost."""
        return 6.0, 0.5, 1.0, 0.3

    @classmethod
    def telling_scores(cls, parameters: Array) -> Sequence[float]:  # noqa: ARG003
        """Return consensus scores among which are one that is paid least and one paid most.

        ``parameters`` are the values as the engines have them.
        """
        return 0.0, SCORE_SCALE


class EvaluatorPayment(KernelRule):
    """Base class of the rules that pay an evaluator for a score, in points.

    A kernel takes the :class:`~poq_abm.rules.committee.Committee`, whose members' closeness to what
    they are compared with (``mechanism.reference``) stands in ``nearness``, the evaluator's seat,
    its cost C in [0, 1] and the coefficients alpha and beta, then the rule's parameters.
    """

    kind = EVALUATOR_PAYMENT

    #: whether what is paid, before the charge for cost, is alpha times closeness
    pays_closeness: ClassVar[bool] = False
    #: what is counted of a batch of rounds; of all rules but those of ``batch_payment``, nothing
    counted: ClassVar[Counted] = Counted.NOTHING

    @classmethod
    def trial(cls) -> tuple[Any, ...]:
        """Return the first of three members."""
        committee = open_committee([2.0, 4.0, 9.0])
        committee.nearness[:] = [0.7, 0.9, 0.6]
        return committee, 0, 0.5, 1.0, 0.3


def earned_before_cost(
    points: Array,
    jobs: Array,
    merit: Array,
    cost: Array,
    coefficients: tuple[float, float],
    *,
    for_merit: bool,
) -> Array:
    """Return what of their points nodes earned before they were charged for cost.

    With J jobs at a mean merit of m (quality of inference nodes, closeness of evaluators), alpha J
    m points where that is what a rule pays for (:attr:`InferencePayment.charges_shortfall`,
    :attr:`EvaluatorPayment.pays_closeness`): all that the points are short of it was charged. Where
    it is not, beta J C was charged, with C the mean cost, and the rest earned. Without a job there
    may be no mean, and nothing was earned.

    >>> import numpy as np
    >>> quality = {"points": np.array([0.75]), "jobs": np.array([2.0]), "merit": np.array([0.5])}
    >>> [float(earned_before_cost(**quality, cost=np.array([0.25]), coefficients=(1.0, 0.25),
    ...                           for_merit=so)[0]) for so in (True, False)]
    [1.0, 0.875]
    """
    import numpy as np  # noqa: PLC0415  (what a scenario declares is read without arrays)

    alpha, beta = coefficients
    if for_merit:
        return np.asarray(alpha * jobs * np.where(np.isnan(merit), 0.0, merit))
    return np.asarray(points + beta * np.where(jobs > 0.0, jobs * cost, 0.0))
