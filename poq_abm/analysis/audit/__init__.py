"""Does honesty pay? Every declared deviation against a fixed background, by matched pairs.

``deviations`` lists who could do what instead, ``bench`` plays it under common random numbers,
``gains`` says what it was worth, ``breaking_even`` where that changes sign, ``breakdown`` and
``frontier`` what an attack takes and achieves, ``game`` hands the whole to game solvers, and
``auditing`` puts it together.
"""
