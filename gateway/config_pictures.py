"""The sections about callers' pictures: how many are kept, and what decoding them may take."""

from pydantic import Field

from gateway.config_sections import DURATION_FIX, Duration, Section
from gateway.files.quota import MB, Quota
from gateway.imaging.decode import DecoderLimits

MIB = 1 << 20
CPU_SHARE = 2 / 3
"""Processor time of a picture, of its time: less, so that a slow picture can be told from a slow machine."""


class QuotaSection(Section):
    mb: int = Field(1_000, ge=1, le=1_000_000, description="Write the most megabytes of uploads that a key may keep.")
    files: int = Field(1_000, ge=1, le=1_000_000, description="Write the most uploads that a key may keep.")


class FilesSection(Section):
    quota: QuotaSection = Field(QuotaSection.model_construct(), description="Write {mb: 1000, files: 1000}.")


class ImagesSection(Section):
    workers: int = Field(1, ge=1, le=64, description="Write how many processes decode pictures, 1 to 64.")
    pixels: int = Field(
        25_000_000, ge=1_000_000, le=40_000_000, description="Write the most pixels of a picture that is decoded."
    )
    memory: int = Field(
        1_024, ge=256, le=65_536, description="Write the MiB of address space that a worker may have, 256 or more."
    )
    timeout: Duration = Field(30.0, ge=1, le=300, description=DURATION_FIX)


def quota_of(section: FilesSection) -> Quota:
    return Quota(section.quota.mb * MB, section.quota.files)


def decoder_limits_of(section: ImagesSection) -> DecoderLimits:
    return DecoderLimits(
        workers=section.workers,
        job_s=section.timeout,
        cpu_s=max(1, int(section.timeout * CPU_SHARE)),
        memory_bytes=section.memory * MIB,
        pixels_max=section.pixels,
    )
