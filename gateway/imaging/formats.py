"""A picture in another format, or cleaned in its own: upright, without metadata, one frame.

Kept: pixels and, in PNG and WebP, transparency; JPEG gets white behind it. Turned: what EXIF says lies on its side. Dropped: EXIF with
its places and cameras, XMP, comments, text chunks, previews, and the ICC profile, which is not applied either: colours are taken for sRGB,
as image models take them.
"""

from gateway.domain.images import OutputFormat
from gateway.imaging.decode import Decoder
from gateway.imaging.protocol import Job, Work


async def convert(
    decoder: Decoder, picture: bytes, output_format: OutputFormat, compression: int = 100, *, opaque: bool = False
) -> bytes:
    """The file. `compression` as OpenAI's output_compression: 0 to 100, 100 is the best picture; PNG is always lossless.

    `opaque`: white behind what is transparent, in PNG and WebP as well.
    PNG, JPEG and WebP come in. Raises ImageRefused, DecodingUnavailable.
    """
    if not 0 <= compression <= 100:
        raise ValueError(f"compression is 0 to 100, not {compression}")
    return await decoder.run(Job(Work.CONVERT, output_format, compression, opaque=opaque), picture)
