"""The chain over the audit trail: nothing can be changed, taken out, put in or moved unseen."""

import ast
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from services.portal.models import AuditEntry
from services.portal.pages.admin.trail import ACTIONS
from services.portal.rules.chain import (
    Broken,
    Head,
    Older,
    beginning,
    begun_with,
    check,
    entry_id,
    link,
    with_older,
)
from tests.unit.portal.samples import NOW

KEY = b"k" * 32
ROOT = Path(__file__).parents[3]


def chain(count: int = 5, key: bytes = KEY) -> list[AuditEntry]:
    head, made = Head(), []
    for number in range(count):
        entry = AuditEntry(
            id="", time=NOW + timedelta(seconds=number), account_id="a1", account="Ada", action="saw",
            kind="study", object_id=f"s{number}", detail="by page", ref=f"r{number}",
            code="entry-fields", values={"fields": "name", "count": number},
        )  # fmt: skip
        link(key, head, entry)
        head = Head(entry.seq or 0, entry.hash)
        made.append(entry)
    return made


def test_a_chain_as_it_was_written_holds():
    entries = chain()
    assert check(KEY, Head(), entries) == Head(5, entries[-1].hash)
    assert check(KEY, Head(2, entries[1].hash), entries[2:]) == Head(5, entries[-1].hash)
    assert check(KEY, Head(), []) == Head()


FIELDS = ("time", "account_id", "account", "action", "kind", "object_id", "detail", "ref", "code", "values")


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_counts(name: str):
    entries = chain()
    others = {"time": NOW + timedelta(days=1), "values": {"fields": "other", "count": 2}}
    other = others.get(name, "other")
    entries[2] = entries[2].model_copy(update={name: other})
    assert check(KEY, Head(), entries) == Broken(3, "changed")


def test_an_entry_of_a_version_without_codes_has_the_hash_it_had():
    entries = chain(1)
    entries[0].code, entries[0].values = "", {}
    assert check(KEY, Head(), entries) == Broken(1, "changed"), "a code can't be taken away unseen"
    plain = AuditEntry(
        id="", time=NOW, account_id="a1", account="Ada", action="saw", kind="study", object_id="s",
    )  # fmt: skip
    link(KEY, Head(), plain)
    assert plain.hash == "ff2a713a63bdcd6234957ea71c62475a899aa51d659fd98d3448073a00f3791f"


def test_all_that_is_said_is_in_the_hash():
    told = {"seq", "previous", "hash", "id", "version", "causes"}
    assert set(AuditEntry.model_fields) - told == set(FIELDS)


def _renumbered(entries: list[AuditEntry]) -> list[AuditEntry]:
    return [
        entry.model_copy(update={"seq": number, "id": entry_id(number)})
        for number, entry in enumerate(entries, start=1)
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: [*e[:2], *e[3:]], Broken(3, "missing")),
        (lambda e: _renumbered([*e[:2], *e[3:]]), Broken(3, "out of place")),
        (lambda e: _renumbered([e[0], e[2], e[1], *e[3:]]), Broken(2, "out of place")),
        (lambda e: [*e[:3], *chain(5, b"x" * 32)[3:]], Broken(4, "out of place")),
        (lambda e: chain(5, b"x" * 32), Broken(1, "changed")),
    ],
    ids=["taken-out", "taken-out-renumbered", "swapped", "written-anew-from-there", "without-the-secret"],
)
def test_what_was_moved_is_found(change: Callable[[list[AuditEntry]], list[AuditEntry]], expected: Broken):
    assert check(KEY, Head(), change(chain())) == expected


def test_a_number_that_is_there_twice_is_out_of_place():
    entries = chain()
    twice = entries[2].model_copy(update={"id": "other"})
    assert check(KEY, Head(), [*entries[:3], twice, *entries[3:]]) == Broken(4, "out of place")


def test_a_hash_in_any_letters_is_found():
    entries = chain()
    entries[2].hash = "é" * 64
    assert check(KEY, Head(), entries) == Broken(3, "changed")


def test_the_first_entry_tells_what_was_there_before_the_chain():
    entries = [entry.model_copy(update={"seq": None, "id": f"o{n}"}) for n, entry in enumerate(chain())]
    older = with_older(KEY, Older(), entries)
    first = beginning(older, NOW)
    link(KEY, Head(), first)
    assert (first.seq, begun_with(first)) == (1, older)
    assert with_older(KEY, with_older(KEY, Older(), entries[:2]), entries[2:]) == older
    assert begun_with(chain()[0]) == begun_with(None) == Older()
    for other in (entries[1:], entries[::-1], [*entries, entries[0]], chain()):
        assert with_older(KEY, Older(), other) != older
    entries[0].detail = "other"
    assert with_older(KEY, Older(), entries) != older


def test_whoever_cuts_the_end_off_is_found_by_the_noted_end_alone():
    entries = chain()
    found = check(KEY, Head(), entries[:3])
    assert isinstance(found, Head)
    assert found != Head(5, entries[-1].hash)


def actions() -> set[str]:
    """Words that the code enters as actions."""
    places = {"record": 2, "note": 2, "_note": 2, "_by_policy": 2}
    found: set[str] = set()
    for path in [*(ROOT / "services" / "portal").rglob("*.py"), ROOT / "anteroom" / "operations.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            given = [word.value for word in node.keywords if word.arg == "action" and name == "changing"]
            if name in places and len(node.args) > places[name]:
                given.append(node.args[places[name]])
            found |= {
                part.value
                for one in given
                for part in ast.walk(one)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            }
    return found


def test_the_page_has_words_for_everything_that_is_entered():
    assert len(actions()) > 25
    assert actions() - set(ACTIONS) == set()
