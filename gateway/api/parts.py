"""Writes a part of an answer, be it bytes or a picture's text that is still in the store. Fails with ConnectionError, and as the store does."""

from aiohttp import web

from gateway.pipeline.picture_texts import PictureText


async def write_part(response: web.StreamResponse, part: PictureText) -> None:
    """Waits where the caller takes it slowly."""
    if isinstance(part, bytes):
        await response.write(part)
        return
    async for piece in part.pieces():
        await response.write(piece)
