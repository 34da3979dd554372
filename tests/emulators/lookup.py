"""A vendor that can be asked by our own reference: `POST /v1/pictures` answers with pictures, `GET /v1/pictures/{reference}` tells of a call.

No real vendor's wire, but the kind `lookup` in its plainest and harshest form. A call is worked on for `work_s` and then billed, whether or not its
caller still waits. A reference that is sent twice is made twice, and billed twice. The question answers 404 where the reference is unknown (as it is
while a request is delayed), 202 while it works, and 200 at the end, done or failed; its status lags behind: the first question about a call is always
answered 202. Places with a script: `create` and `find`.

`python -m tests.emulators.lookup` runs it as a process of its own.
"""

import argparse
import base64
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Unpack

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.pictures import spoiled
from tests.emulators.records import Bill, Received

PRICE_USD = Decimal("0.03")
"""Of one picture."""
N_MAX = 4
_SIZE = (1024, 1024)


@dataclass(slots=True, kw_only=True)
class _Job:
    """One call that was accepted. `failure` is its fate, decided when it came."""

    request_id: str
    model: str
    prompt: str
    n: int
    created_s: float
    what: str | None = None
    failure: tuple[str, str] | None = None
    bills: bool = True
    asked: int = 0


class LookupEmulator(Emulator):
    """The vendor."""

    points = ("create", "find")
    unsupported = (b.StallTask,)

    def __init__(self, *, work_s: float = 0.05, **options: Unpack[Options]) -> None:
        self.work_s = work_s
        self._jobs: dict[str, _Job] = {}
        """The latest of each reference."""
        self._open: list[_Job] = []
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """Both of them."""
        return [web.post("/v1/pictures", self._create), web.get("/v1/pictures/{reference}", self._find)]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error": {code, message}}`."""
        return json_response({"error": {"code": code, "message": message}}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """Before anything is accepted: then the reference stays unknown."""
        match behaviour:
            case b.RateLimit():
                return self.envelope(received, 429, "rate_limited", "Too many requests.")
            case b.Overloaded():
                return self.envelope(received, 503, "overloaded", "No capacity.")
            case b.OutOfMoney():
                return self.envelope(received, 402, behaviour.code or "payment_required", "The account is empty.")
            case b.Refuse():
                return self.envelope(received, 400, "content_policy_violation", "Not this prompt.")
            case _:
                return None

    def settle(self) -> None:
        """Bill every call that is done by now."""
        for job in [job for job in self._open if self._is_done(job)]:
            self._open.remove(job)
            if job.bills:
                usd = job.n * PRICE_USD
                self.bill(Bill(request_id=job.request_id, model=job.model, images=job.n, usd=usd, prompt=job.prompt))

    def forget(self) -> None:
        """Every reference."""
        self._jobs.clear()
        self._open.clear()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        response = await self.serve(request, "create", self._accept)
        await self._pause(self.work_s)
        self.settle()  # before the answer goes out
        return response

    async def _find(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "find", self._tell)

    def _accept(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        """The answer that goes out when the work is done."""
        denied = self._denied(received)
        if denied is not None:
            return denied
        body = received.json or {}
        reference, n = body.get("reference"), body.get("n", 1)
        if not isinstance(reference, str) or not reference or not isinstance(n, int) or not 1 <= n <= N_MAX:
            return self.envelope(received, 400, "invalid_parameters", "A reference, and n from 1 to 4.")
        job = _Job(
            request_id=received.id, model=str(body.get("model")), prompt=received.prompt, n=n, created_s=self.now()
        )
        match behaviour:
            case b.Fewer():
                job.n = min(n, behaviour.images)
            case b.WrongImage():
                job.what = behaviour.what
            case b.FailTask():
                job.failure = (behaviour.code, behaviour.message or f"It failed: {behaviour.code}.")
                job.bills = behaviour.bills
        self._jobs[reference] = job
        self._open.append(job)
        if job.failure is not None:
            return self.envelope(received, 500, *job.failure)
        return json_response(self._done(job))

    def _tell(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        self.settle()
        job = self._jobs.get(received.path.rpartition("/")[2])
        if job is None:
            return self.envelope(received, 404, "unknown_reference", "No call with this reference was received.")
        job.asked += 1
        if job.asked == 1 or not self._is_done(job):
            return json_response({"status": "working"}, 202)
        if job.failure is not None:
            code, message = job.failure
            return json_response({
                "status": "failed", "billed": job.bills, "error": {"code": code, "message": message}
            })  # fmt: skip
        return json_response(self._done(job))

    def _done(self, job: _Job) -> dict[str, object]:
        label = f"{job.request_id}/"
        pictures = [
            spoiled(job.what, _SIZE, "png", f"{label}{index}", padding_bytes=self.picture_bytes)
            for index in range(job.n)
        ]
        images = [base64.b64encode(picture).decode() for picture in pictures]
        return {"status": "done", "images": images, "usd": str(job.n * PRICE_USD)}

    def _is_done(self, job: _Job) -> bool:
        return self.now() - job.created_s >= self.work_s

    def _denied(self, received: Received) -> web.Response | None:
        if received.bearer == self.api_key:
            return None
        return self.envelope(received, 401, "invalid_api_key", "Invalid API key.")


def _build(options: argparse.Namespace) -> Emulator:
    state_file: Path | None = options.state_file
    return LookupEmulator(
        work_s=options.work, api_key=options.api_key, state_file=state_file, picture_bytes=options.picture_bytes
    )


def main() -> None:
    """The process form."""
    parser = argparse.ArgumentParser(
        prog="tests.emulators.lookup", description="A vendor that can be asked by reference"
    )
    parser.add_argument("--work", type=float, default=0.05, help="seconds until a call is done")
    process.run(parser, _build)


if __name__ == "__main__":
    main()
