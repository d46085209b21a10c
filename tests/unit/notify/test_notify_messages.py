from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from kit.errors import PermanentError
from kit.seal import MAIL, seal
from services.notify import messages
from services.notify.models import Channel, Kind, Notice
from services.notify.settings import EmailSettings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SIGN = messages.Sign(
    "St. <b>Anna</b> Spital & Söhne", "https://images.example.org/", "noreply@example.org", "help@example.org"
)
FACTS = {
    Kind.PROBLEMS: {
        "files": 9,
        "kept": 5,
        "refused": 2,
        "quarantined": 1,
        "waiting": 1,
        "helpers": 4,
        "open_points": 3,
    },
    Kind.IN_PACS: {"images": 120},
    Kind.FAILED: {"images": 120, "sent": 7},
    Kind.INVITE: {"days": 7},
    Kind.RESET: {"minutes": 60},
    Kind.SHARE: {"days": 14},
    Kind.SHARE_CODE: {"minutes": 10},
    Kind.UPLOAD_LINK: {"days": 14},
    Kind.DIGEST: {
        "messages": 6,
        "failed": 1,
        "problems": 1,
        "asked": 1,
        "declined": 1,
        "delayed": 1,
        "in_pacs": 1,
        "destinations": 1,
    },
    Kind.DESTINATION_AWAY: {"minutes": 22, "waiting": 7},
    Kind.DESTINATION_BACK: {"minutes": 90},
}


def notice(
    kind: Kind = Kind.IN_PACS, language: str = "en", channel: Channel = "email", **more: object
) -> Notice:
    values = {
        "id": "0" * 32,
        "kind": kind,
        "channel": channel,
        "recipient": "a@example.org",
        "language": language,
        "recipient_name": "Dr. Ä",
        "about": "feedfacefeedfacefeedfacefeedface",
        "reference": "FEEDFACE",
        "facts": FACTS.get(kind, {}),
        "created_at": NOW,
        "correlation_id": "c",
        "cause": "e",
        **more,
    }
    return Notice.model_validate(values)


def parsed(item: Notice) -> EmailMessage:
    return cast(EmailMessage, message_from_bytes(messages.email(item, SIGN), policy=policy.default))


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.SHARE_CODE])
def test_every_kind_in_every_language(kind: Kind, language: str) -> None:
    message = parsed(notice(kind, language))
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert message["subject"]
    assert "https://images.example.org/s/feedface" in text.get_content()
    assert "https://images.example.org/s/feedface" in html.get_content()
    assert "{{" not in html.get_content()
    # Counts stand in both parts.
    for value in FACTS.get(kind, {}).values():
        assert str(value) in text.get_content()
        assert str(value) in html.get_content()
    sms = messages.sms(notice(kind, language, "sms"), SIGN)
    assert sms.endswith("/s/feedfacefeedfacefeedfacefeedface")
    assert "\n" not in sms


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_code_stands_in_its_message_and_leads_nowhere(language: str) -> None:
    sealed = seal(SIGN.site_key, MAIL, "493027")
    message = parsed(notice(Kind.SHARE_CODE, language, about="", sealed=sealed))
    text = message.get_body(("plain",))
    assert text is not None
    assert "493027" in text.get_content()
    assert "493027" not in message["subject"]
    sms = messages.sms(notice(Kind.SHARE_CODE, language, "sms", about="", sealed=sealed), SIGN)
    assert "493027" in sms
    assert "/s/" not in text.get_content() + sms


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_html_is_escaped_and_text_is_not(kind: Kind, language: str) -> None:
    evil = '"><b onclick=x()>'
    sealed = seal(SIGN.site_key, MAIL, "493027") if kind is Kind.SHARE_CODE else ""
    item = notice(kind, language, reference=evil, about=evil, recipient_name=evil, sealed=sealed)
    message = parsed(item)
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "<b>Anna</b>" not in html.get_content()
    assert "&lt;b&gt;Anna" in html.get_content()
    assert "<b" not in html.get_content().partition("<body")[2]
    assert "St. <b>Anna</b> Spital & Söhne" in text.get_content()


def test_headers() -> None:
    message = parsed(notice(language="de"))
    assert message["message-id"] == f"<{'0' * 32}@example.org>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["content-language"] == "de"
    assert message["reply-to"] == "help@example.org"
    assert "Dr. Ä" in message["to"]
    assert "St. <b>Anna</b>" in message["from"]


def test_a_repeat_is_the_same_message() -> None:
    assert messages.email(notice(), SIGN) == messages.email(notice(), SIGN)


def test_an_unknown_language_is_english() -> None:
    assert parsed(notice(language="fr"))["content-language"] == "en"


@pytest.mark.parametrize("name", ["x\r\nBcc: evil@example.org", "a, b <c@d>", '"', "\x00\x1b[31m", "ü" * 500])
def test_a_name_starts_no_header(name: str) -> None:
    message = parsed(notice(recipient_name=name))
    assert message["bcc"] is None
    assert message["to"].addresses[0].addr_spec == "a@example.org"


@pytest.mark.parametrize("address", ["", "a", "a@b\r\nBcc: x@y.z", "ü@x", "a@b, c@d"])
def test_an_impossible_address_is_said_so(address: str) -> None:
    with pytest.raises(PermanentError):
        messages.email(notice(recipient=address), SIGN)


def test_lines_are_short_and_crlf() -> None:
    for line in messages.email(notice(Kind.PROBLEMS), SIGN).split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line


def test_plain_smtp_is_for_this_machine_alone() -> None:
    assert EmailSettings(host="127.0.0.1", sender="a@b", tls="none").configured
    with pytest.raises(ValueError, match="without TLS"):
        EmailSettings(host="mail.example.org", sender="a@b", tls="none")


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(EmailSettings.model_validate({"password": "hush"}))
