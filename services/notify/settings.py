"""Settings of the notify service: section [notify] of the TOML file."""

import ipaddress
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from schemas.shapes import Person

Language = Literal["en", "de"]


class EmailSettings(BaseModel):
    """Email is on when `host` and `sender` are set."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["none", "starttls", "tls"] = "starttls"
    """`none` is for a server on this very machine."""
    user: str = ""
    password: SecretStr = SecretStr("")
    sender: str = Field(default="", description="address in From and of the envelope")
    reply_to: str = ""
    ca_file: str = Field(default="", description="PEM file of the authority that signed the server")
    timeout_s: float = Field(default=30, gt=0, le=120)

    @property
    def configured(self) -> bool:
        return bool(self.host and self.sender)

    @model_validator(mode="after")
    def _plain_only_at_home(self) -> Self:
        if self.host and self.tls == "none" and not _loopback(self.host):
            raise ValueError(
                "email without TLS is only for a server on this machine: set tls to starttls or tls"
            )
        return self


class SmsSettings(BaseModel):
    """SMS is on when account, token and sender are set."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    account_sid: str = ""
    auth_token: SecretStr = SecretStr("")
    sender: str = Field(default="", description="phone number (E.164) or messaging service SID (MG…)")
    api_url: str = "https://api.twilio.com"
    status_url: str = Field(
        default="",
        description="where Twilio reaches this installation for delivery reports; empty: the site's "
        "address when it is https, else no reports",
    )
    timeout_s: float = Field(default=20, gt=0, le=120)

    @property
    def configured(self) -> bool:
        return bool(self.account_sid and self.auth_token.get_secret_value() and self.sender)


class NotifySettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    email: EmailSettings = EmailSettings()
    sms: SmsSettings = SmsSettings()
    staff: tuple[Person, ...] = Field(default=(), description="who hears of failures")
    language: Language = "en"
    """Of staff and recipients; a sender's account names its own."""
    off: bool = Field(default=False, description="True: notices are recorded and none is sent")
    per_hour: int = Field(default=20, ge=1, description="messages to one address within an hour")
    combine_s: float = Field(
        default=60, ge=0, description="wait for more news of the same study before telling"
    )
    combine_at_most_s: float = Field(default=600, ge=0, description="but never longer than this")
    concurrency: int = Field(default=4, ge=1)
    max_attempts: int = Field(default=14, ge=1, description="14 are about eight hours")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
