"""What a bucket's failure means to an operator: one sentence with cause and remedy, made of a class, a status and an error code. Pure.

The text of obstore is read and never passed on: it quotes answers and URLs, which may hold key ids, signatures and tokens.
"""

import re
from dataclasses import dataclass

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from gateway.blobs.bucket_url import BucketPlace, Cloud
from gateway.blobs.store import BlobStoreRefused, BlobStoreUnavailable

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,40})</Code>")
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"})
_CREDENTIALS = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidSecurity", "AuthenticationFailed",
    "InvalidAuthenticationInfo", "NoAuthenticationInformation", "ExpiredTokenException",
})  # fmt: skip
_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})
_ISSUER = re.compile(
    r"https?://(?:(?:sts\.|169\.254\.|metadata\.google|oauth2\.google|iamcredentials\.google|login\.microsoft)"
    r"|[^/]+/(?:latest/api/token|latest/meta-data|computeMetadata|metadata/identity))"
)
"""The addresses that credentials are fetched from."""
_ADDRESS = re.compile(r"Error performing [A-Z]+ (\S+) in ")
_HOW_CREDENTIALS = {
    Cloud.S3: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine or pod a role",
    Cloud.GCS: "GOOGLE_APPLICATION_CREDENTIALS to a service account's file, or give this machine or pod a service account",
    Cloud.AZURE: "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or give this machine or pod an identity",
}
_HOW_PERMITTED = {
    Cloud.S3: "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on its objects and s3:ListBucket on itself",
    Cloud.GCS: "the role Storage Object User on it",
    Cloud.AZURE: "the role Storage Blob Data Contributor on it",
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What can be told of a failure without quoting it."""

    text: str
    status: int
    code: str

    @property
    def shown(self) -> str:
        parts = [str(self.status) if self.status else "", self.code]
        return f" ({' '.join(filter(None, parts))})" if any(parts) else ""


def is_absent(exc: BaseException) -> bool:
    """The object is not there, as far as this answer tells: a HEAD's has no body, and does not say which of object and bucket is missing."""
    return isinstance(exc, FileNotFoundError) and _seen(exc).code not in _NO_BUCKET


def is_past_the_end(exc: BaseException) -> bool:
    """The object is there, and shorter than what was asked for."""
    return _seen(exc).status == 416


def told(place: BucketPlace, exc: BaseException) -> BlobStoreUnavailable:
    """To be raised `from None`."""
    seen = _seen(exc)
    cause = _refusal(place, exc, seen)
    if cause is not None:
        return BlobStoreRefused(f"image store {place}: {cause}")
    return BlobStoreUnavailable(f"image store {place}: {_trouble(exc, seen)}")


def refused(place: BucketPlace, exc: BaseException) -> BlobStoreRefused:
    """No client could be made of what the environment says."""
    if "Account must be specified" in str(exc):
        cause = "no storage account is named; set AZURE_STORAGE_ACCOUNT_NAME"
    else:
        cause = f"the credentials of the environment cannot be read; set {_HOW_CREDENTIALS[place.cloud]}"
    return BlobStoreRefused(f"image store {place}: {cause}")


def _refusal(place: BucketPlace, exc: BaseException, seen: _Seen) -> str | None:
    what = "container" if place.cloud is Cloud.AZURE else "bucket"
    if seen.code in _REGION or "without LOCATION" in seen.text or seen.status in (301, 307, 308):
        return f"the bucket is in another region{seen.shown}; write its s3_region, or set AWS_REGION"
    if "InvalidCertificate" in seen.text:
        return "its certificate is not trusted; set SSL_CERT_FILE to a file with its authority's and the usual ones"
    if seen.code in _CREDENTIALS or seen.status == 401 or isinstance(exc, UnauthenticatedError):
        return f"the credentials are not accepted{seen.shown}; set {_HOW_CREDENTIALS[place.cloud]}"
    if seen.code == "RequestTimeTooSkewed":
        return f"this machine's clock is wrong{seen.shown}; set it"
    address = _ADDRESS.search(seen.text)
    if address is not None and _ISSUER.match(address[1]):
        # Not a refusal where the issuer only fails for now.
        return None if seen.status >= 500 else f"no credentials are to be had; set {_HOW_CREDENTIALS[place.cloud]}"
    if seen.code in _NO_BUCKET or isinstance(exc, FileNotFoundError) or seen.status == 404:
        return f"there is no such {what}{seen.shown}; make it, or correct blobs in the config"
    if seen.status == 403 or isinstance(exc, PermissionDeniedError):
        return f"access is denied{seen.shown}; grant {_HOW_PERMITTED[place.cloud]}"
    return None


def _trouble(exc: BaseException, seen: _Seen) -> str:
    if isinstance(exc, TimeoutError) or "kind: Timeout" in seen.text:
        return "it does not answer in time; look at the service, or at the network to it"
    if seen.status == 429 or seen.code == "SlowDown":
        return f"it is asked too often{seen.shown}; spread the load over more buckets, or raise its limits"
    if seen.status:
        return f"it reports an error{seen.shown}; look at the service's status"
    if "dns error" in seen.text:
        return "its host name is not found; correct s3_endpoint, or look at the name server"
    if "kind: Connect" in seen.text:
        return "it cannot be reached; look at s3_endpoint, the service, or the network to it"
    return "the connection broke; look at the service, or at the network to it"


def _seen(exc: BaseException) -> _Seen:
    text = str(exc)
    status, code = _STATUS.search(text), _CODE.search(text)
    return _Seen(text, int(status[1]) if status else 0, code[1] if code else "")
