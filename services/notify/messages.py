"""Notices in words: templates by language, a mail with text and HTML, an SMS. No I/O but templates."""

from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kit.errors import PermanentError
from kit.seal import MAIL, unseal
from services.notify.models import Kind, Notice

LANGUAGES = ("en", "de")
_SMS_LIMIT = 300


@dataclass(frozen=True)
class Sign:
    """Who speaks: the site's name, its web address, and the address mail comes from."""

    site: str
    url: str
    sender: str = ""
    reply_to: str = ""
    site_key: bytes = field(default=b"", repr=False)

    def link(self, about: str, sealed: str = "") -> str:
        """Where a notice leads: the page of what it is about, or the sealed path."""
        base = self.url.rstrip("/")
        if sealed:
            opened = unseal(self.site_key, MAIL, sealed)
            return base + opened if opened.startswith("/") else base
        return f"{base}/s/{about}" if about else base


@cache
def _environment(escape: bool) -> Environment:
    return Environment(
        loader=PackageLoader("services.notify", "templates"),
        autoescape=escape,  # noqa: S701 - False for plain text alone, where escapes would be seen
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _words(notice: Notice, sign: Sign) -> dict[str, Any]:
    """The blocks of the notice's template, rendered as plain text."""
    language = notice.language if notice.language in LANGUAGES else LANGUAGES[0]
    template = _environment(False).get_template(f"{language}/{notice.kind}.j2")
    values = {
        "site": _line(sign.site),
        "link": sign.link(notice.about, notice.sealed),
        "code": unseal(sign.site_key, MAIL, notice.sealed) if notice.kind is Kind.SHARE_CODE else "",
        "reference": notice.reference,
        **notice.facts,
    }
    context = template.new_context(values)
    blocks = {name: "".join(block(context)).strip() for name, block in template.blocks.items()}
    paragraphs = [_line(paragraph) for paragraph in blocks["body"].split("\n\n")]
    return {
        **values,
        "language": language,
        "subject": _line(blocks["subject"]),
        "sms": _line(blocks["sms"]),
        "action": _line(blocks["action"]),
        "paragraphs": [paragraph for paragraph in paragraphs if paragraph],
        "counts": [_line(line) for line in blocks.get("counts", "").splitlines() if line.strip()],
    }


def email(notice: Notice, sign: Sign) -> bytes:
    """The whole message (RFC 5322, CRLF). The same notice gives the same bytes, so that a repeat is
    recognised by its Message-ID. Raises PermanentError when it can't be addressed."""
    words = _words(notice, sign)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(display_name=_line(sign.site), addr_spec=sign.sender)
        message["To"] = Address(display_name=_line(notice.recipient_name)[:80], addr_spec=notice.recipient)
        if sign.reply_to:
            message["Reply-To"] = Address(addr_spec=sign.reply_to)
        message["Subject"] = words["subject"]
    except (MessageError, ValueError, IndexError):
        raise PermanentError("the message can't be addressed: an address is not of the usual form") from None
    message["Date"] = notice.created_at
    message["Message-ID"] = f"<{notice.id}@{sign.sender.rpartition('@')[2]}>"
    # RFC 3834: no vacation answers, please. The second is Exchange's own.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    text = _environment(False).get_template("mail.txt.j2").render(words)
    html = _environment(True).get_template("mail.html.j2").render(words)
    message.set_content(text.strip() + "\n", cte="quoted-printable")
    message.add_alternative(html.strip() + "\n", subtype="html", cte="quoted-printable")
    message["Content-Language"] = words["language"]
    message.set_boundary(f"=_{notice.id}")
    return message.as_bytes()


def sms(notice: Notice, sign: Sign) -> str:
    return str(_words(notice, sign)["sms"])[:_SMS_LIMIT]


def _line(text: str) -> str:
    """One line, whatever it held: nothing from outside starts a header of its own."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
