"""Rerankers behind a server as evaluators: how relevant one text is to another, in their number.

llama.cpp, vLLM, Jina and Cohere take ``{"model", "query", "documents"}`` at ``/rerank`` and answer
``{"results": [{"index", "relevance_score"}], "usage": {"total_tokens"}}``; some call the list
``data`` or the number ``score``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from calibration.judge.client import JudgeClient, Reply
from calibration.judge.verdicts import Question, UnusableError
from calibration.models.endpoints import UnknownRouteError, listed, tokens_used

__all__ = ["RerankClient", "RerankQuestion", "make_rerank_question"]

ROUTE = "rerank"
_LISTS = ("results", "data")
_NUMBERS = ("relevance_score", "score")


class RerankQuestion(Question):
    """How relevant some documents are to a query; the most relevant one counts."""

    def read(self, reply: str) -> dict[str, Any]:
        """Return the greatest relevance, and of which document it is.

        Raises :class:`~calibration.judge.verdicts.UnusableError` unless there is a finite number
        for every document.
        """
        found = json.loads(reply)
        if None in found or not all(math.isfinite(number) for number in found):
            raise UnusableError(f"the reply lacks the relevance of a document: {reply[:80]}")
        best = max(range(len(found)), key=found.__getitem__)
        return {"score": found[best], "reference": best, "justification": ""}


def make_rerank_question(
    record: str, model: str, query: str, documents: Sequence[str], key: str
) -> RerankQuestion:
    """Return the question how relevant documents are to a query.

    >>> make_rerank_question("r", "m", "Who?", ["Ann"], "k").text
    '{"query": "Who?", "documents": ["Ann"]}'
    """
    text = json.dumps({"query": query, "documents": list(documents)}, ensure_ascii=False)
    return RerankQuestion(record, model, text, key, prompt="")


class RerankClient(JudgeClient):
    """The endpoint of a reranker. All its tokens are input: it writes none."""

    def ask(
        self,
        prompt: str,  # noqa: ARG002  (a reranker is told nothing)
        text: str,
        schema: dict[str, Any],  # noqa: ARG002
        retries: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the relevance of every document, as a list in JSON.

        Raises as :meth:`~calibration.models.endpoints.Endpoint.send`.
        """
        asked = json.loads(text)
        try:
            body = self.post(ROUTE, retries, asked, headers or {})
        except UnknownRouteError as error:
            unknown = str(error)
        else:
            usage = body.get("usage")
            counted = tokens_used(usage, "prompt"), tokens_used(usage, "total")
            tokens = next((count for count in counted if count is not None), None)
            found = _relevance(body, len(asked["documents"]))
            return Reply(
                text=json.dumps(found),
                declined=False,
                is_cut=False,
                input_tokens=tokens,
                output_tokens=None if tokens is None else 0,
                served=self.redact(str(body.get("model") or "")),
            )
        raise self.unknown(unknown)


def _relevance(body: Mapping[str, Any], documents: int) -> list[float | None]:
    """Return the relevance of each document, ``None`` where the reply holds no number for it."""
    found: list[float | None] = [None] * documents
    for row in next((rows for name in _LISTS if (rows := listed(body, name))), []):
        place = row.get("index")
        number = next((row[name] for name in _NUMBERS if name in row), None)
        if isinstance(place, int) and 0 <= place < documents and isinstance(number, int | float):
            found[place] = float(number)
    return found
