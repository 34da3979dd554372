"""The pictures that come with one body: received as the body is read, named in it, found by what the body says of them, and forgotten if the call
is not accepted.

What is wrong with a picture inside a string is kept until the body is parsed, because only then its field is known. How it fails: InvalidRequest
(and InvalidImage) and ImageTooLarge with the field, FileNotFound, and what `Uploads` raises besides.
"""

import logging
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from gateway.api.body import JsonObject
from gateway.api.data_urls import decoded, is_data_url
from gateway.api.multipart import Part
from gateway.api.schemas.generation import Generation, Reference
from gateway.api.state import PIPELINE, PRINCIPAL, SETTINGS, UPLOADS
from gateway.domain.errors import FileNotFound, GatewayError, ImageTooLarge, InvalidImage, InvalidRequest
from gateway.domain.files import FILE_BYTES_MAX, INPUTS_MAX, Purpose, StoredFile
from gateway.domain.ids import FILE_ID_PATTERN
from gateway.domain.images import ImageInput, InputSource
from gateway.pipeline.admission import RequestDraft

log = logging.getLogger(__name__)

PICTURES_MAX: Final = INPUTS_MAX + 1
"""References and a mask."""
_OWN_PATH = re.compile(
    r"/v1/(?:files/(?P<id>file-[a-z0-9]{24})/content|results/(?P<token>[^/?#]+)/(?P<file>[^/?#]+))(?:[?#].*)?"
)


class BodyPictures:
    """`async with BodyPictures(request) as pictures`: what was received is forgotten at the end, unless it is kept."""

    def __init__(self, request: web.Request) -> None:
        self._app, self._principal = request.app, request[PRINCIPAL]
        self._received: list[StoredFile] = []
        self._named: dict[str, StoredFile | GatewayError] = {}
        """By the name that stands in the body."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._received:
            try:
                await self._app[UPLOADS].forget([file.id for file in self._received])
            except GatewayError as failure:  # they expire by themselves
                log.warning("pictures of a refused call cannot be deleted now", exc_info=failure)

    def keep(self) -> None:
        """The call was accepted: they are its task's now."""
        self._received.clear()

    async def take(self, name: str, content: AsyncIterator[bytes]) -> None:
        """A `data:` URL out of a JSON body."""
        await self._take(name, decoded(content))

    async def _take(self, name: str, content: AsyncIterator[bytes]) -> None:
        if len(self._named) >= PICTURES_MAX:
            raise InvalidRequest(f"The body has more than {PICTURES_MAX} pictures.")
        try:
            self._named[name] = await self._receive(content, "image", FILE_BYTES_MAX)
        except (InvalidImage, ImageTooLarge) as exc:
            self._named[name] = exc

    async def take_bare(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Base64 with or without a header, out of a JSON body."""
        await self._take(name, decoded(content, bare=True))

    def taken(self, name: str, field: str) -> StoredFile | None:
        """What was received under a name; None: nothing was. Raises what was wrong with it."""
        named = self._named.get(name)
        if isinstance(named, GatewayError):
            raise of_field(named, field)
        return named

    async def take_part(self, part: Part, bytes_max: int) -> str:
        """A part of a form; gives the name that shall stand for it."""
        if len(self._named) >= PICTURES_MAX:
            raise InvalidRequest(
                f"{part.name}: the form has more than {INPUTS_MAX} pictures and a mask.", param=part.name
            )
        name = secrets.token_hex(16)
        try:
            self._named[name] = await self._receive(part.chunks(), part.filename or "image", bytes_max)
        except GatewayError as exc:
            raise of_field(exc, part.name) from exc
        return name

    def hashed(self, body: JsonObject) -> JsonObject:
        """The body with what its pictures are in place of their names: equal for equal calls."""
        return body if not self._named else {key: self._stable(value) for key, value in body.items()}

    def _stable(self, value: object) -> object:
        if isinstance(value, str):
            named = self._named.get(value)
            return f"sha256:{named.sha256}" if isinstance(named, StoredFile) else value
        if isinstance(value, list):
            return [self._stable(item) for item in value]
        if isinstance(value, dict):
            return {key: self._stable(item) for key, item in value.items()}
        return value

    def check(self, generation: Generation) -> None:
        """Raises what was wrong with the received pictures, by their fields, and refuses those in fields that take none."""
        if not self._named:
            return
        left = dict(self._named)
        for reference in _all(generation):
            named = left.pop(reference.value, None)
            if isinstance(named, GatewayError):
                raise of_field(named, reference.field)
            if named is not None:
                _check_size(named, reference)
        if left:
            raise InvalidRequest(
                "A data: URL stands where no picture is taken, or twice; it belongs into a field for pictures."
            )

    async def resolved(self, generation: Generation, draft: RequestDraft) -> RequestDraft:
        """With the pictures that the body names. `data:` URLs and this gateway's links become files; other URLs are left to the task."""
        images = tuple([await self._resolve(reference) for reference in generation.images])
        mask = None if generation.mask is None else await self._resolve(generation.mask)
        names = tuple(reference.field for reference in _all(generation))
        return replace(draft, images=images, mask=mask, input_names=names)

    async def _resolve(self, reference: Reference) -> ImageInput:
        value = reference.value
        named = self._named.get(value)
        try:
            if isinstance(named, StoredFile):
                return _file(named)
            if reference.is_id or value.startswith("file-"):
                return _file(await self._own_file(value, reference))
            if is_data_url(value):
                return _file(await self._receive(decoded(once(value.encode())), "image", reference.bytes_max))
            return await self._resolve_url(value, reference)
        except GatewayError as exc:
            raise of_field(exc, reference.field) from exc

    async def _resolve_url(self, url: str, reference: Reference) -> ImageInput:
        public_url = self._app[SETTINGS].public_url.rstrip("/")
        path = url.removeprefix(public_url) if public_url and url.startswith(public_url + "/") else ""
        own = _OWN_PATH.fullmatch(path)
        if own is None:
            return ImageInput(InputSource.URL, url)
        if own["id"]:
            return _file(await self._own_file(own["id"], reference))
        found = await self._app[PIPELINE].result(own["token"], own["file"])
        if found is None:
            raise InvalidImage("This link leads nowhere: it has expired or was cut.")
        content = found.read(0, found.size_bytes)
        return _file(await self._receive(content, own["file"], reference.bytes_max))

    async def _own_file(self, file_id: str, reference: Reference) -> StoredFile:
        if FILE_ID_PATTERN.fullmatch(file_id) is None:
            raise FileNotFound("This key has no such file: send the id that POST /v1/files answered.")
        file = await self._app[UPLOADS].file(self._principal, file_id)
        _check_size(file, reference)
        return file

    async def _receive(self, content: AsyncIterator[bytes], filename: str, bytes_max: int) -> StoredFile:
        file = await self._app[UPLOADS].receive(
            self._principal, content, purpose=Purpose.CALL, filename=filename, bytes_max=bytes_max
        )
        self._received.append(file)
        return file


def _all(generation: Generation) -> Sequence[Reference]:
    return generation.images if generation.mask is None else (*generation.images, generation.mask)


def _check_size(file: StoredFile, reference: Reference) -> None:
    if file.size_bytes > reference.bytes_max:
        raise ImageTooLarge(
            f"{reference.field}: may have {reference.bytes_max} bytes; this picture has {file.size_bytes}.",
            param=reference.field,
        )


def of_field(error: GatewayError, field: str) -> GatewayError:
    """The same error, which names the field."""
    if error.param is None:
        error.param = field
        error.message = f"{field}: {error.message}"
    return error


def _file(file: StoredFile) -> ImageInput:
    return ImageInput(InputSource.FILE, file.id)


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content
