"""How long a batch may take before its helper is held to be stuck."""

from kit.service import Kit
from schemas.shapes import ObjectPart, Sender
from services.validate.models import BatchDoc
from services.validate.settings import ValidateSettings
from services.validate.tasks import BatchReader


async def test_a_slow_scanner_has_time_for_every_file(kit_env: Kit) -> None:
    doc = BatchDoc(
        id="b",
        submission_id="s",
        place="00000001",
        root_sequence=1,
        sender=Sender(id="x", name="X", origin="x"),
        cause_id="c",
        correlation_id="s",
        parts=[ObjectPart(key="incoming/s/b/00000", size=20 << 20)],
        announced=512,
        received_at=kit_env.clock(),
    )
    off = BatchReader(kit_env, ValidateSettings())._time(doc)
    on = BatchReader(kit_env, ValidateSettings(clamav_host="127.0.0.1"))._time(doc)
    assert (off, on) == (310, 310 + 1024)
