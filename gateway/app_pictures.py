"""Callers' pictures, put together: taking them in, giving them to tasks, decoding the few that must be, deleting them in time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from gateway.blobs.links import LinkSigner
from gateway.blobs.measured import MeasuredBlobStore
from gateway.blobs.presigned import PresignedLinks
from gateway.blobs.store import BlobStore
from gateway.config import Config
from gateway.config_blobs import BlobLinks
from gateway.db.writer import Database
from gateway.domain.clock import Clock
from gateway.egress.errors import EgressRefused
from gateway.egress.guard import EgressPolicy, check_url
from gateway.imaging.decode import Decoder
from gateway.pipeline.commands import Command, Outcome
from gateway.pipeline.fetching import Fetching
from gateway.pipeline.inputs import TaskInputs
from gateway.pipeline.intake import Intake
from gateway.pipeline.upload_expiry import ExpiredUploads
from gateway.pipeline.uploads import Uploads, UploadTerms


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the rest of the gateway is handed."""

    uploads: Uploads
    inputs: TaskInputs
    decoder: Decoder
    expired: ExpiredUploads
    """For the sweeper."""


@asynccontextmanager
async def open_pictures(
    config: Config,
    database: Database[Command, Outcome],
    blobs: BlobStore,
    signer: LinkSigner,
    clock: Clock,
) -> AsyncIterator[Pictures]:
    """Until the block ends, after the drain: tasks use the workers to their end."""
    intake, fetching = Intake(database, blobs, clock), Fetching(config.egress, clock)
    decoder = Decoder(config.decoder)
    terms = UploadTerms(config.retention.uploads_s * 1000, config.quota)
    link = signer.url if is_public(config.server.public_url) else None
    try:
        yield Pictures(
            Uploads(intake, fetching, database, blobs, clock, terms),
            TaskInputs(intake, fetching, decoder, database, blobs, clock, link),
            decoder,
            ExpiredUploads(intake, database),
        )
    finally:
        await decoder.aclose()
        await fetching.close()


def presigned_links(
    config: Config, blobs: MeasuredBlobStore, signer: LinkSigner, clock: Clock
) -> PresignedLinks | None:
    """None: links lead to this gateway."""
    if config.blob_links is not BlobLinks.PRESIGNED:
        return None
    from gateway.blobs.bucket import BucketBlobStore  # loaded already where there is a bucket

    assert isinstance(blobs.store, BucketBlobStore), "the config allows this with a bucket alone"
    return PresignedLinks(blobs.store.presigned, signer, clock)


def is_public(public_url: str) -> bool:
    """Whether an upstream could follow a link to this gateway: https, and neither a private address nor a name that only means something inside."""
    try:
        port = urlsplit(public_url).port or 443
        check_url(public_url, replace(EgressPolicy(), ports=(port,)))
    except (EgressRefused, ValueError):
        return False
    return True
