"""Where the config keeps pictures: in files below a folder, or in a bucket, and whose links to them callers get."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from gateway.blobs.bucket_url import BucketPlace, Cloud, is_bucket_url, parse_bucket_url
from gateway.config_text import Problems

DEFAULT_BLOBS = "file:///var/images"
_FIX = "Write file:///var/images, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER."
_SIGNING = {
    Cloud.GCS: (
        ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY"),
        "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key, or write gateway.",
    ),
    Cloud.AZURE: (
        ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
        "Set AZURE_STORAGE_ACCOUNT_KEY, or write gateway.",
    ),
}  # fmt: skip
"""What a link is signed by. S3 signs by whatever credentials there are; these two ask their service for each link where there is no key."""


class BlobLinks(StrEnum):
    """What a link to a result leads to."""

    GATEWAY = "gateway"
    PRESIGNED = "presigned"


@dataclass(frozen=True, slots=True)
class BlobsConfig:
    """`bucket` goes before `folder`, which is then of no use."""

    folder: Path
    bucket: BucketPlace | None
    links: BlobLinks


class BlobSettings(Protocol):
    """Keys of the config file."""

    @property
    def blobs(self) -> str: ...
    @property
    def s3_endpoint(self) -> str | None: ...
    @property
    def s3_region(self) -> str | None: ...
    @property
    def s3_path_style(self) -> bool | None: ...
    @property
    def blob_links(self) -> BlobLinks: ...


def blobs_of(file: BlobSettings, environ: Mapping[str, str], problems: Problems) -> BlobsConfig:
    """`file:///var/images` is relative to the working folder, as SQLite's URL is; `file:////srv/images` is absolute."""
    text = file.blobs
    if not is_bucket_url(text):
        if not text.startswith("file:///") or not text.removeprefix("file:///"):
            problems.add("blobs", text, "is no place for pictures", _FIX)
        elif file.blob_links is BlobLinks.PRESIGNED:
            problems.add(
                "blob_links", "presigned", "needs pictures in a bucket", "Write gateway, or a bucket in blobs."
            )
        return BlobsConfig(Path(text.removeprefix("file:///")), None, BlobLinks.GATEWAY)
    folder = Path(DEFAULT_BLOBS.removeprefix("file:///"))
    try:
        place = parse_bucket_url(text)
    except ValueError as exc:
        problems.add("blobs", text, str(exc), _FIX)
        return BlobsConfig(folder, None, file.blob_links)
    if place.cloud is Cloud.S3:
        place = replace(place, endpoint=file.s3_endpoint, region=file.s3_region, path_style=file.s3_path_style)
    if place.cloud is Cloud.AZURE and not environ.get("AZURE_STORAGE_ACCOUNT_NAME"):
        problems.add("blobs", text, "names no storage account", "Set AZURE_STORAGE_ACCOUNT_NAME in the environment.")
    names, fix = _SIGNING.get(place.cloud, ((), ""))
    if file.blob_links is BlobLinks.PRESIGNED and names and not any(environ.get(name) for name in names):
        problems.add("blob_links", "presigned", "would ask the cloud for each link, without a key to sign by", fix)
    return BlobsConfig(folder, place, file.blob_links)


def blob_notes(file: BlobSettings) -> list[str]:
    """What stands in the file and is of no use there."""
    given = [name for name in ("s3_endpoint", "s3_region", "s3_path_style") if getattr(file, name) is not None]
    if not given or file.blobs.startswith("s3://"):
        return []
    return [f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect: blobs is no s3:// URL"]
