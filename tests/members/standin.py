"""A stand-in for providers and gateways: a web server on loopback, told by a test what to say."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class StandIn:
    """What it answers, by method and path; and what it was asked."""

    url: str = ""
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def answer(self, method: str, path: str, respond: Any) -> None:
        """Answer with (status, body), or with what a function of fields and headers returns."""
        self.answers[method, path] = respond


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run one."""
    world = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            parts = urlsplit(self.path)
            fields = dict(parse_qsl(parts.query))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            if self.headers.get("Content-Type") == "application/json":
                fields |= json.loads(body)
            else:
                fields |= dict(parse_qsl(body))
            headers = {name.lower(): value for name, value in self.headers.items()}
            world.asked.append((f"{self.command} {parts.path}", fields, headers))
            answer = world.answers.get((self.command, parts.path), (404, {}))
            status, content = answer(fields, headers) if callable(answer) else answer
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = respond  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
