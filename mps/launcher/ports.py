"""Ports: which are free."""

from __future__ import annotations

import errno
import random
import socket
import time
from typing import Final

from mps.launcher import state
from mps.launcher.errors import LauncherError

# Below the range systems take outgoing ports from: a port once chosen is not lent to a client
# connection while the server restarts.
_PORTS: Final = range(20000, 32768)


def free_port(preferred: int, *, other_than: int = 0) -> int:
    """Return `preferred` if it is free, or becomes so within a second; else another free port."""
    deadline = time.monotonic() + 1
    while preferred and preferred != other_than:
        if port_is_free(state.HOST, preferred):
            return preferred
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    for port in random.sample(_PORTS, 200):
        if port != other_than and port_is_free(state.HOST, port):
            return port
    raise LauncherError(f"No free port between {_PORTS.start} and {_PORTS.stop} on this machine.")


def port_is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen on `port` of `host`.

    :raises LauncherError: this machine has no such address.
    """
    try:
        [(family, _, _, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise LauncherError(f"{host} is no address to listen on: {error.strerror}.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise LauncherError(f"{host} is no address of this machine.") from None
            return False
    return True
