"""To a real storescp, which offers neither storage commitment nor queries."""

import asyncio
from pathlib import Path

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from kit.service import Kit
from services.forward.rules.states import State
from tests.component.forward.comparing import assert_same_but_for_identity
from tests.component.forward.studies import QUICK, ct, decided, forwarding, make_study
from tests.neighbours.certificates import Authority, Pair
from tests.neighbours.pacs import StartStorescp, Storescp


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


async def test_compressed_images_are_decoded_only_for_one_that_takes_no_others(
    kit_env: Kit, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    files = ct(tmp_path / "ct", 3)
    plain = {}
    for path in files:
        dataset = pydicom.dcmread(path)
        plain[dataset.SOPInstanceUID] = dataset.PixelData
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    takes_all, takes_plain = start_storescp(), start_storescp(accept_all=False)
    async with forwarding(kit_env) as running:
        await running.destination(**where(takes_all, id="all"))
        await running.destination(**where(takes_plain, id="plain"))
        event = decided(make_study(kit_env, files), "all", "plain")
        await running.decide(event)
        assert (await running.ended(event, "all")).stored == 3
        delivery = await running.ended(event, "plain")
        assert delivery.stored == 3, delivery.last_error
    for path in takes_all.received():
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == RLELossless
    for path in takes_plain.received():
        got = pydicom.dcmread(path)
        assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert got.PixelData == plain[got.SOPInstanceUID]
        assert got.PatientID == "LOCAL-4711"
    assert len(takes_plain.received()) == 3
    assert list((kit_env.scratch / "forward").iterdir()) == []


async def test_tls(
    kit_env: Kit,
    start_storescp: StartStorescp,
    authority: Authority,
    server_certificate: Pair,
    tmp_path: Path,
) -> None:
    scp = start_storescp("+tls", str(server_certificate.key), str(server_certificate.certificate), "-ic")
    async with forwarding(kit_env) as running:
        await running.destination(**where(scp, tls=True, tls_ca=str(authority.certificate)))
        await running.destination(**where(scp, id="untrusted", tls=True))
        await running.destination(**where(scp, id="no-file", tls=True, tls_ca="/nowhere.pem"))
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 2)), "pacs", "untrusted", "no-file")
        await running.decide(event)
        assert (await running.ended(event, "pacs")).stored == 2
        assert "TLS could not be agreed" in (await running.ended(event, "untrusted")).last_error
        assert "certificate authority file" in (await running.ended(event, "no-file")).last_error


async def test_one_that_falls_silent_in_the_middle_and_wakes_again(
    kit_env: Kit, storescp: Storescp, tmp_path: Path
) -> None:
    files = ct(tmp_path / "ct", 60, size=512)
    settings = QUICK.model_copy(update={"answer_timeout_s": 1, "max_attempts": 20})
    async with forwarding(kit_env, settings) as running:
        await running.destination(**where(storescp))
        event = decided(make_study(kit_env, files), "pacs")
        await running.decide(event)
        while len(storescp.received()) < 10:
            await asyncio.sleep(0.005)
        storescp.process.pause()
        try:
            delivery = await running.until(event, "pacs", lambda delivery: delivery.last_error != "")
            assert delivery.state is State.SENDING
            assert delivery.stored < 60
        finally:
            storescp.process.go_on()
        delivery = await running.ended(event, "pacs")
        assert delivery.stored == 60
    assert len(storescp.received()) == 60
