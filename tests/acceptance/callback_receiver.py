"""A receiver of callbacks in a thread of the test, for gateways that are processes. It answers 204 to everything, and remembers it.

It may be told to hold an answer back, as a receiver does that is slow.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HELD_S_MAX = 60.0


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
    held: dict[str, threading.Event] = field(default_factory=dict)
    """The first message under a name is answered when its event is set."""

    def url(self, name: str) -> str:
        """Of one case, which has its messages by that name."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def of(self, name: str) -> list[Told]:
        return [told for told in self.told if told.path == f"/{name}"]


def assert_told_of(messages: Sequence[Told], tasks: Sequence[Mapping[str, Any]]) -> int:
    """Each of these ended tasks was told, perhaps again, always under one id in the same words, and nothing else was; says how many came again."""
    told: dict[str, set[tuple[str, bytes]]] = {}
    for message in messages:
        told.setdefault(message.task, set()).add((message.id, message.body))
    assert set(told) == {task["id"] for task in tasks}, "callbacks are lost, or told of nothing"
    assert [task for task, variants in told.items() if len(variants) > 1] == []
    for task in tasks:
        [(_, body)] = told[task["id"]]
        assert json.loads(body)["status"] == task["status"]
    return len(messages) - len(told)


@contextmanager
def receiving_callbacks() -> Iterator[CallbackReceiver]:
    """For as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            with suppress(OSError):  # its sender was killed
                body = self.rfile.read(length)
                if len(body) == length:
                    receiver.told.append(Told(self.headers["webhook-id"], self.path, body))
                    held = receiver.held.pop(self.path[1:], None)
                    if held is not None:
                        held.wait(HELD_S_MAX)
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
