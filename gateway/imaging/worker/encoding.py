"""From pixels to a file of bounded size. Nothing but the pixels gets into it. How it fails: Refused, GaveUp when an encoder failed."""

import io
from typing import TYPE_CHECKING, Any

from PIL import Image

from gateway.domain.images import OutputFormat
from gateway.imaging.worker.refusal import GaveUp, Refused

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PNG_LEVEL = 2
"""A quarter of the time that Pillow's default of 6 takes on photographs, and files larger by a sixth."""
WEBP_METHOD = 2
"""Half the time of Pillow's default of 4; a transparent photograph of 24 megapixels takes some 6 s."""
JPEG_QUALITY_MAX = 95
"""Above it files grow and nothing is seen."""


class _TooLarge(Exception):
    pass


class _BoundedFile(io.BytesIO):
    """Pillow takes anything with `write`; this one stops it before memory is full."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self._bytes_max = bytes_max

    def write(self, data: "ReadableBuffer", /) -> int:
        if self.tell() + memoryview(data).nbytes > self._bytes_max:
            raise _TooLarge
        return super().write(data)


def encoded(image: Image.Image, output_format: OutputFormat, compression: int, bytes_max: int) -> bytes:
    """The file. `compression` is OpenAI's output_compression: 100 is the best picture, 0 the smallest file; a PNG is lossless anyway."""
    options: dict[str, Any] = {"quality": compression, "method": WEBP_METHOD}
    match output_format:
        case OutputFormat.PNG:
            options = {"compress_level": PNG_LEVEL}
        case OutputFormat.JPEG:
            image, options = on_white(image), {"quality": max(1, min(compression, JPEG_QUALITY_MAX))}
    file = _BoundedFile(bytes_max)
    try:
        image.save(file, output_format.value.upper(), **options)
    except MemoryError:
        raise
    except _TooLarge as exc:
        raise Refused(f"the result is larger than {bytes_max} bytes; ask for a smaller picture, or for JPEG") from exc
    except Exception as exc:
        raise GaveUp(f"the picture cannot be written as {output_format.value}; ask for another format") from exc
    return file.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """Without transparency, as a page would show it: L or RGB."""
    return on(255, image)


def on(grey: int, image: Image.Image) -> Image.Image:
    """Without transparency, over one grey."""
    if image.mode not in ("LA", "RGBA"):
        return image
    solid = Image.new("L" if image.mode == "LA" else "RGB", image.size, grey if image.mode == "LA" else (grey,) * 3)
    solid.paste(image.convert("L") if image.mode == "LA" else image, mask=image.getchannel("A"))
    return solid
