from datetime import UTC, datetime, timedelta

import pytest

from schemas.shapes import Finding, Person, Sender, Tally
from schemas.validate import SubmissionValidated
from services.notify import rules
from services.notify.models import Kind, News

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SENDER = Sender(id="acct", name="Clinic", origin="clinic")
MINUTE = timedelta(minutes=1)


def validated(tally: Tally, *findings: Finding) -> SubmissionValidated:
    return SubmissionValidated.first(
        time=NOW,
        key="s",
        correlation_id="s",
        submission_id="s",
        revision=1,
        sender=SENDER,
        tally=tally,
        findings=findings,
    )


def finding(severity: str, count: int = 1, action: str = "kept", code: str = "x") -> Finding:
    return Finding(code=code, severity=severity, action=action, text="t", count=count)  # type: ignore[arg-type]


def news(kind: Kind = Kind.IN_PACS) -> News:
    return News(id="n", kind=kind, about="study", sender=SENDER, correlation_id="c", cause="e1")


def hear(item: News, mark: str, now: datetime = NOW) -> bool:
    return rules.take_in(
        item,
        mark=mark,
        cause=mark,
        facts={"images": 1},
        submissions=("s",),
        now=now,
        combine=MINUTE,
        at_most=5 * MINUTE,
    )


def test_a_submission_without_problems_is_not_told() -> None:
    assert rules.problems(validated(Tally(sent=5, stored=3, duplicate=1, document=1))) is None
    assert rules.problems(validated(Tally(sent=1, waiting=1))) is None
    assert rules.problems(validated(Tally(sent=1, stored=1), finding("warning"))) is None


def test_problems_are_counted() -> None:
    event = validated(
        Tally(sent=7, stored=2, duplicate=1, refused=2, quarantined=1, waiting=1),
        finding("error", 3),
        finding("info"),
        finding("error", 2, "refused"),
    )
    assert rules.problems(event) == {
        "files": 7,
        "kept": 3,
        "waiting": 1,
        "refused": 2,
        "quarantined": 1,
        "helpers": 0,
        "open_points": 1,
    }


def test_the_helper_files_of_a_disc_are_no_problem() -> None:
    tally = Tally(sent=9, stored=5, refused=4)
    assert (
        rules.problems(validated(tally, finding("info", 3, "refused"), finding("info", 1, "refused"))) is None
    )
    told = rules.problems(validated(tally, finding("info", 3, "refused"), finding("warning", 1, "refused")))
    assert told is not None
    assert (told["refused"], told["helpers"]) == (1, 3)


@pytest.mark.parametrize("code", ["several-patients", "disc-incomplete", "pixel-data-short"])
def test_warnings_that_only_the_sender_can_clear_up(code: str) -> None:
    assert rules.problems(validated(Tally(sent=2, stored=2), finding("warning", 2, code=code)))


def test_the_same_is_not_heard_twice() -> None:
    item = news()
    assert hear(item, "decision-1")
    assert not hear(item, "decision-1")
    assert item.heard == 1


def test_news_of_one_study_is_gathered_but_not_for_ever() -> None:
    item = news()
    for n in range(20):
        hear(item, f"d{n}", NOW + n * MINUTE / 2)
    assert item.round == 1
    assert item.due_at == NOW + 5 * MINUTE


def test_a_question_is_not_kept_waiting() -> None:
    item = news(Kind.ASKED)
    hear(item, "d")
    assert item.due_at == NOW


def test_news_after_telling_opens_a_round_of_its_own() -> None:
    item = news()
    hear(item, "d1")
    first = rules.notice_id(item, Kind.IN_PACS, "email", "a@example.org")
    item.due_at = None
    hear(item, "d2")
    assert item.round == 2
    assert rules.notice_id(item, Kind.IN_PACS, "email", "a@example.org") != first


def test_what_is_heard_after_an_interrupted_telling_is_told_too() -> None:
    item = news()
    hear(item, "d1")
    made = rules.notice_id(item, Kind.IN_PACS, "email", "a@example.org")
    assert rules.notice_id(item, Kind.IN_PACS, "email", "a@example.org") == made
    hear(item, "d2")
    assert item.round == 1
    assert rules.notice_id(item, Kind.IN_PACS, "email", "a@example.org") != made


def test_delay_is_told_once_however_often_forwarding_fails() -> None:
    item = news(Kind.FAILED)
    hear(item, "e1")
    first = [rules.notice_id(item, kind, "email", "a@example.org") for kind in (Kind.DELAYED, Kind.FAILED)]
    item.due_at = None
    hear(item, "e2")
    second = [rules.notice_id(item, kind, "email", "a@example.org") for kind in (Kind.DELAYED, Kind.FAILED)]
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_every_address_once() -> None:
    people = [
        (Person(name="A", email="a@example.org", phone="+43 1 5550100"), "de"),
        (Person(name="A again", email="A@Example.org", phone="+4315550100"), "en"),
        (Person(name="nobody"), "en"),
    ]
    found = rules.addresses(people)
    assert [(a.channel, a.recipient, a.language) for a in found] == [
        ("email", "a@example.org", "de"),
        ("sms", "+4315550100", "de"),
    ]


@pytest.mark.parametrize("address", ["a@example.org", "a.b+c@sub.example.org", "a@localhost"])
def test_usable_email(address: str) -> None:
    assert rules.usable("email", address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "a@",
        "@b",
        "a b@c",
        "a@b@c",
        "a@b\r\nBcc: x@y",
        "a@b\n",
        "<a@b>",
        "a..b@c",
        "ü@b",
        "a@" + "b" * 300,
    ],
)
def test_unusable_email(address: str) -> None:
    assert rules.usable("email", address)


@pytest.mark.parametrize(
    ("number", "well"),
    [
        ("+4315550100", True),
        ("015550100", False),
        ("+0123456789", False),
        ("+1", False),
        ("+" + "1" * 16, False),
    ],
)
def test_e164(number: str, well: bool) -> None:
    assert (rules.usable("sms", number) is None) is well


def test_an_address_gets_so_many_an_hour() -> None:
    sent = [NOW - timedelta(minutes=m) for m in (70, 50, 40, 10)]
    assert rules.free_at(sent, 4, NOW) is None
    assert rules.free_at(sent, 3, NOW) == NOW + timedelta(minutes=10)
    assert rules.free_at(sent, 1, NOW) == NOW + timedelta(minutes=50)
