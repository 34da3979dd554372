"""From a file to pixels: only what the header look allows, only the one decoder that belongs to it, and eight bits a channel at the end.

Right colours for every kind of PNG that has more or less than eight bits, where Pillow's own conversions clip or lose the transparent colour.
ICC profiles are neither applied nor kept. How it fails: Refused, GaveUp when a decoder failed; a MemoryError is the caller's to name.
"""

import io
import warnings

from PIL import ExifTags, Image, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from gateway.imaging.sniff import NotAnImage, SniffedImage, sniff
from gateway.imaging.worker.refusal import GaveUp, Refused

DECODERS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin, TiffImagePlugin)
"""All that opening ever imports, imported at once: later no file can be opened. MPO is a JPEG with more behind it, TIFF the form of EXIF."""
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_DEPTH_AT = 24
"""Where a PNG says its bits a channel: after signature, length, IHDR, width and height."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def forbid_bombs(pixels_max: int) -> None:
    """Pillow's own limit, as a second opinion: what it would warn of is an error."""
    Image.MAX_IMAGE_PIXELS = pixels_max
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def look(data: bytes, pixels_max: int) -> SniffedImage:
    """What the headers say, if the picture may be decoded at all."""
    try:
        found = sniff(data)
    except NotAnImage as exc:
        raise Refused(f"the picture cannot be used: {exc.reason}; send PNG, JPEG or WebP") from exc
    if found.content_type not in _FORMATS:
        raise Refused(f"{found.content_type} is not accepted here; send PNG, JPEG or WebP")
    if found.width * found.height > pixels_max:
        raise Refused(f"{found.width}x{found.height} is more than {pixels_max} pixels; send a smaller picture")
    return found


def pixels_of(data: bytes, found: SniffedImage, *, upright: bool) -> Image.Image:
    """All pixels, in mode L, LA, RGB or RGBA and without metadata; turned as EXIF's orientation says, or as they are stored."""
    depth = data[_DEPTH_AT] if found.content_type == "image/png" else 8
    try:
        image = Image.open(io.BytesIO(data), formats=(_FORMATS[found.content_type],))
        if image.size != (found.width, found.height):
            raise GaveUp("the picture is damaged: it states two sizes")
        image.load()
    except (MemoryError, Refused):
        raise
    except Exception as exc:
        raise GaveUp("the picture is damaged: it cannot be decoded; save it anew") from exc
    turn = _UPRIGHT.get(_orientation(image)) if upright else None
    plain = _eight_bits(image, depth)
    plain.info.clear()  # Pillow would write profile, comment and transparent colour from here into the next file
    return plain if turn is None else plain.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 where there is none; broken EXIF is common, and no reason to refuse."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever the parser raises on broken EXIF means that there is none
        return 1
    return value if isinstance(value, int) else 1


def _eight_bits(image: Image.Image, depth: int) -> Image.Image:
    clear = image.info.get("transparency")
    if clear is not None and depth == 16:
        raise Refused("a PNG of 16 bits with a transparent colour is not accepted; save it with an alpha channel")
    match image.mode:
        case "L" | "1":
            if isinstance(clear, int) and 1 < depth < 8:
                image.info["transparency"] = clear * 255 // (2**depth - 1)  # the file means a step, Pillow a grey
            return image.convert("L" if clear is None else "LA")
        case "I;16":
            return image.convert("I").point([value >> 8 for value in range(1 << 16)], "L")
        case "P":
            return image.convert("RGB" if clear is None else "RGBA")
        case "RGB":
            return image if clear is None else image.convert("RGBA")
        case "LA" | "RGBA":
            return image
        case "CMYK":
            return image.convert("RGB")
    raise Refused("the picture's colours are of a rare kind; save it as RGB")
