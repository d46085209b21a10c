"""Settings of the view service."""

from pydantic import BaseModel, ConfigDict, Field


class ViewSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    helpers: int = Field(
        default=2, ge=1, le=64, description="processes that decode and draw images, and do nothing else"
    )
    query_limit: int = Field(default=1000, ge=1, description="most results of one QIDO-RS query")
    search_limit: int = Field(default=20_000, ge=1, description="most studies one query looks through")
    cached_instances: int = Field(default=20_000, ge=0, description="instances whose index is kept in memory")
    picture_bytes: int = Field(default=512 << 20, ge=0, description="pictures kept on local disk, in bytes")
    thumbnails: tuple[int, ...] = Field(
        default=(128, 192, 256), description="sides of the thumbnails made ready when a study arrives"
    )
