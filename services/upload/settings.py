"""Settings of the upload service: section [upload]. Sizes in bytes, times in seconds."""

from pydantic import BaseModel, ConfigDict, Field

MIB = 1 << 20
GIB = 1 << 30


class UploadSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_bytes: int = Field(default=32 * MIB, description="a batch of several files is about this large")
    batch_files: int = Field(default=512, description="files in one batch")
    part_bytes: int = Field(
        default=32 * MIB,
        description="size of the parts a tus upload is stored in; a batch in one part is stored once",
    )
    max_file_bytes: int = Field(default=16 * GIB, description="one file, one tus upload")
    max_submission_bytes: int = 200 * GIB
    max_files: int = Field(default=50_000, description="in one submission")
    max_batches: int = Field(default=5_000, description="in one submission")
    max_open_uploads: int = Field(default=64, description="tus uploads under way in one submission")
    max_transfers: int = Field(
        default=256,
        description="tus requests one process takes in at once; each may hold `part_bytes` of disk",
    )
    max_manifest_bytes: int = Field(default=32 * MIB, description="the request that opens a submission")

    reserve_bytes: int = Field(default=512 * MIB, description="free space below which every door answers 507")
    body_timeout_s: float = Field(default=60, description="longest pause within a request's body")
    min_rate: int = Field(default=1024, description="slowest average of a body, bytes a second")
    max_failures: int = Field(default=240, description="refused requests of one token a minute before 429")

    upload_expires_s: int = Field(default=24 * 3600, description="an unfinished tus upload without news")
    submission_expires_s: int = Field(default=24 * 3600, description="an open submission without a new batch")
    quiet_s: int = Field(default=60, description="STOW and DICOM senders: silence that closes a submission")
    abandoned_s: int = Field(
        default=6 * 3600,
        description="of several processes, others close what one with its spool left open so much later",
    )
    idle_s: float = Field(default=2, description="STOW and DICOM senders: silence that ends a batch")
    session_max_s: int = Field(default=1800, description="a sender that is never quiet gets a new submission")

    dicom_host: str = "127.0.0.1"
    dicom_port: int = Field(default=11112, description="0: any free port; -1: no DICOM door")
    dicom_called_ae: str = Field(default="", description="when set, associations must call this AE title")
    dicom_tls_cert: str = Field(default="", description="certificate file; with it the DICOM door speaks TLS")
    dicom_tls_key: str = ""
    dicom_tls_ca: str = Field(default="", description="who may have signed client certificates")
    require_client_certificate: bool = False
    dicom_max_associations: int = 32
    dicom_max_per_address: int = 16
    dicom_idle_s: float = Field(default=60, description="an association without a message is aborted")
