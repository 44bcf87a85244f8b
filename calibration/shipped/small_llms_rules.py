"""Classical systems behind the same protocol as the models they are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from calibration.shipped.extractive_systems import best, tf_idf
from calibration.shipped.extractive_text import sentences, words

__all__ = ["SYSTEMS", "central_sentence", "lead_sentence", "serve_rules"]


_MARKS = ("Context: ", "Abstract: ")


def parts(prompt: str) -> tuple[str, str]:
    r"""Return the question ("" where there is none) and the text that a prompt is about.

    >>> parts("Answer.\n\nContext: It rained.\n\nQuestion: Did it?\nAnswer:")
    ('Did it?', 'It rained.')
    >>> parts("Summarise.\n\nAbstract: We prove it.\n\nSummary:")
    ('', 'We prove it.')
    """
    start = min(prompt.find(mark) + len(mark) for mark in _MARKS if mark in prompt)
    text, _, rest = prompt[start:].rpartition("\n\n")
    question = rest.removeprefix("Question: ").partition("\n")[0]
    return (question if rest.startswith("Question: ") else ""), text


def lead_sentence(_: str, text: str) -> str:
    """Return the first sentence of the text.

    >>> lead_sentence("Who won?", "It rained. Denver won.")
    'It rained.'
    """
    return sentences(text)[0]


def central_sentence(question: str, text: str) -> str:
    """Return the sentence nearest to the question, or to the whole text without one, by TF-IDF.

    >>> central_sentence("Who won?", "It rained. Denver won.")
    'Denver won.'
    """
    found = sentences(text)
    return found[best(tf_idf(words(question or text), [words(sentence) for sentence in found]))]


#: Name to system, in the order of the profile.
SYSTEMS: Mapping[str, Callable[[str, str], str]] = {
    "lead_sentence": lead_sentence,
    "central_sentence": central_sentence,
}


@contextmanager
def serve_rules() -> Iterator[str]:
    """Serve the classical systems on a free port of 127.0.0.1 and yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Chat completions, streamed, of the system that a request calls its model."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question, text = parts(body["messages"][-1]["content"])
        said = SYSTEMS[body["model"]](question, text)
        usage = {
            "prompt_tokens": len(words(f"{question} {text}")),
            "completion_tokens": len(words(said)),
        }
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
        ]
        lines = [f"data: {json.dumps({**chunk, 'model': body['model']})}\n\n" for chunk in chunks]
        content = "".join([*lines, "data: [DONE]\n\n"]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""
