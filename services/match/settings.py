"""Settings of the match service (section [match])."""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator


class MatchSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    hl7_host: str = "127.0.0.1"
    hl7_port: int = Field(default=2575, ge=-1, le=65535, description="0: any free port; -1: no HL7 door")
    hl7_allow: list[str] = Field(
        default=["127.0.0.0/8", "::1"],
        description="addresses and networks that may connect; HL7 over MLLP knows no passwords",
    )
    hl7_tls_certificate: Path | None = None
    hl7_tls_key: Path | None = None
    hl7_tls_client_ca: Path | None = Field(
        default=None, description="mutual TLS: who signs client certificates"
    )
    hl7_connections: int = Field(default=64, ge=1)
    hl7_message_bytes: int = Field(default=4 << 20, ge=4096, description="a longer message is rejected")
    hl7_message_seconds: float = Field(default=30, gt=0, description="from its first byte to its last")
    hl7_accession_from_filler: bool = Field(
        default=True, description="orders without an accession number take the filler order number for one"
    )

    worklist_host: str = Field(default="", description="a modality worklist to ask; empty: none")
    worklist_port: int = Field(default=104, ge=0, le=65535)
    worklist_called_ae: str = "WORKLIST"
    worklist_calling_ae: str = "ANTEROOM"
    worklist_timeout_seconds: float = Field(default=30, gt=0)
    worklist_again_minutes: float = Field(
        default=15, gt=0, description="how often a waiting study is asked for again"
    )
    worklist_days: float = Field(default=14, gt=0, description="for how long after it arrived")

    @field_validator("hl7_allow")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value
