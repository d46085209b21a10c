"""Counters that alerts take the increase of are there, at 0, before anything fails."""

from prometheus_client import REGISTRY

from kit.metrics import HL7_MESSAGES, NOTICES
from kit.service import Kit
from services.match.app import build as build_match
from services.match.settings import MatchSettings
from services.notify.app import build as build_notify
from services.notify.settings import NotifySettings


def test_the_first_failures_are_an_increase(kit_env: Kit) -> None:
    HL7_MESSAGES.clear()
    NOTICES.clear()
    build_match(kit_env, MatchSettings())
    build_notify(kit_env, NotifySettings())
    for answer in ("AA", "AE", "AR"):
        assert REGISTRY.get_sample_value("anteroom_hl7_messages_total", {"answer": answer}) == 0
    for channel in ("email", "sms"):
        labels = {"channel": channel, "state": "failed"}
        assert REGISTRY.get_sample_value("anteroom_notices_total", labels) == 0
