"""Settings of the forward service (section [forward])."""

from pydantic import BaseModel, ConfigDict, Field


class ForwardSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    per_destination: int = Field(default=2, ge=1, description="deliveries under way to one destination")
    max_attempts: int = Field(
        default=60,
        ge=1,
        description="tries without any progress before a person is asked; 60 is about two days",
    )
    away_notice_s: float = Field(
        default=900, ge=0, description="after so long a destination that does not answer is told of"
    )
    connect_timeout_s: float = Field(default=10, gt=0)
    answer_timeout_s: float = Field(
        default=60, gt=0, description="how long a PACS may take to answer one request, or to take more bytes"
    )
    step_s: float = Field(default=60, gt=0, description="after so long a delivery lets others have a turn")
    instance_retry_s: float = Field(
        default=30, ge=0, description="pause before an image the PACS refused is offered again"
    )
    instance_tries: int = Field(default=3, ge=1, description="how often one image is offered in all")
    proof_rounds: int = Field(
        default=2, ge=0, description="how often images missing from the PACS are sent again before giving up"
    )
    proof_retry_s: float = Field(default=5, ge=0, description="pause before the PACS is asked once more")
    commitment_poll_s: float = Field(default=2, gt=0, description="how often a report is looked for")
    commitment_batch: int = Field(default=1000, ge=1, description="images in one storage commitment request")
    stow_instances: int = Field(default=50, ge=1, description="images in one STOW-RS request")
    stow_bytes: int = Field(default=32 << 20, ge=1, description="bytes in one STOW-RS request")
