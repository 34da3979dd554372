"""What the vendors share that took over OpenAI's path and changed its fields: one POST, a Bearer key, pictures inside the answer or behind links.

Owns the order of a call (key, body, pictures, bill); each vendor's module says what it accepts, what an answer looks like and how it fails.
"""

from abc import abstractmethod
from collections.abc import Mapping

from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators.base import json_response
from tests.emulators.delivery import PictureEmulator, delivered
from tests.emulators.inputs import Unusable, read_form, typed
from tests.emulators.jobs import Body, Invalid, Job, read_object
from tests.emulators.records import Received


class CompatibleEmulator(PictureEmulator):
    """One of them. `path` ends where the vendor's clients append `/images/generations`."""

    path = "/v1"
    free = "/models"
    """What follows the path in a call that needs a key and costs nothing; empty where the vendor documents none."""
    edits: tuple[str, ...] = ()
    """What follows the path in calls with pictures, where those have addresses of their own."""
    points: tuple[str, ...] = ("create", "free", "download")
    unsupported: tuple[type, ...] = (b.FailTask, b.StallTask)
    link_life_s = 24 * 3600.0

    def routes(self) -> list[web.RouteDef]:
        """Generations, and edits where the vendor has them."""
        return [
            web.post(f"{self.path}/images/generations", self._create),
            *(web.post(self.path + edit, self._create) for edit in self.edits),
            *([web.get(self.path + self.free, self._ask_free)] if self.free else []),
            self.download_route(),
            web.route("*", f"{self.path}/{{tail:.*}}", self._unknown_url),
        ]

    def prompt_of(self, received: Received) -> str:
        """In a form, its part."""
        form = read_form(received)
        return received.prompt if form is None else form.fields.get("prompt", "")

    # --- the vendor's part

    @abstractmethod
    def job_of(self, body: Body) -> Job:
        """The job of a request, or Invalid."""

    @abstractmethod
    def rejected(self, received: Received, invalid: Invalid) -> web.Response:
        """The answer to a body that the vendor does not accept."""

    @abstractmethod
    def unauthorized(self, received: Received) -> web.Response:
        """The answer to a wrong key."""

    @abstractmethod
    def answer_of(self, received: Received, job: Job, items: list[dict[str, object]]) -> dict[str, object]:
        """The body of a success; `items` has what was delivered."""

    def with_pictures(self, received: Received, body: Body, job: Job) -> Job:
        """The job with the caller's pictures, where the body has such; Invalid or Unusable where it must not, or they are no good."""
        return job

    def item_of(self, received: Received, job: Job, index: int, behaviour: b.Behaviour) -> dict[str, object]:
        """One element of `data`: `b64_json` or `url`."""
        label = f"{received.id}/{index}"
        if job.options.get("inline"):
            return {"b64_json": self.base64_of(job, label, behaviour)}
        return {"url": self.link(job, label, behaviour)}

    def free_answer(self) -> object:
        """The body of the call that costs nothing: OpenAI's list of models."""
        return {"object": "list", "data": [{"id": "a-model", "object": "model", "owned_by": "emulator"}]}

    # --- the call

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "create", self._generate)

    async def _ask_free(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "free", self._free)

    def _free(self, received: Received, _: b.Behaviour) -> web.Response:
        if received.bearer != self.api_key:
            return self.unauthorized(received)
        return json_response(self.free_answer(), headers=self.answer_headers(received))

    async def _unknown_url(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(
            request, "create", lambda received, _: self.envelope(received, 404, None, f"Not found: {request.path}")
        )

    def checked(self, received: Received) -> Job | web.Response:
        """The job of a call, or the answer to one that is denied or rejected."""
        if received.bearer != self.api_key:
            return self.unauthorized(received)
        form = read_form(received)
        try:
            body = read_object(received.json if form is None else typed(form))
            return self.with_pictures(received, body, self.job_of(body))
        except Unusable as exc:
            return self.rejected(received, Invalid("value", exc.message, "mask" if exc.mask else "image"))
        except Invalid as exc:
            return self.rejected(received, exc)

    def _generate(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        job = self.checked(received)
        if isinstance(job, web.Response):
            return job
        images = delivered(job, behaviour)
        self.charge(received, job, images)
        items = [self.item_of(received, job, index, behaviour) for index in range(images)]
        return json_response(self.answer_of(received, job, items), headers=self.answer_headers(received))

    def answer_headers(self, received: Received) -> Mapping[str, str]:
        """Beside every success."""
        return {"x-request-id": received.id}
