"""Settings of the portal service: section [portal] of the TOML file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PortalSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    page_limit: int = 200
    """The most studies one answer of GET /api/studies holds."""
    policies: bool = True
    """False: sender policies approve nothing, every study waits for a person."""
    session_idle_minutes: float = Field(default=30, ge=0.05, le=1440)
    """A browser before which nobody does anything for so long is signed out, however many pages are open."""
    session_hours: int = Field(default=12, ge=1, le=168)
    """And after so long however busy it is."""
    second_factor: Literal["optional", "staff", "all"] = "optional"
    """Who must have a second factor: nobody, everybody who sees more than own submissions, everybody."""
    registration: bool = True
    """Whether somebody may ask for an account; an administrator approves or declines."""
    invite_days: int = Field(default=7, ge=1, le=60)
    reset_minutes: int = Field(default=60, ge=5, le=1440)
    breached_passwords_file: str = ""
    """Sorted SHA-1 hashes of passwords found in breaches; those are refused too."""
    undo_seconds: float = Field(default=5, ge=0, le=60)
    """A decision made on a page can be undone for so long; only then is it made."""
    overdue_hours: int = Field(default=24, ge=1)
    """What waits longer for a person stands out in the inbox."""
    share_days: int = Field(default=14, ge=1, le=365)
    """How long a share link works unless its maker says otherwise."""
