"""What makes two requests identical: one keyed hash over everything that shapes the picture. Pure.

Not in it: how the answer is given (contract, response format, streaming, callback), whom the call is for (`user`, `safety_identifier`), and how a
size is written (`1:1` and its pixels are one). In it: the offers that the catalogue has for the model, so that a new offer begins anew, and the
contents of references and mask, not their names. Keyed, because a bare hash of a prompt could be checked against a guess.
"""

import hashlib
from collections.abc import Mapping, Sequence

from gateway.domain.choice import UpstreamChoice
from gateway.domain.images import ImageInput, ImageRequest

VERSION = "1"
"""Change it with anything that changes what a fingerprint means: what is cached under another one is never found."""
_WHOM_FOR = frozenset({"user", "safety_identifier"})


def fingerprint(
    secret: bytes,
    scope: str,
    request: ImageRequest,
    choice: UpstreamChoice,
    offers: Sequence[str],
    contents: Mapping[ImageInput, str],
) -> str:
    """64 hex digits. `scope`: whose calls may share; `offers`: what makes the model's pictures, in any form that tells them apart;
    `contents`: SHA-256 of every reference, and of the mask."""
    digest = hashlib.blake2b(key=hashlib.sha256(secret).digest(), digest_size=32)
    parts: list[str] = [
        VERSION,
        scope,
        request.model,
        request.operation.value,
        str(request.n),
        request.size if request.pixels is None else str(request.pixels),
        request.quality.value,
        request.background.value,
        "" if request.output_format is None else request.output_format.value,
        ",".join(choice.prefer),
        ",".join(choice.only),
        "" if request.mask is None else contents[request.mask],
    ]
    _add(digest, parts)
    _add(digest, [contents[image] for image in request.images])
    _add(digest, [text for option in request.options if option[0] not in _WHOM_FOR for text in option])
    _add(digest, offers)
    _add(digest, [request.prompt])
    return digest.hexdigest()


def _add(digest: "hashlib.blake2b", parts: Sequence[str]) -> None:
    """With their number and lengths, so that no two lists of parts come to the same bytes."""
    digest.update(len(parts).to_bytes(4, "big"))
    for part in parts:
        data = part.encode(errors="surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
