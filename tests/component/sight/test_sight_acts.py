"""What services do goes back to the act of sending that it is done for."""

from typing import Any

import pytest

from anteroom.collections import collections
from kit.acts import Act
from kit.identity import Account, Principal, Role
from kit.service import Kit
from kit.tasks import TaskDoc
from services.portal.holding import holding
from services.portal.live import Live
from services.portal.models import CASES
from services.portal.rules.decide import Request
from services.portal.settings import PortalSettings
from tests.unit.portal.samples import case

TASKS = [one.model for one in collections() if issubclass(one.model, TaskDoc)]


@pytest.mark.parametrize("model", TASKS, ids=lambda model: model.__name__)
def test_a_task_that_knows_what_it_goes_back_to_says_so(model: type[TaskDoc]) -> None:
    fields: dict[str, Any] = {"id": "mine", "causes": ["last"], "attempts": 1}
    known = {"correlation_id": "sub", "submission_id": "sub"} if model.__name__ != "SubmissionDoc" else {}
    task = model.model_construct(**fields, **known, cause="event", cause_id="event")
    correlation_id, cause = task.goes_back_to()
    if "correlation_id" in model.model_fields or "submission_id" in model.model_fields:
        assert correlation_id == "sub"
    if {"cause", "cause_id"} & model.model_fields.keys():
        assert cause == "event"


async def test_a_click_that_is_held_goes_back_to_the_study_it_decides(kit_env: Kit) -> None:
    known = case()
    await kit_env.documents.save(CASES, known)
    who = Principal(Account(id="chief", name="Chief", roles=[Role.ADMIN]))
    held = holding(kit_env, PortalSettings(), Live(kit_env.documents))
    request = Request(action="decline", study_revision=1, match_revision=1, reason="not ours")
    with Act("request", "portal", "POST") as act:
        await held.hold(who, known.id, request)
    assert act.correlation_id == known.correlation_id == "sub1"
