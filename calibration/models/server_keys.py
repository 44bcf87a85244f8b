"""The key of a server: read from the environment, meant for that server alone, never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from poq_abm.errors import InputError

__all__ = ["HIDDEN", "OFFICIAL", "Secret", "is_local", "origin", "read_secret"]

OFFICIAL = "https://api.openai.com/v1"
PLACEHOLDER = "no-key-needed"
HIDDEN = "[hidden]"
SHORT = 8  # characters; a shorter key is hidden only where it stands alone, lest it spoil words


class Secret:
    """A key that no ``print``, ``repr``, log record or traceback shows.

    >>> secret = Secret("sk-0123456789")
    >>> secret
    Secret([hidden])
    >>> secret.redact("Incorrect key: sk-0123456789.")
    'Incorrect key: [hidden].'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    @property
    def is_empty(self) -> bool:
        """Whether there is no key."""
        return not self._value

    @property
    def can_be_sent(self) -> bool:
        """Whether the key fits into a header: printable ASCII without blanks."""
        return re.fullmatch(r"[!-~]+", self._value) is not None

    def reveal(self) -> str:
        """Return the key itself, for the client alone."""
        return self._value

    def redact(self, text: str) -> str:
        """Return ``text`` with the key blotted out, also where JSON has escaped its slashes."""
        if self._value == PLACEHOLDER:
            return text
        edge = r"\b" if len(self._value) < SHORT else ""
        for form in {self._value, self._value.replace("/", r"\/")}:
            text = re.sub(f"{edge}{re.escape(form)}{edge}", HIDDEN, text)
        return text


def read_secret(variable: str, address: str, environment: Mapping[str, str]) -> Secret:
    """Return the key in this environment variable; a local server needs none.

    Raises :class:`~poq_abm.errors.InputError` when the variable is not set, empty, or cannot be
    sent. The message never repeats a value.

    >>> read_secret("OPENAI_API_KEY", "http://127.0.0.1:8000/v1", {}).reveal()
    'no-key-needed'
    """
    secret = Secret(environment.get(variable, "").strip())  # no frame shall show a bare key
    if secret.is_empty and is_local(address):
        return Secret(PLACEHOLDER)
    if secret.is_empty:
        raise InputError(
            f"the environment variable {variable} holds no key for {origin(address)}; "
            f"set it, or name another one in key_variable"
        )
    if not secret.can_be_sent:
        raise InputError(f"the key in {variable} has a blank or a character that is not ASCII")
    return secret


def origin(address: str) -> str:
    """Return scheme, host and port of an address, which are safe to show.

    >>> origin("https://api.openai.com/v1?token=abc")
    'https://api.openai.com'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def is_local(address: str) -> bool:
    """Return whether a server runs on this machine or in this network, where keys are rare.

    >>> [is_local(f"http://{host}:8000/v1") for host in ("localhost", "10.0.0.3", "gpu7", "a.com")]
    [True, True, True, False]
    """
    host = urlsplit(address).hostname or ""
    try:
        number = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal"))
    return number.is_private or number.is_loopback or number.is_link_local
