"""Generate a bounded load over keep-alive connections, with plain sockets for a cheap client."""

import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Result:
    """What came back: requests a second, and how long each took in seconds, by status."""

    seconds: float
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.times) / self.seconds

    def percentile(self, part: float) -> float:
        """Return the time within which `part` of the requests were answered, in seconds."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def send_all(port: int, requests: list[bytes], *, connections: int) -> Result:
    """Send every request once over `connections` connections to 127.0.0.1; wait for all answers."""
    parts = [requests[n::connections] for n in range(connections)]
    collected: list[tuple[list[float], Counter[int]]] = []
    start = threading.Barrier(connections + 1)

    def work(part: list[bytes]) -> None:
        times, statuses = [], Counter[int]()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start.wait(60)
            for request in part:
                begun = time.perf_counter()
                sock.sendall(request)
                statuses[_read_status(sock)] += 1
                times.append(time.perf_counter() - begun)
        collected.append((times, statuses))

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    start.wait(60)
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    result = Result(time.perf_counter() - begun)
    for times, statuses in collected:
        result.times += times
        result.statuses += statuses
    return result


def request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return an HTTP/1.1 request as bytes."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _read_status(sock: socket.socket) -> int:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += _more(sock)
    return int(head.split(b" ", 2)[1])


def _more(sock: socket.socket) -> bytes:
    chunk = sock.recv(65536)
    if not chunk:
        raise ConnectionError("the server closed the connection")
    return chunk
