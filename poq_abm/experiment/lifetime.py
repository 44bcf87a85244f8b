"""How long a worker process lives: no longer than its parent.

Apart from the rest because a worker runs it first, and must not need seconds of imports for it.
"""

from __future__ import annotations

import os
import threading
import time

__all__ = ["end_with"]

_LOOK_EVERY_S = 1.0


def end_with(parent: int) -> None:
    """Let this process end within a second or two of its parent, whose number that is.

    A killed parent cannot tell its workers, which would play on and then wait for more. Whose
    parent is gone has another, on every system but Windows, where idle workers end by themselves
    after five minutes.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
