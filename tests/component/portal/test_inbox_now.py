"""An open inbox asks once for whatever is not as it shows it."""

import re
from datetime import timedelta
from html import unescape

import httpx

from kit.identity import Role
from kit.service import Kit
from schemas.shapes import Person
from tests.component.portal.test_portal_pages import HTMX, Browser, Client, arrive, browser, post
from tests.unit.portal.samples import NOW, study

__all__ = ["browser"]


async def marks(client: Client, path: str = "/") -> str:
    """The rows of a page as it says them itself."""
    page = (await client.get(path)).text
    return " ".join(
        f"{one}:{mark}" for one, mark in re.findall(r'data-study="(\w+)".* data-mark="([^"]*)"', page)
    )


async def now(client: Client, shown: str, path: str = "/", **fields: str) -> httpx.Response:
    answer = await post(client, path, "/inbox/now", HTMX, shown=shown, **fields)
    assert answer.status_code == 200
    return answer


def rows(answer: httpx.Response) -> list[str]:
    return re.findall(r'id="row-(\w+)"', answer.text)


def lacks(answer: httpx.Response) -> bool:
    return 'data-missing="yes"' in answer.text


async def test_nothing_is_sent_of_what_is_as_shown(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study(), study(id="s2"), certain=False)
    shown = await marks(clerk)
    assert len(shown.split()) == 2
    answer = await now(clerk, shown)
    assert (rows(answer), lacks(answer)) == ([], False)
    assert 'Needs a patient <span class="count">2' in answer.text
    assert 'data-waiting="2"' in answer.text


async def test_what_changed_since_the_page_was_made_comes_at_once(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study(), study(id="s2"))
    shown = await marks(clerk)
    fields = {"action": "decline", "reason": "x", "study_revision": "1", "match_revision": "1"}
    for study_id in ("s1", "s2"):
        await post(clerk, f"/studies/{study_id}", f"/studies/{study_id}/decision", **fields)
    await arrive(kit_env, study(id="s3"))
    answer = await now(clerk, shown)
    assert set(rows(answer)) == {"s1", "s2"}
    assert answer.text.count("Being decided") == 2
    assert lacks(answer), "the third"


async def test_what_the_page_is_narrowed_to_counts(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    shown = await marks(clerk)
    await arrive(kit_env, study())
    assert lacks(await now(clerk, shown))
    assert lacks(await now(clerk, shown, q="mull"))
    assert not lacks(await now(clerk, shown, q="somebody"))
    assert not lacks(await now(clerk, shown, tab="declined"))
    assert not lacks(await now(clerk, await marks(clerk)))


async def test_others_learn_of_their_own_studies_alone(browser: Browser, kit_env: Kit):
    await arrive(kit_env, study(), recipients=(Person(name="Dr. O", account_id="doctor"),))
    doctor, stranger = await browser("doctor", Role.VIEW), await browser("stranger", Role.VIEW)
    assert rows(await now(doctor, "s1:0")) == ["s1"]
    other = await now(stranger, "s1:0 nothing:0")
    assert (rows(other), lacks(other)) == ([], False)
    assert 'data-waiting="0"' in other.text
    assert "Mueller" not in unescape(other.text)


async def test_becoming_overdue_changes_a_row(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study(arrived_at=NOW - timedelta(days=400)))
    shown = await marks(clerk)
    assert shown.endswith(".late")
    assert rows(await now(clerk, shown.removesuffix(".late"))) == ["s1"]


async def test_a_hostile_list_of_rows_harms_nothing(browser: Browser, kit_env: Kit):
    clerk = await browser("clerk", Role.APPROVE)
    await arrive(kit_env, study())
    for shown in ("", ":", ":: :1", "s1", "x" * 5000, " ".join(f"n{i}:0" for i in range(5000))):
        assert (await now(clerk, shown)).status_code == 200
