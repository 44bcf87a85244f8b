"""The server of the page: one process, one scenario, one address."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from poq_abm.errors import InputError
from poq_abm.page.exploring import Exploration, show

__all__ = ["allowed_hosts", "check_extra", "guarded", "is_local", "open_port", "serve"]

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Any]

_PAGE = "poq_abm.page.layout"
_REFUSED = 403


def check_extra() -> None:
    """Raise unless what the page is made with is installed.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    try:
        # The last one is what a browser needs to show the page without a network.
        for module in ("solara", "solara.server", "uvicorn", "solara_assets"):
            import_module(module)
    except ImportError as error:
        raise InputError(
            f'the page needs an extra ({error}): pip install "poq-abm[explore]"'
        ) from None


def is_local(host: str) -> bool:
    """Return whether an address can be reached from this machine alone.

    >>> is_local("127.0.0.1"), is_local("localhost"), is_local("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; port 0 takes any that is free.

    Raises
    ------
    InputError
        If the port is in use or the address is not one of this machine.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind)
    except OSError as error:
        raise InputError(f"--host {host}: {error.strerror or error}") from error
    # A port that was closed a moment ago may be taken again; one that is listened on may not.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
        opened.listen()
    except OSError as error:
        opened.close()
        hint = "choose another with --port, or 0 for any that is free"
        raise InputError(f"{host}:{port}: {error.strerror or error}; {hint}") from error
    return opened


def allowed_hosts(host: str) -> frozenset[str] | None:
    """Return the names under which a page at an address may be asked for; none where all may.

    A page for this machine alone answers only to its own names: a web site that has its name point
    to 127.0.0.1 is refused.
    """
    return frozenset({host, "localhost", "127.0.0.1", "::1"}) if is_local(host) else None


def guarded(application: Application, hosts: frozenset[str] | None) -> Application:
    """Return an ASGI application that refuses requests under another name or from another site."""

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and not _welcome(scope, hosts):
            await _refuse(scope, send)
        else:
            await application(scope, receive, send)

    return guard


def _welcome(scope: Scope, hosts: frozenset[str] | None) -> bool:
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    host, origin = headers.get("host", ""), headers.get("origin")
    known = hosts is None or _name(host) in hosts
    return known and (origin is None or origin.partition("://")[2] == host)


def _name(host: str) -> str:
    """Return a Host header without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


async def _refuse(scope: Scope, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    start = {"type": "http.response.start", "status": _REFUSED}
    await send({**start, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"poq explore answers to its own address"})


def serve(exploration: Exploration, opened: socket.socket, host: str) -> None:
    """Serve the page at a socket until the process is interrupted."""
    check_extra()
    show(exploration)
    application = _application()
    uvicorn: Any = import_module("uvicorn")
    settings = uvicorn.Config(guarded(application, allowed_hosts(host)), log_level="warning")
    uvicorn.Server(settings).run(sockets=[opened])


def _application() -> Application:
    """Return Solara's application with the page in it, and without anything that calls home."""
    settings: Any = import_module("solara.server.settings")
    settings.telemetry.mixpanel_enable = False
    settings.theme.loader = "plain"
    settings.theme.show_banner = False
    settings.main.mode = "production"
    settings.session.secret_key = secrets.token_hex(32)
    # Solara is meant for frames in other sites too, and says at every visit that this is none.
    warnings.filterwarnings("ignore", message="Cookies with samesite=none")
    scripts: Any = import_module("solara.server.app")
    starlette: Any = import_module("solara.server.starlette")
    scripts.apps["__default__"] = scripts.AppScript(_PAGE)
    application: Application = starlette.app
    return application
