"""Settings of the portal service: section [portal] of the TOML file."""

from pydantic import BaseModel, ConfigDict


class PortalSettings(BaseModel):
    model_config = ConfigDict(frozen=True)
    page_limit: int = 200
    """The most studies one answer of GET /api/studies holds."""
    policies: bool = True
    """False: sender policies approve nothing, every study waits for a person."""
