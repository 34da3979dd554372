"""Mutated files, decoded: a refusal or a picture of the stated size, never another error. In this process: a crash would end the test run."""

import io
import random
import warnings

from PIL import Image

from gateway.domain.images import OutputFormat, Pixels
from gateway.imaging.protocol import TEXT_BYTES_MAX, Job, Work
from gateway.imaging.worker.jobs import perform
from gateway.imaging.worker.refusal import GaveUp, Refused
from tests.png_files import GREY_ALPHA, PALETTE, chunk, interlaced, png

MUTATIONS = 6_000
PIXELS_MAX = 100_000
SIZE = (17, 9)


def seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = [
        interlaced(SIZE, [[x * y for x in range(17)] for y in range(9)]),
        png(SIZE, 16, GREY_ALPHA, [bytes(68)] * 9),
        png(SIZE, 4, PALETTE, [bytes(9)] * 9, chunk(b"PLTE", bytes(48)), chunk(b"tRNS", bytes(3))),
    ]
    picture = Image.effect_noise(SIZE, 60)
    for kind, mode, options in (
        ("PNG", "RGB", {"exif": exif, "icc_profile": b"profile"}),
        ("JPEG", "RGB", {"exif": exif}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "L", {"progressive": True, "comment": b"abc"}),
        ("WEBP", "RGB", {"exif": exif}),
        ("WEBP", "RGBA", {"lossless": True}),
    ):
        file = io.BytesIO()
        picture.convert(mode).save(file, kind, **options)
        made.append(file.getvalue())
    return made


def mutated(data: bytes, source: random.Random) -> bytes:
    """Bytes changed anywhere, but not the length: most of it gets past the header look."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 3)):
        changed[source.randrange(8, len(changed))] = source.choice((0, 0xFF, source.randrange(256)))
    return bytes(changed)


def test_whatever_is_in_a_file_it_is_refused_or_decoded() -> None:
    """Seeded; all three ends come often: refused by the headers, given up by a decoder, done."""
    source, files, reasons = random.Random(20261126), seeds(), set[str]()
    ends = dict.fromkeys(("refused", "gave up", "done"), 0)
    jobs = [Job(Work.CONVERT, output_format) for output_format in OutputFormat]
    jobs += [Job(Work.WHITE_MASK, pixels=Pixels(*SIZE)), Job(Work.ALPHA_MASK, pixels=Pixels(*SIZE), hard_edges=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MUTATIONS):
            try:
                result = perform(source.choice(jobs), mutated(source.choice(files), source), PIXELS_MAX)
            except Refused as exc:
                ends["gave up" if isinstance(exc, GaveUp) else "refused"] += 1
                reasons.add(str(exc))
            else:
                ends["done"] += 1
                with Image.open(io.BytesIO(result)) as image:
                    image.load()
                    assert image.width * image.height <= PIXELS_MAX
                    assert not set(image.info) & {"exif", "icc_profile", "comment", "xmp"}
    assert all(10 < len(reason) <= TEXT_BYTES_MAX for reason in reasons)
    assert min(ends.values()) > MUTATIONS // 50, ends
