"""PACSs that refuse, warn, are busy, hang, abort, forget, or never report."""

import asyncio
from pathlib import Path
from typing import Any

import pydicom
import pytest

from kit.service import Kit
from schemas.upload import CommitmentReported
from services.forward.handlers import study_decided
from services.forward.models import Delivery
from services.forward.rules.states import State
from tests.component.forward.badpacs import ScriptedPacs, raw_pacs
from tests.component.forward.studies import NOW, QUICK, ct, decided, forwarding, make_study


def uids(files: list[Path]) -> list[str]:
    return [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files]


async def deliver(kit: Kit, pacs: ScriptedPacs, files: list[Path], **destination: Any) -> Delivery:
    async with forwarding(kit) as running:
        await running.destination(**pacs.destination(**destination))
        event = decided(make_study(kit, files), "pacs")
        await running.decide(event)
        return await running.ended(event, "pacs")


async def test_a_warning_counts_as_delivered_and_is_noted(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 4)
    odd = uids(files)[2]
    pacs = ScriptedPacs(status=lambda uid, times: 0xB007 if uid == odd else 0)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.PROVEN, delivery.last_error
    notes = {note.code: note.count for note in delivery.notes}
    assert notes.pop("status-b007") == 1
    assert set(notes) == {"no-commitment"}


async def test_out_of_resources_waits_and_goes_on_where_it_was(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 5)
    full = uids(files)[3]
    pacs = ScriptedPacs(status=lambda uid, times: 0xA700 if uid == full and times == 1 else 0)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.PROVEN, delivery.last_error
    assert {uid: pacs.stores.count(uid) for uid in uids(files)} == {
        uid: 2 if uid == full else 1 for uid in uids(files)
    }


@pytest.mark.parametrize("status", [0xA900, 0xC123, 0x0110, 0x0124])
async def test_one_refused_instance_is_tried_thrice_and_the_others_go(
    kit_env: Kit, tmp_path: Path, status: int
) -> None:
    files = ct(tmp_path / "ct", 4)
    bad = uids(files)[1]
    pacs = ScriptedPacs(status=lambda uid, times: status if uid == bad else 0)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.FAILED
    assert delivery.stored == 3
    assert delivery.last_error.startswith("1 of 4 images were not accepted.")
    assert pacs.stores.count(bad) == 3
    assert len(pacs.stores) == 6
    # The refused one comes last: it held up nobody.
    assert pacs.stores[-2:] == [bad, bad]


async def test_an_instance_refused_once_is_taken_later(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    shy = uids(files)[0]
    pacs = ScriptedPacs(status=lambda uid, times: 0x0110 if uid == shy and times < 3 else 0)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.PROVEN, delivery.last_error


async def test_an_unsupported_kind_of_image_is_named(kit_env: Kit, tmp_path: Path) -> None:
    pacs = ScriptedPacs(syntaxes=("1.2.840.10008.1.2.4.50",))
    with pacs.running():
        delivery = await deliver(kit_env, pacs, ct(tmp_path / "ct", 2))
    assert delivery.state is State.FAILED
    assert "does not accept this kind of image" in delivery.last_error
    assert pacs.stores == []


async def test_implicit_only_gets_implicit(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 2)
    pacs = ScriptedPacs(syntaxes=("1.2.840.10008.1.2",))
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.PROVEN, delivery.last_error
    for path in files:
        sent = pydicom.dcmread(path)
        got = pacs.kept[str(sent.SOPInstanceUID)]
        assert got.PixelData == sent.PixelData
        assert got.PatientID == "LOCAL-4711"
        assert got.InstanceNumber == sent.InstanceNumber


async def test_images_the_pacs_lost_are_sent_again(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    lost = uids(files)[1]
    pacs = ScriptedPacs(forgets={lost})

    def remember_the_second_time(uid: str) -> None:
        if pacs.stores.count(lost) > 1:
            pacs.forgets.clear()

    pacs.before_answer = remember_the_second_time
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.PROVEN, delivery.last_error
    assert pacs.stores.count(lost) == 2
    assert len(pacs.stores) == 4


async def test_images_lost_again_and_again_need_a_person_who_can_retry(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 2)
    lost = uids(files)[1]
    pacs = ScriptedPacs(forgets={lost})
    with pacs.running():
        delivery = await deliver(kit_env, pacs, files)
    assert delivery.state is State.FAILED
    assert delivery.last_error.startswith("1 of 2 images are not in destination pacs")
    assert pacs.stores.count(lost) == 1 + QUICK.proof_rounds


def report(transaction: str, committed: list[str], failed: dict[str, int]) -> CommitmentReported:
    return CommitmentReported.first(
        time=NOW,
        key=transaction,
        correlation_id="c",
        transaction_uid=transaction,
        committed=tuple(committed),
        failed=tuple(failed.items()),
    )


async def transaction_of(pacs: ScriptedPacs, number: int = 0) -> tuple[str, list[str]]:
    async with asyncio.timeout(30):
        while len(pacs.transactions) <= number:
            await asyncio.sleep(0.02)
    return pacs.transactions[number]


async def test_a_report_of_failures_sends_those_again(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    lost = uids(files)[2]
    pacs = ScriptedPacs(commitment=True)
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            transaction, asked = await transaction_of(pacs)
            assert sorted(asked) == sorted(uids(files))
            committed = [uid for uid in asked if uid != lost]
            # One nobody asked for must not count, nor disturb.
            await kit_env.bus.publish([report(transaction, [*committed, "1.2.3"], {lost: 0x0112})])
            second, asked = await transaction_of(pacs, 1)
            assert second != transaction
            assert asked == [lost]
            await kit_env.bus.publish([report(second, [lost], {})])
            delivery = await running.ended(event, "pacs")
    assert delivery.state is State.PROVEN, delivery.last_error
    assert delivery.proof is not None
    assert delivery.proof.kind == "storage-commitment"
    assert pacs.stores.count(lost) == 2


async def test_a_report_that_names_too_few_is_completed_by_a_query(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 3)
    pacs = ScriptedPacs(commitment=True)
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            transaction, asked = await transaction_of(pacs)
            await kit_env.bus.publish([report("1.2.3.4", asked, {}), report(transaction, asked[:1], {})])
            delivery = await running.ended(event, "pacs")
    assert delivery.state is State.PROVEN, delivery.last_error
    assert delivery.proof is not None
    assert delivery.proof.kind == "image-query"


@pytest.mark.parametrize("queries", [True, False])
async def test_no_report_in_time(kit_env: Kit, tmp_path: Path, queries: bool) -> None:
    pacs = ScriptedPacs(commitment=True, queries=queries)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, ct(tmp_path / "ct", 2), commitment_timeout_s=0.3)
    assert delivery.state is (State.PROVEN if queries else State.FAILED)
    assert "commitment-late" in [note.code for note in delivery.notes]


async def test_a_refused_commitment_request_is_replaced_by_a_query(kit_env: Kit, tmp_path: Path) -> None:
    pacs = ScriptedPacs(commitment=True, action=0x0110)
    with pacs.running():
        delivery = await deliver(kit_env, pacs, ct(tmp_path / "ct", 2))
    assert delivery.state is State.PROVEN, delivery.last_error
    assert "no-commitment" in [note.code for note in delivery.notes]


@pytest.mark.parametrize("other", [True, False])
async def test_a_proof_says_when_the_images_are_filed_under_another_identity(
    kit_env: Kit, tmp_path: Path, other: bool
) -> None:
    pacs = ScriptedPacs()

    def refile(uid: str) -> None:
        if other:
            pacs.kept[uid].PatientID = "SOMEBODY"

    pacs.before_answer = refile
    with pacs.running():
        delivery = await deliver(kit_env, pacs, ct(tmp_path / "ct", 2))
    assert delivery.state is State.PROVEN, delivery.last_error
    assert delivery.proof is not None
    assert delivery.proof.other_identity is other


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07")
    await writer.drain()
    await reader.read()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)


async def shut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("talk", [refuse, hang, shut, babble])
async def test_a_destination_that_is_no_help_is_given_up_with_a_reason(
    kit_env: Kit, tmp_path: Path, talk: Any
) -> None:
    settings = QUICK.model_copy(update={"max_attempts": 1, "answer_timeout_s": 0.5})
    async with raw_pacs(talk) as port, forwarding(kit_env, settings) as running:
        await running.destination(id="pacs", host="127.0.0.1", port=port, called_ae="PACS")
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 1)), "pacs")
        await running.decide(event)
        delivery = await running.ended(event, "pacs")
        assert delivery.state is State.FAILED
        assert delivery.last_error.startswith("Sending to pacs was given up: PACS 127.0.0.1:")
        assert len(await running.events("forward-failed")) == 1


async def test_one_that_hangs_holds_up_nobody_else(kit_env: Kit, tmp_path: Path) -> None:
    pacs = ScriptedPacs()
    async with raw_pacs(hang) as port, forwarding(kit_env) as running:
        with pacs.running():
            await running.destination(id="hanging", host="127.0.0.1", port=port, called_ae="HANGS")
            await running.destination(**pacs.destination())
            events = [
                decided(make_study(kit_env, ct(tmp_path / f"{number}", 1)), "hanging", "pacs")
                for number in range(4)
            ]
            for event in events:
                await running.decide(event)
            for event in events:
                assert (await running.ended(event, "pacs")).state is State.PROVEN
                held = await running.delivery(event, "hanging")
                assert held is not None
                assert held.state in (State.QUEUED, State.SENDING)


async def test_an_association_aborted_in_the_middle_goes_on_later(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 30)
    pacs = ScriptedPacs()
    cut = asyncio.Event()

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A line to the PACS; the first one is cut in the middle of an instance."""
        there, back = await asyncio.open_connection("127.0.0.1", pacs.port)

        async def answers() -> None:
            while data := await there.read(65536):
                writer.write(data)
            writer.close()

        pump = asyncio.create_task(answers())
        passed = 0
        while data := await reader.read(65536):
            passed += len(data)
            if passed > 100_000 and not cut.is_set():
                cut.set()
                back.transport.abort()
                writer.transport.abort()
                break
            back.write(data)
        back.close()
        await asyncio.gather(pump, return_exceptions=True)

    with pacs.running():
        async with raw_pacs(through) as port, forwarding(kit_env) as running:
            await running.destination(**{**pacs.destination(), "port": port})
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
    assert delivery.state is State.PROVEN, delivery.last_error
    assert cut.is_set()
    assert set(pacs.kept) == set(uids(files))
    # At most the one on its way when the line was cut was sent twice.
    assert len(pacs.stores) <= len(files) + 1


async def test_an_unknown_destination_fails_at_once(kit_env: Kit, tmp_path: Path) -> None:
    async with forwarding(kit_env) as running:
        event = decided(make_study(kit_env, ct(tmp_path / "ct", 1)), "nowhere")
        await running.decide(event)
        delivery = await running.ended(event, "nowhere")
        assert delivery.last_error.startswith("There is no destination named nowhere any more.")


async def test_a_newer_decision_stops_the_older_and_never_mixes_identities(
    kit_env: Kit, tmp_path: Path
) -> None:
    files = ct(tmp_path / "ct", 40)
    loop = asyncio.get_running_loop()
    half, go_on = asyncio.Event(), asyncio.Event()

    def slowly(uid: str) -> None:
        if len(pacs.stores) == 20:
            loop.call_soon_threadsafe(half.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(30)

    pacs = ScriptedPacs(before_answer=slowly)
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            study = make_study(kit_env, files)
            first = decided(study, "pacs")
            await running.decide(first)
            await half.wait()
            target = first.decision.target
            assert target is not None
            second = decided(
                study, "pacs", target=target.model_copy(update={"patient_id": "OTHER"}), minutes=1
            )
            await running.decide(second)
            await running.until(second, "pacs", lambda delivery: delivery.version > 1)
            await asyncio.sleep(1.5)
            go_on.set()
            assert (await running.ended(first, "pacs")).state is State.CANCELLED
            delivery = await running.ended(second, "pacs")
            assert delivery.state is State.PROVEN, delivery.last_error
    assert {dataset.PatientID for dataset in pacs.kept.values()} == {"OTHER"}
    assert len(pacs.kept) == 40


async def test_a_decline_stops_what_was_not_yet_sent(kit_env: Kit, tmp_path: Path) -> None:
    async with raw_pacs(hang) as port, forwarding(kit_env) as running:
        await running.destination(id="pacs", host="127.0.0.1", port=port, called_ae="HANGS")
        study = make_study(kit_env, ct(tmp_path / "ct", 1))
        event = decided(study, "pacs")
        await running.decide(event)
        await running.until(event, "pacs", lambda delivery: delivery.state is State.SENDING)
        await running.decide(decided(study, action="decline", minutes=1))
        assert (await running.ended(event, "pacs")).state is State.CANCELLED


async def test_a_decision_delivered_twice_makes_one_delivery(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 2)
    pacs = ScriptedPacs()
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            event = decided(make_study(kit_env, files), "pacs")
            await running.decide(event)
            await running.ended(event, "pacs")
            await study_decided(event, kit_env.documents, kit_env.clock)
            assert len(await running.events("study-forwarded")) == 1
    assert len(pacs.stores) == 2


async def test_images_that_are_gone_are_said_to_be_gone(kit_env: Kit, tmp_path: Path) -> None:
    pacs = ScriptedPacs()
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            study = make_study(kit_env, ct(tmp_path / "ct", 1))
            kit_env.objects.delete(study.packs[0].key)
            event = decided(study, "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
    assert delivery.last_error == "The images of this study are no longer stored here."


async def test_skipped_positions_are_not_sent(kit_env: Kit, tmp_path: Path) -> None:
    files = ct(tmp_path / "ct", 4)
    pacs = ScriptedPacs()
    with pacs.running():
        async with forwarding(kit_env) as running:
            await running.destination(**pacs.destination())
            study = make_study(kit_env, files)
            pack = study.packs[0].model_copy(update={"skipped": (0, 2)})
            event = decided(study.model_copy(update={"packs": (pack,)}), "pacs")
            await running.decide(event)
            delivery = await running.ended(event, "pacs")
    assert delivery.state is State.PROVEN, delivery.last_error
    assert delivery.total == 2
    assert sorted(pacs.stores) == sorted([uids(files)[1], uids(files)[3]])
