"""Where pictures are kept in object storage: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`, and how S3 is spoken to. Pure.

The names are checked by the rules of the service, so that a typing error is found before the first call. Fails with ValueError, whose text says why.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

PREFIX_CHARS_MAX = 400
"""With a blob's name below it, well under the 1,024 bytes that a key may have."""
_URL = re.compile(r"(s3|gs|az)://([^/]*)(?:/(.*))?")
_SEGMENT = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9_.=-]*")


class Cloud(StrEnum):
    """Whose API it is; the value is the scheme of its URLs."""

    S3 = "s3"
    GCS = "gs"
    AZURE = "az"


_BUCKETS = {
    Cloud.S3: (re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"), "3 to 63 of a-z, 0-9, dots and hyphens"),
    Cloud.GCS: (re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"), "3 to 222 of a-z, 0-9, dots, hyphens and underscores"),
    Cloud.AZURE: (re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*"), "3 to 63 of a-z, 0-9 and single hyphens"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A bucket, or a folder of one. Holds no secret: credentials come from the environment or the machine's own identity."""

    cloud: Cloud
    bucket: str
    prefix: str = ""
    """Without slashes at its ends; empty: the whole bucket."""
    endpoint: str | None = None
    """Of an S3 that is not Amazon's, or of an emulator; None: what the environment says, or the cloud's own."""
    region: str | None = None
    path_style: bool | None = None
    """Whether the bucket stands in the path of S3's URLs; None: at an endpoint and for names with dots, and else in the host."""

    def __str__(self) -> str:
        return f"{self.cloud}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def is_bucket_url(text: str) -> bool:
    return text.startswith(tuple(f"{cloud}://" for cloud in Cloud))


def parse_bucket_url(text: str) -> BucketPlace:
    """Raises ValueError."""
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("is no URL of a bucket")
    cloud, bucket, prefix = Cloud(match[1]), match[2], (match[3] or "").strip("/")
    pattern, rule = _BUCKETS[cloud]
    what = "container" if cloud is Cloud.AZURE else "bucket"
    if not pattern.fullmatch(bucket):
        raise ValueError(f"names no {what}: its name has {rule}")
    if len(prefix) > PREFIX_CHARS_MAX or not all(map(_SEGMENT.fullmatch, prefix.split("/") if prefix else [])):
        raise ValueError(
            f"has a folder that is not of A-Z, a-z, 0-9, _ . = - and {PREFIX_CHARS_MAX} characters at most"
        )
    return BucketPlace(cloud, bucket, prefix)
