"""Send a message to a user-supplied URL, but never to a private address.

A shop names the address, so the platform could be made to knock at its own doors: a database, a
cloud's metadata service, a neighbour. In production only https to public addresses is spoken. The
host is looked up once, all it resolves to is checked, and the connection goes to just what was
checked, so that a name that resolves differently the next moment is no way round. Redirects are not
followed.
"""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext, gettext_noop

from mps.base.core import errors

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
# Errors are kept in English and translated where they are shown.
NOT_ALLOWED = gettext_noop("address not allowed")
_MOST_ADDRESSES = 3
_URL = re.compile(r"[!-~]{1,500}", re.ASCII)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending: an HTTP status, or in a few words what went wrong."""

    status: int | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300


class _ForbiddenError(Exception):
    """The host is not on the public network."""


def require_url(url: str) -> None:
    """Let a shop name only an address that messages may be sent to.

    :raises InvalidRequestError: it is none.
    """
    wrong = _fault_of(url)
    if wrong:
        raise errors.InvalidRequestError(errors={"url": [wrong]})


def host_of(url: str) -> str:
    """Return an address without what may be secret in it, path and query; empty if it is none."""
    parts = _split(url)
    return parts.netloc if parts else ""


def post(url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send a message; it is over within `TOTAL_SECONDS` and the time a name takes to resolve.

    Never raises: what goes wrong is an answer, too.
    """
    try:
        parts = _split(url)
        if parts is None:
            return Answer(error=NOT_ALLOWED)
        addresses = _resolve(parts)
        return _post(parts, addresses, headers, body)
    except _ForbiddenError:
        return Answer(error=NOT_ALLOWED)
    except TimeoutError:
        return Answer(error=gettext_noop("timed out"))
    except ssl.SSLCertVerificationError:
        return Answer(error=gettext_noop("certificate not trusted"))
    except ssl.SSLError:
        return Answer(error=gettext_noop("no TLS connection"))
    except socket.gaierror:
        return Answer(error=gettext_noop("host not found"))
    except OSError:
        return Answer(error=gettext_noop("no connection"))
    except (http.client.HTTPException, ValueError):
        return Answer(error=gettext_noop("no HTTP answer"))


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public network's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL_UNICAST or ip.teredo is not None:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


# --- inside --------------------------------------------------------------------------------------


def _fault_of(url: str) -> str:
    """Return what is wrong with an address; nothing if it may be used."""
    parts = _split(url)
    if parts is None:
        if settings.MPS_WEBHOOK_ALLOW_PRIVATE:
            return gettext(
                "Must be an http or https URL of at most 500 characters, without "
                "user name or fragment."
            )
        return gettext(
            "Must be an https URL of at most 500 characters, without user name or fragment."
        )
    if settings.MPS_WEBHOOK_ALLOW_PRIVATE:
        return ""
    pool = ThreadPoolExecutor(1)
    try:
        # A name server that never answers must not hold the web process.
        pool.submit(_resolve, parts).result(timeout=CONNECT_SECONDS)
    except _ForbiddenError:
        return gettext("This host is not on the public network.")
    except (OSError, ValueError, FutureTimeoutError):
        return gettext("This host was not found.")
    finally:
        pool.shutdown(wait=False)
    return ""


def _split(url: str) -> SplitResult | None:
    """Take an address apart; None if it is none to send to."""
    if not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    schemes = ("https", "http") if settings.MPS_WEBHOOK_ALLOW_PRIVATE else ("https",)
    if (
        parts.scheme not in schemes
        or not parts.hostname
        or port == 0
        or "@" in parts.netloc
        or "#" in url
        or "\\" in url
    ):
        return None
    return parts


def _resolve(parts: SplitResult) -> list[Any]:
    """Look a host up, once; return what to connect to, as `getaddrinfo` does.

    :raises _ForbiddenError: one of its addresses is not public.
    """
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror("not a host name") from None
    if not settings.MPS_WEBHOOK_ALLOW_PRIVATE and not all(
        is_public(str(sockaddr[0])) for *_kind, sockaddr in found
    ):
        raise _ForbiddenError
    return found[:_MOST_ADDRESSES]


def _post(
    parts: SplitResult, addresses: list[Any], headers: Mapping[str, str], body: bytes
) -> Answer:
    deadline = time.monotonic() + TOTAL_SECONDS
    connection = http.client.HTTPConnection(str(parts.hostname))
    with _connect(parts, addresses, deadline) as opened:
        connection.sock = _Timed(opened, deadline)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {**headers, "Host": parts.netloc, "Connection": "close"}
        connection.request("POST", path, body, sent)
        status = connection.getresponse().status
    return Answer(status, "" if 200 <= status < 300 else f"HTTP {status}")


def _connect(parts: SplitResult, addresses: list[Any], deadline: float) -> socket.socket:
    """Return a connection to the first of these addresses that answers."""
    opened = _connect_first(addresses, deadline)
    if parts.scheme == "http":
        return opened
    try:
        opened.settimeout(_left(deadline))
        return _tls().wrap_socket(opened, server_hostname=parts.hostname)
    except BaseException:
        opened.close()
        raise


def _connect_first(addresses: list[Any], deadline: float) -> socket.socket:
    failure: OSError = socket.gaierror("no address")
    for family, kind, protocol, _name, sockaddr in addresses:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(min(CONNECT_SECONDS, _left(deadline)))
            opened.connect(sockaddr)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise failure


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    """Return the seconds left; :raises TimeoutError: if there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Timed:
    """A socket as `http.client` uses one, all of whose waits end by one deadline.

    The library's own time limit is for each read, so that a receiver that sends a byte now and then
    would never be left.
    """

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self.opened, self.deadline = opened, deadline

    def sendall(self, data: bytes) -> None:
        """Send it all."""
        self.opened.settimeout(_left(self.deadline))
        self.opened.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what the answer is read from."""
        return io.BufferedReader(_TimedReader(self.opened, self.deadline))

    def close(self) -> None:
        """Close it."""
        self.opened.close()


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline."""

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self.opened, self.deadline = opened, deadline

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, waiting for it until the deadline."""
        self.opened.settimeout(_left(self.deadline))
        return self.opened.recv_into(buffer)
