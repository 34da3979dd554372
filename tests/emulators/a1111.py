"""The API of AUTOMATIC1111's web UI, which Forge, SD.Next and others share: `POST /sdapi/v1/txt2img` and `img2img`, synchronous, free.

Owns the routes, the checks, the shape of answers and errors. Counts pictures and bills nothing. It draws one job at a time: a call waits until the
one before it is answered. Fields that it does not know are ignored; sides are cut to multiples of eight, as the models do. With `save_images` and
several pictures the first of the answer is a grid of all. It never refuses content; overloaded means that the card is out of memory (500). The key is
`user:password`, or empty for a server without one. Places with a script: `create`, `info`.

`python -m tests.emulators.a1111` runs it as a process of its own.
"""

import argparse
import asyncio
import base64
import binascii
import dataclasses
from decimal import Decimal
from typing import Unpack

import orjson
from aiohttp import web

from tests.emulators import behaviours as b
from tests.emulators import process
from tests.emulators.base import Emulator, Options, json_response
from tests.emulators.delivery import PictureEmulator, delivered
from tests.emulators.inputs import Unusable, from_base64, take
from tests.emulators.jobs import Body, Invalid, Job, read_object
from tests.emulators.records import Received

CHECKPOINT = "sd_xl_base_1.0.safetensors"
SAMPLERS = ("DPM++ 2M", "Euler", "Euler a", "DDIM")
USER = "sd:emulator"
_SEED_MAX = 2**32 - 1
_TYPES = {
    "missing": "missing",
    "type": "type_error",
    "low": "greater_than_equal",
    "high": "less_than_equal",
}


class A1111Emulator(PictureEmulator):
    """The server."""

    points = ("create", "info")
    unsupported = (b.FailTask, b.StallTask, b.Refuse, b.OutOfMoney, b.RateLimit)

    def __init__(self, **options: Unpack[Options]) -> None:
        options.setdefault("api_key", USER)
        self._card = asyncio.Lock()
        self._at_work = 0
        super().__init__(**options)

    def routes(self) -> list[web.RouteDef]:
        """Drawing, and what a monitor asks for."""
        return [
            web.post("/sdapi/v1/txt2img", self._create),
            web.post("/sdapi/v1/img2img", self._create),
            web.post("/sdapi/v1/interrupt", self._info),
            web.get("/sdapi/v1/{what:progress|options|sd-models|samplers}", self._info),
            web.route("*", "/{tail:.*}", self._unknown_url),
        ]

    def envelope(self, received: Received, status: int, code: str | None, message: str) -> web.Response:
        """`{"error", "detail", "body", "errors"}`."""
        kind = "HTTPException" if status < 500 else code or "RuntimeError"
        detail, errors = (message, "") if status < 500 else ("", message)
        return json_response({"error": kind, "detail": detail, "body": "", "errors": errors}, status)

    def fault(self, received: Received, behaviour: b.Behaviour) -> web.Response | None:
        """No capacity is no memory."""
        if isinstance(behaviour, b.Overloaded):
            message = "CUDA out of memory. Tried to allocate 9.00 GiB."
            return self.envelope(received, 500, "OutOfMemoryError", message)
        return None

    # --- routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        async with self._card:
            self._at_work = 1
            try:
                return await self.serve(request, "create", self._generate)
            finally:
                self._at_work = 0

    async def _info(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "info", self._tell)

    async def _unknown_url(self, request: web.Request) -> web.StreamResponse:
        return await self.serve(request, "info", lambda *_: json_response({"detail": "Not Found"}, 404))

    # --- answers

    def _generate(self, received: Received, behaviour: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        try:
            body = read_object(received.json)
            missing = self._missing(received, body)
            if missing is not None:
                return missing
            pictures = received.path.endswith("img2img")
            job = _job(body, pictures=pictures)
            if pictures:
                _take(received, body)
        except Unusable:
            return self.envelope(received, 500, "UnidentifiedImageError", "cannot identify image file")
        except Invalid as exc:
            where = ["body", *([exc.param] if exc.param else [])]
            detail = {"loc": where, "msg": exc.message, "type": _TYPES.get(exc.kind, "value_error")}
            return json_response({"detail": [detail]}, 422)
        images = delivered(job, behaviour)
        self.charge(received, job, images)
        texts = [self.base64_of(job, f"{received.id}/{index}", behaviour) for index in range(images)]
        grid = bool(body.values.get("save_images")) and images > 1
        if grid:
            texts.insert(0, self.base64_of(_grid_of(job, images), f"{received.id}/grid", behaviour))
        return json_response(_answer(body, job, texts if body.flag("send_images", True) else [], grid=grid))

    def _missing(self, received: Received, body: Body) -> web.Response | None:
        sampler = body.values.get("sampler_name") or body.values.get("sampler_index") or "Euler"
        if sampler not in SAMPLERS:
            return self.envelope(received, 404, None, "Sampler not found")
        if received.path.endswith("img2img") and not body.values.get("init_images"):
            return self.envelope(received, 404, None, "Init image not found")
        return None

    def _tell(self, received: Received, _: b.Behaviour) -> web.Response:
        denied = self._denied(received)
        if denied is not None:
            return denied
        match received.path.rpartition("/")[2].partition("?")[0]:
            case "progress":
                state = {"job": "txt2img" if self._at_work else "", "job_count": self._at_work, "sampling_step": 0}
                return json_response({"progress": 0.0, "eta_relative": 0.0, "state": state, "current_image": None})
            case "options":
                return json_response({"sd_model_checkpoint": CHECKPOINT})
            case "sd-models":
                return json_response([{"title": CHECKPOINT, "model_name": CHECKPOINT.removesuffix(".safetensors")}])
            case "samplers":
                return json_response([{"name": name, "aliases": [], "options": {}} for name in SAMPLERS])
            case _:
                return json_response({})

    def _denied(self, received: Received) -> web.Response | None:
        if not self.api_key:
            return None
        scheme, _, coded = received.headers.get("authorization", "").partition(" ")
        headers = {"WWW-Authenticate": "Basic"}
        if scheme.lower() != "basic":
            return json_response({"detail": "Not authenticated"}, 401, headers)
        try:
            if base64.b64decode(coded, validate=True).decode() == self.api_key:
                return None
        except (binascii.Error, UnicodeDecodeError):
            pass
        return json_response({"detail": "Incorrect username or password"}, 401, headers)


def _job(body: Body, *, pictures: bool) -> Job:
    """Every field has a default, the prompt as well."""
    width, height = (body.integer(side, 1, 4096, 512) // 8 * 8 for side in ("width", "height"))
    if not width or not height:
        raise Invalid("low", "The sides must be at least 8.", "width")
    body.integer("steps", 1, 150, 50)
    body.number("cfg_scale", 1, 30)
    body.integer("seed", -1, _SEED_MAX, -1)
    if pictures:
        body.number("denoising_strength", 0, 1)
        body.integer("inpainting_fill", 0, 3, 0)
    settings = body.values.get("override_settings")
    model = settings.get("sd_model_checkpoint") if isinstance(settings, dict) else None
    return Job(
        model=str(model or CHECKPOINT),
        prompt=body.text("prompt", ""),
        n=body.integer("batch_size", 1, 16, 1) * body.integer("n_iter", 1, 16, 1),
        size=(width, height),
        usd_per_image=Decimal(0),
    )


def _take(received: Received, body: Body) -> None:
    """Base64 or `data:` URLs; it is white where the picture is made anew."""
    images = body.values["init_images"]
    mask = body.values.get("mask")
    if not isinstance(images, list):
        raise Invalid("type", "init_images must be a list.", "init_images")
    take(received, [_picture(one) for one in images], None if mask is None else _picture(mask), "white")


def _picture(text: object) -> bytes:
    return from_base64(str(text).partition(";base64,")[2] or text)


def _grid_of(job: Job, images: int) -> Job:
    return dataclasses.replace(job, size=(job.size[0] * min(images, 2), job.size[1] * -(-images // 2)))


def _answer(body: Body, job: Job, images: list[str], *, grid: bool) -> dict[str, object]:
    seed = body.integer("seed", -1, _SEED_MAX, -1)
    first = 1234567 if seed == -1 else seed
    seeds = [first + index for index in range(job.n)]
    info = {
        "prompt": job.prompt,
        "all_prompts": [job.prompt] * job.n,
        "seed": first,
        "all_seeds": seeds,
        "width": job.size[0],
        "height": job.size[1],
        "sd_model_name": job.model,
        "index_of_first_image": int(grid),
        "infotexts": [f"{job.prompt}\nSteps: 20, Seed: {one}" for one in seeds],
    }
    parameters = {name: value for name, value in body.values.items() if name not in ("init_images", "mask")}
    return {"images": images, "parameters": parameters, "info": orjson.dumps(info).decode()}


def _build(options: argparse.Namespace) -> Emulator:
    common = process.common(options)
    if ":" not in common["api_key"]:
        common["api_key"] = USER  # the other vendors' default is no user with a password
    return A1111Emulator(**common)


def main() -> None:
    """The process form."""
    process.run(argparse.ArgumentParser(prog="tests.emulators.a1111", description="AUTOMATIC1111, emulated"), _build)


if __name__ == "__main__":
    main()
