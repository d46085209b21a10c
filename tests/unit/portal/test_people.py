"""Passwords, codes, limits, browsers' names, languages: pure."""

from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path

import pyotp
import pytest

from kit.errors import PermanentError, Refused
from kit.seal import seal, unseal
from services.portal.pages import shown
from services.portal.pages.frame import local_path
from services.portal.people.passwords import check_password, hash_password, verify_password
from services.portal.people.secondfactor import step_of
from services.portal.people.sessions import agent_of
from services.portal.people.tries import PASSWORD, locked_until
from services.portal.texts import chosen, translated

NOW = datetime(2026, 3, 2, 10, 42, tzinfo=UTC)


WEAK = [
    "short",
    "elevenchars",
    "password1234",
    "Password1234",
    "PASSWORD2024!",
    "aaaaaaaaaaaaaa",
    "abcabcabcabc",
    "123456789012",
    "abcdefghijklmn",
    "Kowalski2026",
    "elena.kowalski",
    "hospital.example1",
]


@pytest.mark.parametrize("password", [*WEAK, "x" * 201])
def test_weak_passwords_are_refused_with_a_sentence(password: str) -> None:
    with pytest.raises(Refused) as refused:
        check_password(password, "Elena Kowalski", "elena@hospital.example")
    assert refused.value.text.endswith(".")


@pytest.mark.parametrize(
    "password",
    [
        "violet harbour lantern",
        "Zx9!kQ2#vLp0",
        "日本語のとても長い合言葉です",
        "elena likes very green boats",
    ],
)
def test_good_passwords_pass(password: str) -> None:
    check_password(password, "Elena Kowalski", "elena@hospital.example")


def test_breached_passwords_are_found_in_a_sorted_list(tmp_path: Path) -> None:
    breached = [f"a phrase number {n}" for n in range(200)]
    lines = sorted(f"{sha1(text.encode()).hexdigest().upper()}:{n}" for n, text in enumerate(breached))
    for content in ("\n".join(lines) + "\n", "\r\n".join(lines)):
        file = tmp_path / "breached.txt"
        file.write_bytes(content.encode())
        for text in breached:
            with pytest.raises(Refused):
                check_password(text, breached=str(file))
        for n in range(200, 260):
            check_password(f"a phrase number {n}", breached=str(file))


async def test_a_hash_fits_its_password_alone_however_it_was_typed() -> None:
    stored = await hash_password("café über alles")
    assert stored.startswith("$argon2id$")
    assert await verify_password(stored, "cafe\u0301 u\u0308ber alles")
    assert not await verify_password(stored, "cafe über alles")
    assert not await verify_password("", "a password that nobody has")
    assert not await verify_password("not a hash", "x")


def test_codes_work_once_and_only_near_their_time() -> None:
    secret, now = pyotp.random_base32(), 1_700_000_000.0
    step = int(now // 30)
    code = pyotp.TOTP(secret).generate_otp(step)
    assert step_of(secret, code, now, 0) == step
    assert step_of(secret, f" {code[:3]} {code[3:]} ", now, 0) == step
    assert step_of(secret, code, now, step) is None
    assert step_of(secret, code, now + 30, 0) == step
    assert step_of(secret, code, now + 90, 0) is None
    for wrong in ("", "12345", "abcdef", "١٢٣٤٥٦", "1234567"):
        assert step_of(secret, wrong, now, 0) is None


def test_each_further_try_locks_longer_up_to_a_limit() -> None:
    waits = [(locked_until(PASSWORD, count, NOW) or NOW) - NOW for count in range(1, 40)]
    assert waits[:4] == [timedelta()] * 4
    assert waits[4:7] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert waits[-1] == PASSWORD.longest
    assert waits == sorted(waits)


def test_what_is_sealed_opens_here_and_for_its_purpose_alone() -> None:
    key, other = b"k" * 32, b"o" * 32
    sealed = seal(key, "mail", "/welcome/secret")
    assert "secret" not in sealed
    assert seal(key, "mail", "/welcome/secret") != sealed
    assert unseal(key, "mail", sealed) == "/welcome/secret"
    broken = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    for attempt in (
        (other, "mail", sealed),
        (key, "login", sealed),
        (key, "mail", broken),
        (key, "mail", ""),
        (key, "mail", "é"),
    ):
        with pytest.raises(PermanentError):
            unseal(*attempt)


def test_times_as_people_say_them() -> None:
    said = {
        timedelta(seconds=20): ("now", "jetzt"),
        timedelta(minutes=4): ("4 min ago", "vor 4 Min."),
        timedelta(hours=5): ("5 hr ago", "vor 5 Std."),
        timedelta(hours=30): ("yesterday", "gestern"),
        timedelta(days=2, hours=1): ("2 days ago", "vorgestern"),
        timedelta(days=6): ("6 days ago", "vor 6 Tagen"),
        timedelta(days=40): ("21 Jan 2026", "21. Jan. 2026"),
        -timedelta(minutes=9, seconds=30): ("in 9 min", "in 9 Min."),
        -timedelta(days=3): ("in 3 days", "in 3 Tagen"),
    }
    for past, (english, german) in said.items():
        assert shown.ago("en", NOW - past, NOW) == english
        assert shown.ago("de", NOW - past, NOW) == german
    assert shown.exact("en", NOW, "Europe/Vienna") == "2 Mar 2026, 11:42"
    assert shown.exact("de", NOW, "Europe/Vienna") == "2. März 2026, 11:42"


def test_names_dates_and_sizes() -> None:
    assert shown.person_name("Morgan^Alexandra^B") == "Morgan, Alexandra B"
    assert shown.person_name("Tanaka^Hiroshi=田中^宏") == "Tanaka, Hiroshi (田中, 宏)"
    assert [shown.person_name(text) for text in ("", "^^^", "=", "=田中^宏")] == ["–", "–", "–", "田中, 宏"]
    assert shown.dicom_date("en", "1994.11.05") == "5 Nov 1994"
    assert [shown.dicom_date("en", text) for text in ("19620314", "", "1962", "20260231", "x" * 99)] == [
        "14 Mar 1962", "–", "1962", "20260231", "x" * 20,
    ]  # fmt: skip
    assert [shown.size(n) for n in (0, 999, 1500, 12_340, 2_500_000_000, 7e15)] == [
        "0 B", "999 B", "1.5 kB", "12 kB", "2.5 GB", "7000.0 TB",
    ]  # fmt: skip
    assert [shown.initials(name) for name in ("Elena Kowalski", "Dr. Ko", "", "-", "ACME")] == [
        "EK", "DK", "?", "?", "A",
    ]  # fmt: skip


def test_browsers_in_words() -> None:
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    edge = (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537 Chrome/140 Safari/537.36 Edg/140.0"
    )
    assert [agent_of(text) for text in (firefox, edge, "curl/8", "")] == [
        "Firefox, Windows",
        "Edge, macOS",
        "",
        "",
    ]


def test_the_language_a_browser_asks_for() -> None:
    asked = ("de-AT,de;q=0.9,en;q=0.8", "fr, en;q=0.5", "fr", "", "en;q=0.2, de;q=0.7", "de;q=x")
    assert [chosen(text) for text in asked] == ["de", "en", "en", "en", "de", "en"]


def test_a_sentence_with_one_number_is_found_by_its_form() -> None:
    assert translated("de", "That was tried too often. Wait 7 minutes, then try again.").startswith(
        "Das wurde zu oft versucht. Warten Sie 7"
    )
    assert translated("de", "Nobody translated 5 of 9.") == "Nobody translated 5 of 9."


@pytest.mark.parametrize(
    "text", ["//x", "http://x", "/\\x", "x", "", "/a\r\nb", "/" * 1001, "javascript:x", "///x", "/\t/x"]
)
def test_only_paths_of_this_server_are_followed(text: str) -> None:
    assert local_path(text, "/home") == "/home"


def test_paths_of_this_server_are_followed() -> None:
    for path in ("/", "/studies/1?a=b#c", "/s/ä"):
        assert local_path(path, "/home") == path
