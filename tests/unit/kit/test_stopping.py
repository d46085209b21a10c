"""Services end in order, and one that fails keeps none of the others."""

import logging

import pytest

from kit.service import Service, stop_all


async def test_a_part_that_fails_to_stop_is_logged_and_the_rest_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[str] = []

    async def door() -> None:
        ended.append("door")
        raise RuntimeError("the door is stuck")

    async def tasks() -> None:
        ended.append("tasks")

    async def other() -> None:
        ended.append("other")

    with caplog.at_level(logging.ERROR):
        await stop_all([Service("upload", stop=[door, tasks]), Service("match", stop=[other])])
    assert ended == ["door", "tasks", "other"]
    assert "a part of upload did not stop in order" in caplog.text
