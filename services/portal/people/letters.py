"""Asking notify for a mail that holds a secret. The secret travels sealed: the log shows it to nobody."""

from datetime import datetime
from typing import Literal

from kit.ids import random_id
from kit.seal import MAIL, seal
from kit.service import Kit
from schemas.portal import AccountMailRequested
from schemas.shapes import Person

Letter = Literal["invite", "reset", "password-changed", "second-factor-off", "upload-link"]


def letter(
    kit: Kit,
    kind: Letter,
    to: Person,
    language: str,
    *,
    path: str = "",
    account_id: str = "",
    expires_at: datetime | None = None,
) -> AccountMailRequested:
    """The event to save together with what the letter is about. `path` is where its link leads."""
    mail_id = random_id()
    return AccountMailRequested.first(
        time=kit.clock(),
        key=account_id or mail_id,
        correlation_id=mail_id,
        step=mail_id,
        kind=kind,
        account_id=account_id,
        to=to,
        language=language,
        sealed=seal(kit.site_key, MAIL, path),
        expires_at=expires_at,
    )
