"""Does honesty pay? Every declared deviation against a fixed background, by matched pairs.

``deviations`` lists who could do what instead, ``variants`` plays it under common random numbers,
``compute_cost`` is what running a model takes, ``gains`` says what it was worth, ``break_even``
where that changes sign, ``attacks`` what coalitions achieve, ``best_response`` looks in the
``families`` of behaviours for what nobody listed, ``learning`` goes on from there as everybody does
it, ``identities`` is what coming as several gains,
``empirical_game`` hands the whole to game solvers, and ``auditing`` puts it together.
"""
