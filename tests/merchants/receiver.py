"""A shop's own web server, on loopback."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

Answer = Callable[["Message"], int | Iterable[bytes]]


@dataclass(frozen=True)
class Message:
    """One request it got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> Any:
        """Check the signature as a receiver does, by the public package; return what it says."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """Where it listens, and what it got.

    :param answer: called with each message; gives the status, or an answer's raw bytes in parts.
    """

    url: str = ""
    port: int = 0
    messages: list[Message] = field(default_factory=list)
    answer: Answer = lambda _message: 204

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]


@contextmanager
def receiving(answer: Answer | None = None, tls: Any = None) -> Iterator[Receiver]:
    """Listen until the block ends."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            message = Message(self.path, headers, body)
            receiver.messages.append(message)
            answered = receiver.answer(message)
            self.close_connection = True
            # Whoever asked may have been killed meanwhile.
            with suppress(OSError):
                if isinstance(answered, int):
                    self.send_response(answered)
                    self.send_header("Location", receiver.url)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    for part in answered:
                        self.wfile.write(part)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    receiver.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{receiver.port}/mps?to=till"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
