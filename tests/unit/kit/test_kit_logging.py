"""No patient's data reaches a log by way of an exception's text."""

import io
import logging

import orjson
import pytest
from pydantic import BaseModel

from kit import logging as kit_logging
from kit.errors import PermanentError

NAME = "DOE^JOHN"


class _Model(BaseModel):
    birth_date: int


@pytest.fixture(params=[True, False])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    kit_logging.configure(plain=request.param)
    yield stream
    root.handlers, root.level = handlers, level


def test_only_our_own_words_are_told(written: io.StringIO) -> None:
    log = logging.getLogger("a")
    try:
        try:
            _Model.model_validate({"birth_date": NAME})
        except ValueError as error:
            raise PermanentError("the thing is broken") from error
    except PermanentError:
        log.exception("one failed")
    try:
        try:
            raise KeyError(NAME)
        except KeyError:
            raise ExceptionGroup(NAME, [ValueError(NAME), PermanentError("another")])  # noqa: B904 - a context, not a cause
    except ExceptionGroup:
        log.exception("two failed")
    text = written.getvalue()
    assert NAME not in text
    assert "ValidationError" in text
    assert "PermanentError: the thing is broken" in text
    assert "PermanentError: another" in text
    assert "test_kit_logging.py" in text


def test_each_json_line_is_one_object() -> None:
    formatter = kit_logging._JsonLines()
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "m %s", ("x",), None)
    assert orjson.loads(formatter.format(record))["message"] == "m x"
