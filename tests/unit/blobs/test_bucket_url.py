"""Where pictures are kept in object storage, and how obstore is told: pure, for all three clouds, without a network."""

from urllib.parse import parse_qs, urlsplit

import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from gateway.blobs.bucket import BucketBlobStore
from gateway.blobs.bucket_faults import told
from gateway.blobs.bucket_url import BucketPlace, Cloud, is_bucket_url, parse_bucket_url
from gateway.blobs.clouds import Patience, open_store, s3_config
from gateway.blobs.content_types import OTHER, content_type_of
from gateway.blobs.store import BlobStoreRefused

AZURE_KEY = "c2VjcmV0LWFjY291bnQta2V5"


@pytest.fixture(autouse=True)
def _no_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of nobody, whatever the machine has."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://pictures", BucketPlace(Cloud.S3, "pictures")),
        ("s3://pictures/", BucketPlace(Cloud.S3, "pictures")),
        ("s3://pic.tures/a/b_c/D.1/", BucketPlace(Cloud.S3, "pic.tures", "a/b_c/D.1")),
        ("gs://pictures_of-acme/x", BucketPlace(Cloud.GCS, "pictures_of-acme", "x")),
        ("az://pictures/env=prod", BucketPlace(Cloud.AZURE, "pictures", "env=prod")),
    ],
)
def test_urls_of_buckets(text: str, place: BucketPlace) -> None:
    """Scheme, bucket and folder; written out they are the same URL without a slash at its end."""
    assert is_bucket_url(text)
    assert parse_bucket_url(text) == place
    assert str(place) == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s3:pictures", "no URL of a bucket"),
        ("s3://", "names no bucket: its name has 3 to 63"),
        ("s3:///pictures", "names no bucket"),
        ("s3://Pictures", "names no bucket"),
        ("s3://key:secret@pictures", "names no bucket"),
        ("s3://pictures/a?region=x", "folder"),
        ("s3://pictures/../a", "folder"),
        ("s3://pictures/.probe", "folder"),
        ("s3://pictures/a//b", "folder"),
        ("s3://pictures/" + "a" * 401, "400 characters"),
        ("gs://x", "names no bucket: its name has 3 to 222"),
        ("az://my_container", "names no container"),
        ("az://a--b", "names no container"),
    ],
)
def test_what_is_no_bucket(text: str, why: str) -> None:
    """A typing error is told by the service's own rules, before anything is asked of it."""
    with pytest.raises(ValueError, match=why):
        parse_bucket_url(text)


def test_other_urls_are_not_of_buckets() -> None:
    """Files and web addresses are somebody else's."""
    assert not any(map(is_bucket_url, ("file:///var/images", "/srv", "https://s3.amazonaws.com/x", "s3", "")))


@pytest.mark.parametrize(
    ("place", "config"),
    [
        (BucketPlace(Cloud.S3, "pics"), {"virtual_hosted_style_request": True}),
        (
            BucketPlace(Cloud.S3, "my.pics", region="eu-west-1"),
            {"virtual_hosted_style_request": False, "region": "eu-west-1"},
        ),
        (
            BucketPlace(Cloud.S3, "pics", endpoint="https://minio:9000"),
            {"virtual_hosted_style_request": False, "endpoint": "https://minio:9000"},
        ),
        (
            BucketPlace(Cloud.S3, "pics", endpoint="https://fra1.example.com", path_style=False),
            {"virtual_hosted_style_request": True, "endpoint": "https://pics.fra1.example.com"},
        ),
    ],
)
def test_how_s3_is_spoken_to(place: BucketPlace, config: dict[str, object]) -> None:
    """The bucket is in the host at Amazon and in the path elsewhere, unless the config says so."""
    assert s3_config(place) == config


def test_stores_of_the_three_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bucket, folder, credentials and time-outs arrive."""
    s3 = open_store(BucketPlace(Cloud.S3, "pics", "a/b", "http://minio:9000", "eu-west-1"), Patience())
    assert isinstance(s3, S3Store)
    assert (s3.prefix, s3.config["bucket"], s3.config["region"]) == ("a/b", "pics", "eu-west-1")
    assert s3.client_options is not None
    assert str(s3.client_options["allow_http"]).lower() == "true"
    assert s3.retry_config is not None
    assert s3.retry_config["max_retries"] == 3
    gcs = open_store(BucketPlace(Cloud.GCS, "pics", "a"), Patience())
    assert isinstance(gcs, GCSStore)
    assert (gcs.prefix, gcs.config["bucket"]) == ("a", "pics")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acme")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
    azure = open_store(BucketPlace(Cloud.AZURE, "pics"), Patience())
    assert isinstance(azure, AzureStore)
    assert azure.prefix is None


async def test_azure_signs_by_its_account_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a call: there is no such account."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acme")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
    store = BucketBlobStore(BucketPlace(Cloud.AZURE, "pics", "a"), Patience())
    [url] = await store.presigned(["att_1/0"], 3600)
    parts = urlsplit(url)
    assert (parts.hostname, parts.path) == ("acme.blob.core.windows.net", "/pics/a/att_1/0")
    assert parse_qs(parts.query)["sp"] == ["r"]


async def test_s3_signs_by_its_secret() -> None:
    """At Amazon with the bucket in the host; the secret is in no part of it."""
    store = BucketBlobStore(BucketPlace(Cloud.S3, "pics", "a", region="eu-west-1"), Patience())
    [url] = await store.presigned(["att_1/0"], 3600)
    assert urlsplit(url).hostname == "pics.s3.eu-west-1.amazonaws.com"
    assert urlsplit(url).path == "/a/att_1/0"
    assert "very-secret" not in url


@pytest.mark.parametrize(
    ("cloud", "variables", "cause"),
    [
        (Cloud.AZURE, {}, "no storage account is named; set AZURE_STORAGE_ACCOUNT_NAME"),
        (
            Cloud.AZURE,
            {"AZURE_STORAGE_ACCOUNT_NAME": "acme", "AZURE_STORAGE_ACCOUNT_KEY": "not base64!"},
            "cannot be read; set AZURE_",
        ),
        (Cloud.GCS, {"GOOGLE_SERVICE_ACCOUNT_KEY": "{hunter2"}, "cannot be read; set GOOGLE_APPLICATION_CREDENTIALS"),
        (Cloud.GCS, {"GOOGLE_SERVICE_ACCOUNT": "/nowhere.json"}, "cannot be read; set GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_credentials_that_cannot_be_read(
    cloud: Cloud, variables: dict[str, str], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told with the remedy, without what they are."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BlobStoreRefused, match=cause) as seen:
        open_store(BucketPlace(cloud, "pics"), Patience())
    assert "hunter2" not in str(seen.value)


@pytest.mark.parametrize(
    ("cloud", "text", "cause"),
    [
        (Cloud.S3, "Error performing PUT http://169.254.169.254/latest/api/token in 1s - kind: Connect", "no credentials are to be had; set AWS_"),
        (Cloud.S3, "Error performing POST https://sts.eu-west-1.amazonaws.com/ in 1s - status code: 403 Forbidden", "no credentials are to be had"),
        (Cloud.S3, "Error performing PUT https://tests.s3.amazonaws.com/sts/oauth2 in 1s - status code: 403 Forbidden", "access is denied"),
        (Cloud.S3, "kind: Connect, error: InvalidCertificate(UnknownIssuer)", "its certificate is not trusted; set SSL_CERT_FILE"),
        (Cloud.GCS, "Error performing GET http://metadata.google.internal/computeMetadata/v1 in 1s - dns error", "set GOOGLE_APPLICATION"),
        (Cloud.GCS, "status code: 404 Not Found: <Error><Code>NoSuchBucket</Code>", "there is no such bucket (404 NoSuchBucket); make it"),
        (Cloud.AZURE, "status code: 404 Not Found: <Error><Code>ContainerNotFound</Code>", "there is no such container"),
        (Cloud.AZURE, "status code: 403 Forbidden: <Error><Code>AuthenticationFailed</Code>", "credentials are not accepted"),
        (Cloud.AZURE, "status code: 403 Forbidden: <Error><Code>AuthorizationPermissionMismatch</Code>", "Storage Blob Data Contributor"),
    ],
)  # fmt: skip
def test_causes_are_told_in_each_clouds_words(cloud: Cloud, text: str, cause: str) -> None:
    """By the address, status and code of a failure."""
    failure = told(BucketPlace(cloud, "pics"), OSError(text))
    assert cause in str(failure)
    assert isinstance(failure, BlobStoreRefused)


def test_a_failing_issuer_of_credentials_is_no_refusal() -> None:
    """A gateway need not be started anew for that."""
    text = "Error performing POST https://sts.amazonaws.com/ in 1s - status code: 503 Service Unavailable"
    assert not isinstance(told(BucketPlace(Cloud.S3, "pics"), OSError(text)), BlobStoreRefused)


def test_labels() -> None:
    """What is no picture is nothing that a browser would run."""
    assert content_type_of(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    for head in (b"", b"<html>", b"<svg xmlns=", b"{}", b"RIFF\x00\x00\x00\x00WAVE"):
        assert content_type_of(head) == OTHER
