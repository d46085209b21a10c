"""Settings of the validate service: section [validate]. Sizes in bytes, times in seconds."""

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
GIB = 1 << 30


class ArchiveLimits(BaseModel):
    """What an archive may grow to. Bytes count over all levels of nesting together."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    depth: int = Field(default=3, ge=1, description="archives within archives")
    files: int = Field(default=50_000, description="members of one archive")
    ratio: int = Field(default=100, description="bytes opened for each byte of the archive")
    free_bytes: int = Field(default=256 * MIB, description="growth that is never held against an archive")
    total_bytes: int = Field(default=200 * GIB, description="opened size of one archive")


class ValidateSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    clamav_host: str = Field(default="", description="empty: the antivirus is off")
    clamav_port: int = 3310
    clamav_max_bytes: int = Field(
        default=100 * MIB, description="what clamd scans whole: its StreamMaxLength, MaxFileSize, MaxScanSize"
    )
    archives: ArchiveLimits = ArchiveLimits()
    max_document_bytes: int = Field(default=4 * GIB, description="a photo, a video, a report")
    batch_bytes: int = Field(default=32 * MIB, description="size of the batches archives are repacked in")
    batch_files: int = 512
    concurrency: int = Field(
        default=2, description="batches read at once; keep it below process.workers: others need helpers too"
    )
    job_s: float = Field(default=300, description="time for a batch, beside that for its size")
    job_bytes_per_s: int = Field(default=2 * MIB, description="slowest speed a batch is worked on with")
    scan_s: float = Field(default=2, description="time for each file beside that, with the antivirus on")
    waiting_notice_s: float = Field(default=600, description="a wait this long is told to the sender")
