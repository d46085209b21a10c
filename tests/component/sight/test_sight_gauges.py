"""What is measured when somebody asks: what waits and for how long, and who answers."""

import asyncio
from datetime import timedelta
from typing import Any

from prometheus_client import REGISTRY

from anteroom.operations import refresh_metrics
from kit.destinations import DESTINATIONS, Destination
from kit.errors import Unavailable
from kit.service import Kit, Service
from schemas.shapes import Sender
from services.forward.gauges import Asking
from services.forward.kinds import KINDS
from services.forward.means import Means
from services.forward.settings import ForwardSettings
from services.notify import app as notify
from services.notify.settings import EmailSettings, NotifySettings
from services.portal.gauges import measure_retention
from services.portal.gauges import measure_waiting as measure_studies
from services.portal.models import CASES, Case
from services.portal.retention_models import POLICIES, POLICY, Policy
from services.upload import app as upload
from services.upload.settings import UploadSettings
from services.validate import app as validate
from services.validate.models import BATCHES, BatchDoc
from services.validate.settings import ValidateSettings
from tests.neighbours.antivirus import Clamd
from tests.neighbours.mail import MailServer
from tests.neighbours.pacs import Storescp
from tests.neighbours.process import free_port

SENDER = Sender(id="clinic", name="Clinic", origin="clinic", door="api")


def value(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(metric, labels)


async def test_the_oldest_study_of_each_state(kit_env: Kit) -> None:
    now = kit_env.clock()
    for number, (state, hours) in enumerate(
        [("unmatched", 5), ("unmatched", 7), ("review", 2), ("in-pacs", 90), ("failed", 1)]
    ):
        case = Case(id=f"s{number}", state=state, arrived_at=now - timedelta(hours=hours))
        await kit_env.documents.save(CASES, case)
    await measure_studies(kit_env)
    found = {s: value("anteroom_studies", state=s) for s in ("unmatched", "review", "approved", "failed")}
    assert found == {"unmatched": 2, "review": 1, "approved": 0, "failed": 1}
    oldest = value("anteroom_oldest_study_seconds", state="unmatched")
    assert oldest is not None
    assert 7 * 3600 <= oldest < 7 * 3600 + 60
    assert value("anteroom_oldest_study_seconds", state="approved") == 0
    assert value("anteroom_studies", state="in-pacs") is None


async def test_retention_that_waits_for_the_clock_or_can_not_keep_up(kit_env: Kit) -> None:
    names = {"doubts": {}, "capped": {"what": "studies"}}

    async def measured() -> list[float | None]:
        await measure_retention(kit_env)
        return [value(f"anteroom_retention_{name}", **labels) for name, labels in names.items()]

    assert await measured() == [0, 0]
    policy = Policy(id=POLICY, doubts=3, capped=["studies"])
    policy = await kit_env.documents.save(POLICIES, policy)
    assert await measured() == [3, 1]
    assert value("anteroom_retention_capped", what="files") == 0
    policy.doubts, policy.capped = 0, []
    await kit_env.documents.save(POLICIES, policy)
    assert await measured() == [0, 0]


async def test_the_oldest_files_that_were_not_read(kit_env: Kit) -> None:
    service = validate.build(kit_env, ValidateSettings())
    assert "antivirus" not in service.gauges
    now = kit_env.clock()
    rows: list[tuple[str, int, Any]] = [
        ("read", 90, None),
        ("waiting for the scanner", 30, now + timedelta(minutes=5)),
        ("next", 10, now),
    ]
    for name, minutes, due in rows:
        doc = BatchDoc(
            id=name,
            submission_id="s",
            place="1",
            root_sequence=1,
            sender=SENDER,
            cause_id="c",
            correlation_id="s",
            parts=[],
            announced=1,
            received_at=now - timedelta(minutes=minutes),
            due_at=due,
        )
        await kit_env.documents.save(BATCHES, doc)
    await service.gauges["waiting files"]()
    oldest = value("anteroom_oldest_waiting_batch_seconds")
    assert oldest is not None
    assert 30 * 60 <= oldest < 31 * 60


async def test_the_scanner(kit_env: Kit, clamd: Clamd) -> None:
    settings = ValidateSettings(clamav_host="127.0.0.1", clamav_port=clamd.port)
    service = validate.build(kit_env, settings)
    await service.gauges["antivirus"]()
    assert value("anteroom_neighbour_up", neighbour="antivirus", name="") == 1
    clamd.process.stop()
    await service.gauges["antivirus"]()
    assert value("anteroom_neighbour_up", neighbour="antivirus", name="") == 0


async def test_the_mail_server(kit_env: Kit, mail_server: MailServer) -> None:
    email = EmailSettings(host="127.0.0.1", port=mail_server.port, tls="none", sender="a@hospital.example")
    await notify.build(kit_env, NotifySettings(email=email)).gauges["mail"]()
    assert value("anteroom_neighbour_up", neighbour="mail", name="") == 1


async def test_destinations(kit_env: Kit, storescp: Storescp) -> None:
    """Asked once a minute at most; one that is set up no more is not spoken of."""
    asking = Asking(Means(kit_env, ForwardSettings(), KINDS))
    up = Destination(id="up", host=storescp.host, port=storescp.port, called_ae="STORESCP")
    down = Destination(id="down", host="127.0.0.1", port=free_port(), called_ae="NOBODY")
    for one in (up, down):
        await kit_env.documents.save(DESTINATIONS, one)

    def states() -> list[float | None]:
        return [value("anteroom_neighbour_up", neighbour="destination", name=name) for name in ("up", "down")]

    await asking.measure()
    assert states() == [1, 0]
    storescp.process.stop()
    await kit_env.documents.delete(DESTINATIONS, down)
    await asking.measure()
    assert states() == [1, 0], "they were asked a moment ago"
    asking.forget()
    await asking.measure()
    assert states() == [0, None]


async def test_what_waits_in_the_spool(kit_env: Kit) -> None:
    service = upload.build(kit_env, UploadSettings(dicom_port=-1))
    await service.gauges["spool"]()
    assert value("anteroom_oldest_spooled_seconds") == 0
    folder = kit_env.scratch / "upload"
    folder.mkdir()
    sessions = '{"kind": "session"}'
    for name, owner, tar in (
        ("request", '{"kind": "request"}', b"x" * 512),
        ("first-still-comes", sessions, bytes(512) + b"x"),
        ("nothing-yet", sessions, b""),
    ):
        (folder / f"{name}.json").write_text(owner)
        (folder / f"{name}.tar").write_bytes(tar)
    await service.gauges["spool"]()
    assert value("anteroom_oldest_spooled_seconds") == 0
    (folder / "one.json").write_text(sessions)
    (folder / "one.tar").write_bytes(b"x" * 512)
    await service.gauges["spool"]()
    waited = value("anteroom_oldest_spooled_seconds")
    assert waited is not None
    assert 0 < waited < 60


async def test_what_can_not_be_read_hides_nothing_else(kit_env: Kit) -> None:
    async def away() -> None:
        raise Unavailable("Kafka", "gone")

    async def hangs() -> None:
        await asyncio.sleep(3600)

    before = value("anteroom_gauges_not_refreshed_total", part="away") or 0
    service = Service("portal", gauges={"away": away, "hangs": hangs})
    await refresh_metrics(kit_env, [service])
    assert value("anteroom_gauges_not_refreshed_total", part="away") == before + 1
    assert value("anteroom_gauges_not_refreshed_total", part="hangs") == 1
    for folder in ("data", "temporary"):
        free = value("anteroom_disk_free_bytes", folder=folder)
        size = value("anteroom_disk_size_bytes", folder=folder)
        assert free is not None
        assert size is not None
        assert 0 < free < size
