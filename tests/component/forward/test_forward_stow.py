"""STOW-RS servers that answer well, partly, and not at all."""

from pathlib import Path
from typing import Any

import pydicom
import pytest

from kit.service import Kit
from services.forward.kinds.stow import read_answer
from services.forward.models import Delivery
from services.forward.rules.states import State
from tests.component.forward.badstow import ScriptedStow, Stored, references
from tests.component.forward.comparing import assert_same_but_for_identity
from tests.component.forward.studies import QUICK, ct, decided, forwarding, make_study

SETTINGS = QUICK.model_copy(update={"stow_instances": 3, "max_attempts": 2})


async def deliver(kit: Kit, stow: ScriptedStow, files: list[Path]) -> Delivery:
    async with stow.running(), forwarding(kit, SETTINGS) as running:
        await running.destination(**stow.destination())
        event = decided(make_study(kit, files), "pacs")
        await running.decide(event)
        return await running.ended(event, "pacs")


async def test_all_go_in_bounded_requests_and_are_found_page_by_page(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 8)
    stow = ScriptedStow()
    delivery = await deliver(kit_env, stow, files)
    assert delivery.state is State.PROVEN, delivery.last_error
    assert stow.posts == [3, 3, 2]
    for path in files:
        sent = pydicom.dcmread(path)
        assert_same_but_for_identity(sent, stow.kept[str(sent.SOPInstanceUID)])


async def test_a_failure_of_one_is_the_failure_of_one(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 4)
    bad = str(pydicom.dcmread(files[1]).SOPInstanceUID)

    def answer(datasets: Stored) -> tuple[int, Any]:
        uids = [str(dataset.SOPInstanceUID) for dataset in datasets]
        kept = {uid: 0xB000 for uid in uids if uid != bad}
        lost = {bad: 0xA900} if bad in uids else {}
        return (202 if kept else 409), {
            **references("00081199", "00081196", kept),
            **references("00081198", "00081197", lost),
        }

    stow = ScriptedStow(answer)
    delivery = await deliver(kit_env, stow, files)
    assert delivery.state is State.FAILED
    assert (delivery.stored, delivery.total) == (3, 4)
    assert "do not fit their kind of image" in delivery.last_error
    assert [(note.code, note.count) for note in delivery.notes] == [("status-b000", 3)]


async def test_a_request_refused_whole_is_tried_one_by_one(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    bad = str(pydicom.dcmread(files[1]).SOPInstanceUID)
    stow = ScriptedStow(lambda datasets: (400 if bad in [d.SOPInstanceUID for d in datasets] else 200, None))
    delivery = await deliver(kit_env, stow, files)
    assert delivery.state is State.FAILED
    assert delivery.stored == 2
    assert stow.posts[:4] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (301, "has moved"),
        (401, "does not accept us (HTTP 401)"),
        (404, "has no STOW-RS service"),
        (503, "HTTP 503"),
    ],
)
async def test_what_concerns_all_is_said(kit_env: Kit, tmp_path: Path, status: int, said: str) -> None:
    stow = ScriptedStow(lambda datasets: (status, None))
    delivery = await deliver(kit_env, stow, ct(tmp_path / "ct", 2))
    assert delivery.state is State.FAILED
    assert said in delivery.last_error
    assert delivery.stored == 0


async def test_without_queries_there_is_no_proof(kit_env: Kit, tmp_path: Path) -> None:
    delivery = await deliver(kit_env, ScriptedStow(query_status=501), ct(tmp_path / "ct", 1))
    assert delivery.state is State.FAILED
    assert "gives no proof" in delivery.last_error


async def test_wrong_addresses_are_said(kit_env: Kit, tmp_path: Path) -> None:
    async with forwarding(kit_env, SETTINGS) as running:
        await running.destination(id="closed", kind="stow", url="http://127.0.0.1:1/")
        await running.destination(id="nonsense", kind="stow", url="file:///etc/")
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 1)), "closed", "nonsense")
        await running.decide(event)
        assert "the connection failed" in (await running.ended(event, "closed")).last_error
        assert (await running.ended(event, "nonsense")).state is State.FAILED


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", {}),
        (200, b"<html>", {}),
        (409, b"", None),
        (202, b"[1, 2]", None),
        (409, b'{"00081198": {"Value": [{"00081155": {"Value": ["1.2"]}}]}}', {"1.2": 0x0110}),
        (409, b'{"00081198": {"Value": ["x", null]}, "00081199": 5}', {"None": 0x0110}),
    ],
)
def test_odd_answers_are_read(status: int, body: bytes, expected: dict[str, int] | None) -> None:
    assert read_answer(status, body) == expected
