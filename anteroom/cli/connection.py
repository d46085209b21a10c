"""How commands reach a server: options, environment, and the data folder of a local one."""

import functools
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from anteroom.client.api import Api, ApiError, ClientError

DEFAULT_SERVER = "http://127.0.0.1:8080"


class Failure(click.ClickException):
    """A sentence for the person, and exit status 1."""

    def show(self, file: Any = None) -> None:
        click.echo(click.style("anteroom: ", fg="red", bold=True) + self.message, err=True)


@dataclass(frozen=True)
class Connection:
    server: str
    token: str
    token_file: Path | None
    ca_file: str | None

    def api(self) -> Api:
        return Api(self.server, self.token, ca_file=self.ca_file)


Command = Callable[..., Any]


def connected(command: Command) -> Command:
    """Adds --server, --token-file, --data and --ca; the command gets an Api as its first argument, and
    what the server refuses becomes a sentence."""

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        connection = resolve(options)
        with fail_plainly(), connection.api() as api:
            return command(api, **options)

    return with_options(run)


def with_options(command: Command) -> Command:
    """The options alone, for resolve()."""
    for option in reversed(
        [
            click.option("--server", envvar="ANTEROOM_SERVER", metavar="URL", help="Address of the server."),
            click.option(
                "--token", envvar="ANTEROOM_TOKEN", metavar="SECRET", help="API token; better by file."
            ),
            click.option(
                "--token-file",
                envvar="ANTEROOM_TOKEN_FILE",
                type=click.Path(path_type=Path),
                help="File that holds the API token.",
            ),
            click.option(
                "--data",
                type=click.Path(path_type=Path),
                default=Path("data"),
                show_default=True,
                help="Data folder of a server on this machine: its address and administrator's token.",
            ),
            click.option(
                "--ca",
                envvar="ANTEROOM_CA",
                metavar="FILE",
                help="Certificate authority that signed the server's certificate.",
            ),
        ]
    ):
        command = option(command)
    return command


def resolve(options: dict[str, Any]) -> Connection:
    """Takes the options out. Raises Failure when there is no token."""
    server, token, data = options.pop("server"), options.pop("token"), options.pop("data")
    token_file, ca_file = options.pop("token_file"), options.pop("ca")
    found = server or _server_of(data) or DEFAULT_SERVER
    if not token:
        token_file = token_file or data / "admin.token"
        token = _read_token(token_file, data)
    else:
        token_file = None
    return Connection(found, token, token_file, ca_file)


class fail_plainly:
    """What the client raises on purpose becomes a sentence and exit status 1."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            raise_plainly(error)


def raise_plainly(error: ClientError) -> NoReturn:
    if isinstance(error, ApiError) and error.status == 401:
        raise Failure(f"{error} (Give a token by --token-file, or in ANTEROOM_TOKEN.)") from error
    raise Failure(str(error)) from error


def too_open(path: Path) -> bool:
    """Whether others on this machine may read the file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))


def _server_of(data: Path) -> str | None:
    try:
        return str(json.loads((data / "server.json").read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_token(path: Path, data: Path) -> str:
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        raise Failure(
            f"There is no token: {path} does not exist. Start a server here with `anteroom up`, name its "
            "data folder with --data, or give a token by --token-file or ANTEROOM_TOKEN."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"The token file {path} can't be read.") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Failure(f"The file {path} does not hold a token.")
    return token
