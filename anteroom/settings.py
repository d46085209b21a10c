"""Settings: one TOML file, and ANTEROOM_<SECTION>_<NAME> variables over it. Read here alone.

ANTEROOM_<SECTION>_<NAME>_FILE names a file that holds the value (a mounted secret).
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anteroom import settings_words as words
from kit.destinations import Destination
from kit.errors import AnteroomError
from kit.identity import Account
from kit.service import Site
from services.forward.settings import ForwardSettings
from services.match.settings import MatchSettings
from services.notify.settings import NotifySettings
from services.portal.settings import PortalSettings
from services.upload.settings import UploadSettings
from services.validate.settings import ValidateSettings
from services.view.settings import ViewSettings

_OTHERS = frozenset({f"ANTEROOM_{name}" for name in ("CONFIG", "SERVER", "TOKEN", "TOKEN_FILE", "CA")})
"""Variables that are no settings: read below, and by the command line."""


class SettingsError(AnteroomError):
    """The settings can't be used; the text says which and why."""


class HttpSettings(BaseModel):
    """Plain HTTP is for loopback: elsewhere give a certificate, or say that a proxy speaks TLS."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    proxies: list[str] = ["127.0.0.1", "::1"]
    """Addresses and networks of the proxies in front, whose word on the client's address counts."""


class ProcessSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    data: Path = Path("data")
    workers: int = Field(default=3, ge=1, le=64)
    key_file: Path | None = None
    admin_token: str = Field(default="", repr=False, max_length=200)
    """The administrator's API token, where several processes must know one; else made at the first start."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class KafkaSection(BaseModel):
    """Where the cluster's events go. Not used by `anteroom up`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    servers: str = "127.0.0.1:9092"
    prefix: str = ""
    create_topics: bool = True
    replicas: int = Field(default=1, ge=1, le=7)
    partitions: int = Field(default=64, ge=1, le=1024)
    username: str = ""
    password: str = Field(default="", repr=False)
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""


class MongoSection(BaseModel):
    """Where the cluster's documents are. Not used by `anteroom up`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    url: str = Field(default="mongodb://127.0.0.1:27017", repr=False)
    database: str = "anteroom"
    pool: int = Field(default=32, ge=1, le=1000)
    timeout_s: float = Field(default=10.0, gt=0)
    create_indexes: bool = True
    """False where a migration job makes them before new versions start."""


class S3Section(BaseModel):
    """Where the cluster's bytes are. Not used by `anteroom up`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    endpoint: str = "127.0.0.1:9000"
    access_key: str = Field(default="", repr=False)
    secret_key: str = Field(default="", repr=False)
    bucket: str = "anteroom"
    create_bucket: bool = True
    secure: bool = True
    region: str = ""
    encrypt: bool = False
    ca_file: str = ""
    pool: int = Field(default=32, ge=1, le=1000)
    timeout_s: float = Field(default=30.0, gt=0)


class TelemetrySettings(BaseModel):
    """What is told to others of what goes on here. Never PHI."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    endpoint: str = ""
    """Where traces go by OTLP over HTTP, as http://collector:4318/v1/traces; empty: nowhere."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """What the collector wants to see, as authorization."""
    ratio: float = Field(default=1.0, ge=0, le=1)
    """The share of traces that is sent; of each all or nothing."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=-1, ge=-1, le=65535)
    """Where /metrics is answered without a token; 0: any free port; -1: nowhere."""


class Settings(BaseModel):
    """Everything, section by section."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    process: ProcessSettings = ProcessSettings()
    site: Site = Site()
    http: HttpSettings = HttpSettings()
    upload: UploadSettings = UploadSettings()
    validate_: ValidateSettings = Field(default=ValidateSettings(), alias="validate")
    match: MatchSettings = MatchSettings()
    portal: PortalSettings = PortalSettings()
    view: ViewSettings = ViewSettings()
    forward: ForwardSettings = ForwardSettings()
    notify: NotifySettings = NotifySettings()
    kafka: KafkaSection = KafkaSection()
    mongo: MongoSection = MongoSection()
    s3: S3Section = S3Section()
    telemetry: TelemetrySettings = TelemetrySettings()
    accounts: list[Account] = Field(default_factory=list)
    destinations: list[Destination] = Field(default_factory=list)


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the file (none: ANTEROOM_CONFIG, else anteroom.toml where it exists), then the environment,
    then `overrides` by section. Raises SettingsError."""
    content = _read_file(path)
    _merge(content, _environment())
    _merge(content, overrides or {})
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(words.of_validation(error, Settings)) from None
    for name, model in (("accounts", Account), ("destinations", Destination)):
        if wrong := words.of_rows(name, content.get(name, ()), model):
            raise SettingsError(wrong)
    _check_exposure(settings.http)
    _check_files(settings.http)
    return settings.model_copy(update={"site": _named(settings)})


def _named(settings: Settings) -> Site:
    """The address that is listened on is a name of the server too."""
    site = settings.site
    return site.model_copy(update={"hosts": (*site.hosts, settings.http.host)})


def _merge(content: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Lay `over` on `content`, table by table; None leaves what is there."""
    for key, value in over.items():
        if isinstance(value, Mapping):
            _merge(content.setdefault(key, {}), value)
        elif value is not None:
            content[key] = value


def environment_token() -> str | None:
    """The API token a command line client was given by its environment."""
    return os.environ.get("ANTEROOM_TOKEN")


def environment_server() -> str | None:
    return os.environ.get("ANTEROOM_SERVER")


def _read_file(path: Path | None) -> dict[str, Any]:
    chosen = path or Path(os.environ.get("ANTEROOM_CONFIG", "anteroom.toml"))
    if not chosen.exists():
        if path is not None or "ANTEROOM_CONFIG" in os.environ:
            raise SettingsError(f"The settings file {chosen} does not exist.")
        return {}
    try:
        return tomllib.loads(chosen.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{chosen} is not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {chosen} can't be read: {_why(error)}.") from error


def _environment() -> dict[str, dict[str, Any]]:
    found = {}
    known = set(_OTHERS)
    for section, field in Settings.model_fields.items():
        name = field.alias or section
        if values := _variables(f"{words.PREFIX}{name}", field.annotation, known):
            found[name] = values
    given = [name for name in os.environ if name.startswith(words.PREFIX)]
    sections = [field.alias or section for section, field in Settings.model_fields.items()]
    if wrong := words.of_variables(given, known, sections):
        raise SettingsError(wrong)
    return found


def _variables(prefix: str, annotation: object, known: set[str]) -> dict[str, Any]:
    """What the environment says of one table of settings, tables within it included; all that it could say
    is added to `known`."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return {}
    found: dict[str, Any] = {}
    for key, field in annotation.model_fields.items():
        variable = f"{prefix}_{key}".upper()
        known |= {variable, f"{variable}_FILE"}
        inner = _variables(variable, field.annotation, known)
        if variable in os.environ:
            found[key] = _value(variable, os.environ[variable])
        elif f"{variable}_FILE" in os.environ:
            found[key] = _secret(f"{variable}_FILE")
        elif inner:
            found[key] = inner
    return found


def _value(variable: str, text: str) -> Any:
    """Lists and tables are given as JSON; everything else is converted by its field's type."""
    try:
        return orjson.loads(text) if text[:1] in "[{" else text
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"{variable} is not valid JSON: lists and tables are given as such.") from error


def _secret(variable: str) -> str:
    path = os.environ[variable]
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable} names {path}, which can't be read: {_why(error)}.") from error


def _why(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is no text"


def _check_exposure(http: HttpSettings) -> None:
    loopback = http.host in ("127.0.0.1", "::1", "localhost")
    if not (loopback or http.behind_proxy or http.tls_certificate):
        raise SettingsError(
            "http.host is reachable from other machines, but there is no TLS. Set http.tls_certificate and "
            "http.tls_key, or set http.behind_proxy = true when a proxy in front speaks TLS."
        )


def _check_files(http: HttpSettings) -> None:
    for name, path in (("tls_certificate", http.tls_certificate), ("tls_key", http.tls_key)):
        if path is not None and not os.access(path, os.R_OK):
            raise SettingsError(f"http.{name} names {path}, which is not there or may not be read.")
