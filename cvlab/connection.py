"""Is there a connection? The book needs none; a few cells do more where there is one.

`online` opens one connection to a named host and closes it; nothing is sent.
It takes no longer than `timeout` seconds for each address of the host, and raises nothing.
It answers no without trying where the environment says ``CVLAB_OFFLINE=1``, and where the book is
    built and tested (``CVLAB_STRICT=1``): what is stored must not depend on a network.
"""

from __future__ import annotations

import os
import socket
from numbers import Real


def online(host: str = "storage.googleapis.com", port: int = 443, timeout: float = 2.0) -> bool:
    """Return whether a host can be reached.

    Parameters
    ----------
    host : str
        By default the one that holds the weights of `keras.applications`.
    port : int
    timeout : float
        Seconds to wait, positive.

    Raises
    ------
    ValueError
        If the time is not positive.

    Examples
    --------
    >>> online("no-such-host.invalid")
    False
    """
    if not (isinstance(timeout, Real) and timeout > 0):
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    if "1" in (os.environ.get("CVLAB_OFFLINE"), os.environ.get("CVLAB_STRICT")):
        return False
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False
