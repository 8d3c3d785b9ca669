"""A local web server that listens: what a webhook, or a heartbeat service, would have received."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Listener:
    """Every request it got; `status` is what it answers, `answers` (status, JSON body) come before that, one each."""

    def __init__(self) -> None:
        self.status = 200
        self.answers: list[tuple[int, Any]] = []
        self.heard: list[tuple[str, str, Any]] = []  # method, path, JSON body

    @property
    def titles(self) -> list[str]:
        """What it was told, by title."""
        return [body["title"] for _, _, body in self.heard if body]


@contextmanager
def listening() -> Iterator[tuple[Listener, int]]:
    """A listener and its port."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            text = self.rfile.read(length)
            listener.heard.append((self.command, self.path, json.loads(text) if text else None))
            status, said = listener.answers.pop(0) if listener.answers else (listener.status, None)
            answer = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names http.server asks for

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
