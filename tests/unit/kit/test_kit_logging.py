"""No patient's data reaches a log by way of an exception's text."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
from pydantic import BaseModel

from kit import logging as kit_logging
from kit.acts import Act
from kit.errors import PermanentError
from kit.workers import Workers

NAME = "DOE^JOHN"


class _Model(BaseModel):
    birth_date: int


@pytest.fixture(params=[True, False])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with configured("DEBUG", plain=request.param):
        yield stream


@contextmanager
def configured(level: str, *, plain: bool) -> Iterator[None]:
    """As in a process that was started with this level; afterwards as it was."""
    loggers = [logging.getLogger(name) for name in (None, *kit_logging._OURS, "a", "somebody.else")]
    levels, handlers = [logger.level for logger in loggers], loggers[0].handlers[:]
    loggers[0].handlers = []
    kit_logging.configure(level, plain=plain)
    yield
    kit_logging._configured.clear()
    loggers[0].handlers = handlers
    for logger, known in zip(loggers, levels, strict=True):
        logger.setLevel(known)


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


def test_every_line_says_what_it_belongs_to(written: io.StringIO) -> None:
    with Act("event", "match", "study-arrived", correlation_id="c0ffee"):
        logging.getLogger("kit.any").info("within")
    logging.getLogger("kit.any").info("outside")
    within, outside = written.getvalue().splitlines()
    assert "c0ffee" in within
    assert "event study-arrived" in within
    assert "match" in within
    assert "c0ffee" not in outside
    if within.startswith("{"):
        line = orjson.loads(within)
        assert (line["service"], line["act"], line["correlation_id"]) == (
            "match",
            "event study-arrived",
            "c0ffee",
        )


def test_libraries_say_nothing_at_debug_level(written: io.StringIO) -> None:
    """Drivers log whole documents there."""
    logging.getLogger("pymongo.command").debug(NAME)
    logging.getLogger("somebody.else").info(NAME)
    logging.getLogger("kit.any").debug("ours")
    assert NAME not in written.getvalue()
    assert "ours" in written.getvalue()


def log_something() -> None:
    logging.getLogger("services.validate.reading").warning("in a helper")


async def test_a_helper_process_says_so_too(capfd: pytest.CaptureFixture[str]) -> None:
    workers = Workers(1)
    with configured("INFO", plain=False), Act("task", "validate", "batches", correlation_id="c0ffee"):
        await workers.run(30, log_something)
    await workers.stop()
    line = orjson.loads(capfd.readouterr().err.splitlines()[-1])
    assert (line["message"], line["service"], line["correlation_id"]) == ("in a helper", "validate", "c0ffee")


def test_the_event_loop_tells_no_values(written: io.StringIO) -> None:
    context = {"message": "Task exception was never retrieved", "exception": ValueError(NAME), "future": NAME}
    kit_logging.tell_of_loop_trouble(None, context)  # type: ignore[arg-type]
    assert NAME not in written.getvalue()
    assert "ValueError" in written.getvalue()
