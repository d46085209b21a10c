"""One connection to an Anteroom server: JSON in and out, errors as sentences.

Client errors:

ClientError
├── Unreachable    no connection, or it broke: worth another try
├── ApiError       the server answered with an error; holds its status, code and sentence
└── BadAddress     the server's address is not one
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

_MAX_ANSWER = 256 << 20


class ClientError(Exception):
    """Root of what this package raises on purpose. The text is for a person."""


class Unreachable(ClientError):
    pass


class BadAddress(ClientError):
    pass


class ApiError(ClientError):
    def __init__(self, status: int, code: str, text: str, body: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.body = body

    @property
    def passing(self) -> bool:
        """Another try later may go well."""
        return self.status in {408, 423, 425, 429} or (self.status >= 500 and self.status != 507)


class Api:
    """Not for several threads at once: each makes its own by `copy()`."""

    def __init__(self, server: str, token: str, *, ca_file: str | None = None, timeout: float = 60) -> None:
        """`server` such as https://anteroom.hospital.example. Raises BadAddress."""
        parts = urlsplit(server)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadAddress(
                f"{server} is not an address such as https://anteroom.example or http://127.0.0.1:8080."
            )
        try:
            self._port = parts.port
        except ValueError as error:
            raise BadAddress(f"{server} has no valid port.") from error
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self.server = server.rstrip("/")
        self._token = token
        self._ca_file = ca_file
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def copy(self) -> "Api":
        return Api(self.server, self._token, ca_file=self._ca_file, timeout=self._timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, **query: Any) -> Any:
        """Tries a second time when a kept connection had been closed by the server meanwhile."""
        given = {key: value for key, value in query.items() if value not in (None, "")}
        target = f"{path}?{urlencode(given, doseq=True)}" if given else path
        fresh = self._connection is None
        try:
            return self.call("GET", target)
        except Unreachable:
            if fresh:
                raise
            return self.call("GET", target)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON, or None where it has none. Raises Unreachable and ApiError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        connection = self.connect()
        try:
            connection.request(method, self.target(path), body=data, headers={**self.headers(), **headers})
            status, _, content = self.answer()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self.unreachable(error) from error
        return checked(status, content)

    def connect(self) -> http.client.HTTPConnection:
        """The open connection, or a new one. Raises Unreachable."""
        if self._connection is None or self._connection.sock is None:
            connection = self._new()
            try:
                connection.connect()
            except OSError as error:
                raise self.unreachable(error) from error
            self._connection = connection
        return self._connection

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}

    def target(self, path: str) -> str:
        """`path` may be a whole address of this server, as Location headers have it."""
        parts = urlsplit(path)
        if parts.netloc:
            return f"{parts.path}?{parts.query}" if parts.query else parts.path
        return f"{self._base}{path}"

    def answer(self) -> tuple[int, http.client.HTTPMessage, bytes]:
        assert self._connection is not None
        response = self._connection.getresponse()
        content = response.read(_MAX_ANSWER)
        if response.will_close:
            self.close()
        return response.status, response.headers, content

    def unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                f"The certificate of {self.server} can't be trusted ({error.verify_message}). "
                "Give the hospital's CA file with --ca."
            )
        what = "did not answer in time" if isinstance(error, TimeoutError) else "can't be reached"
        return Unreachable(f"{self.server} {what}. Is it running, and is the address right?")

    def _new(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:
            raise BadAddress(f"The CA file {self._ca_file} can't be read.") from error
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)


def checked(status: int, content: bytes) -> Any:
    """The JSON of a good answer. Raises ApiError for another."""
    try:
        body = json.loads(content) if content.strip() else None
    except ValueError:
        body = None
    if status < 400:
        return body
    fields = body if isinstance(body, dict) else {}
    text = str(fields.get("error") or f"The server answered with status {status}.")
    raise ApiError(status, str(fields.get("code") or "http"), text, fields)


def rows(answer: Any) -> list[dict[str, Any]]:
    """The rows of a listing: the answer itself, or the one list that it holds."""
    if isinstance(answer, dict):
        answer = next((value for value in answer.values() if isinstance(value, list)), [])
    return [dict(row) for row in answer or []]
