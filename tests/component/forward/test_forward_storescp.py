"""To a real storescp, which offers neither storage commitment nor queries."""

from pathlib import Path

import pydicom

from kit.service import Kit
from services.forward.rules.states import State
from tests.component.forward.comparing import assert_same_but_for_identity
from tests.component.forward.studies import ct, decided, forwarding, make_study
from tests.neighbours.pacs import Storescp


def where(scp: Storescp, **more: object) -> dict[str, object]:
    return {"id": "pacs", "host": scp.host, "port": scp.port, "called_ae": scp.ae_title, **more}


async def test_all_arrive_and_without_any_proof_nothing_is_called_forwarded(
    kit_env: Kit, storescp: Storescp, tmp_path: Path
) -> None:
    files = ct(tmp_path / "ct", 130)
    async with forwarding(kit_env) as running:
        await running.destination(**where(storescp))
        event = decided(make_study(kit_env, files), "pacs", target=None)
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.FAILED
        assert (delivery.stored, delivery.total) == (130, 130)
        assert "gives no proof" in delivery.last_error
        assert await running.events("study-forwarded") == []
        (failed,) = await running.events("forward-failed")
        assert failed.sent == 130  # type: ignore[attr-defined]
    got = {pydicom.dcmread(path).SOPInstanceUID: path for path in storescp.received()}
    for path in files:
        sent = pydicom.dcmread(path)
        assert sent == pydicom.dcmread(got[sent.SOPInstanceUID])
    assert len(got) == 130


async def test_the_identity_is_reconciled_and_all_else_stays(
    kit_env: Kit, storescp: Storescp, tmp_path: Path
) -> None:
    files = ct(tmp_path / "ct", 5)
    async with forwarding(kit_env) as running:
        await running.destination(**where(storescp))
        event = decided(make_study(kit_env, files), "pacs")
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.stored == 5
    got = {pydicom.dcmread(path).SOPInstanceUID: path for path in storescp.received()}
    for path in files:
        sent = pydicom.dcmread(path)
        assert_same_but_for_identity(sent, pydicom.dcmread(got[sent.SOPInstanceUID]))
