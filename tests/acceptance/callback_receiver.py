"""A receiver of callbacks in a thread of the test, for gateways that are processes. It answers 204 to everything, and remembers it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Told:
    """One message."""

    id: str
    path: str
    body: bytes

    @property
    def task(self) -> str:
        found = json.loads(self.body)["id"]
        assert isinstance(found, str)
        return found


@dataclass
class CallbackReceiver:
    port: int
    told: list[Told] = field(default_factory=list)

    def url(self, name: str) -> str:
        """Of one case, which has its messages by that name."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def of(self, name: str) -> list[Told]:
        return [told for told in self.told if told.path == f"/{name}"]


@contextmanager
def receiving_callbacks() -> Iterator[CallbackReceiver]:
    """For as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.told.append(Told(self.headers["webhook-id"], self.path, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = CallbackReceiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
