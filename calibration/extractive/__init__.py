"""Classical systems that answer a question with a piece of its context, measured end to end.

They stand in for inference models where no language model is at hand: their answers are real, so
are the scores that evaluators give them and the milliseconds they take. The measured profile
``extractive_baselines`` is made of them.
"""

from calibration.extractive.systems import SYSTEMS, Question, answer

__all__ = ["SYSTEMS", "Question", "answer"]
