"""A bucket as obstore opens it: options of each cloud, and the time-outs and retries that are ours. No network.

Credentials are read by obstore itself, from the process environment (AWS_*, GOOGLE_*, AZURE_*) or from the identity of the machine, container or
pod, and renewed by it. How it fails: BlobStoreRefused where no client can be made of what is there.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from gateway.blobs.bucket_faults import refused
from gateway.blobs.bucket_url import BucketPlace, Cloud

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig, S3Config

ObjectStore: TypeAlias = S3Store | GCSStore | AzureStore


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for a bucket. `call_s` bounds one call with its retries; what has many bytes to move has a second for each MiB more."""

    connect_s: float = 5.0
    read_s: float = 20.0
    """From a request's first byte to its answer's first, its body included, and between two pieces of an answer."""
    retries_max: int = 3
    retry_s: float = 12.0
    """No retry begins later than this after the first try."""
    pause_s: float = 0.1
    """Before the first retry; doubled for each further one, up to two seconds."""
    call_s: float = 25.0
    open_s: float = 10.0
    """For the first look at a bucket when the gateway starts."""


def open_store(place: BucketPlace, patience: Patience) -> ObjectStore:
    """Raises BlobStoreRefused."""
    retries: RetryConfig = {
        "max_retries": patience.retries_max,
        "retry_timeout": timedelta(seconds=patience.retry_s),
        "backoff": {
            "init_backoff": timedelta(seconds=patience.pause_s),
            "max_backoff": timedelta(seconds=2),
            "base": 2,
        },
    }
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=patience.connect_s),
        "read_timeout": timedelta(seconds=patience.read_s),
        # Of a whole answer: a picture on its way to a slow upstream. What hangs is found by the ones above.
        "timeout": timedelta(minutes=30),
    }
    if (place.endpoint or "").startswith("http://"):
        client["allow_http"] = True
    bucket, prefix = place.bucket, place.prefix or None
    try:
        match place.cloud:
            case Cloud.S3:
                s3 = s3_config(place)
                return S3Store(bucket, prefix=prefix, config=s3, client_options=client, retry_config=retries)
            case Cloud.GCS:
                gcs: GCSConfig = {"base_url": place.endpoint} if place.endpoint else {}
                return GCSStore(bucket, prefix=prefix, config=gcs, client_options=client, retry_config=retries)
            case Cloud.AZURE:
                azure: AzureConfig = {"endpoint": place.endpoint} if place.endpoint else {}
                return AzureStore(bucket, prefix=prefix, config=azure, client_options=client, retry_config=retries)
    except (BaseError, ValueError, OSError) as exc:
        raise refused(place, exc) from None  # its text may quote a credential


def s3_config(place: BucketPlace) -> "S3Config":
    """What the config file says goes before the environment."""
    endpoint, path_style = place.endpoint, place.path_style
    if path_style is None:
        path_style = endpoint is not None or "." in place.bucket  # a wildcard certificate covers no dots
    config: S3Config = {"virtual_hosted_style_request": not path_style}
    if place.region is not None:
        config["region"] = place.region
    if endpoint is not None:
        parts = urlsplit(endpoint)
        # obstore wants the bucket in such an endpoint's host already.
        config["endpoint"] = endpoint if path_style else f"{parts.scheme}://{place.bucket}.{parts.netloc}{parts.path}"
    return config
