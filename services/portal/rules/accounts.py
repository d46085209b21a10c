"""What an account or a destination may hold. Pure; every refusal says which field and what it should be."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from kit.destinations import Destination
from kit.errors import Refused
from kit.identity import Account, Group, Role

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_account(account: Account, destinations: Sequence[str]) -> None:
    """Raises Refused."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", account.id):
        raise Refused("bad-account", "An account's id has letters, digits, dots and dashes, at most 64.")
    if not account.name.strip() or len(account.name) > 100:
        raise Refused("bad-account", "An account needs a name of at most 100 characters.")
    if not account.name.isprintable() or not account.origin.isprintable():
        raise Refused("bad-account", "Name and origin may not hold control signs.")
    check_contact(account.email, account.phone)
    for title in account.ae_titles:
        if not is_ae_title(title):
            raise Refused("bad-account", "An AE title has 1 to 16 characters and no backslash.")
    for network in account.addresses:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise Refused(
                "bad-account", "Write addresses as 10.1.2.3, or networks as 10.1.2.0/24."
            ) from error
    _check_departments(account.departments)
    _check_known(account.destinations, destinations)


def check_contact(email: str | None, phone: str | None) -> None:
    """Raises Refused for what no message can be sent to."""
    if email and not re.fullmatch(r"[^@\s,;<>\x00-\x1f]+@[^@\s,;<>\x00-\x1f]+", email):
        raise Refused("bad-account", "The email address is not one.")
    if phone and not re.fullmatch(r"\+[1-9][0-9]{6,14}", phone):
        raise Refused("bad-account", "Write the phone number with its country, such as +4315550100.")


def dialled(phone: str) -> str:
    """A number without what people write between its digits."""
    return re.sub(r"[\s()/.-]", "", phone)


def check_group(group: Group, destinations: Sequence[str]) -> None:
    """Raises Refused."""
    if not group.name.strip() or len(group.name) > 100 or not group.name.isprintable():
        raise Refused("bad-group", "A group needs a name of at most 100 characters.")
    _check_departments(group.departments)
    _check_known(group.destinations, destinations)


def _check_departments(departments: Sequence[str]) -> None:
    for name in departments:
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise Refused("bad-department", "A department's name has at most 64 characters.")


def _check_known(chosen: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise Refused("unknown-destination", f"There is no destination {unknown[0][:64]!r}.")


def check_admin_left(changed: Account, admins: Sequence[Account]) -> None:
    """The last administrator can't be shut out. `admins` are the enabled ones as stored."""
    still = Role.ADMIN in changed.roles and not changed.disabled
    if not still and all(admin.id == changed.id for admin in admins):
        raise Refused("last-admin", "This is the last administrator: make another one first.")


def check_destination(destination: Destination) -> None:
    """Raises Refused."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", destination.id):
        raise Refused(
            "bad-destination", "A destination's name has letters, digits, dots and dashes, at most 64."
        )
    if destination.kind == "stow":
        if not _is_url(destination.url):
            raise Refused(
                "bad-destination",
                "A STOW destination needs its url, such as https://pacs/dicom-web, without a login in it.",
            )
        return
    if not _is_host(destination.host) or not 1 <= destination.port <= 65535:
        raise Refused("bad-destination", "A DICOM destination needs a host and a port from 1 to 65535.")
    if not is_ae_title(destination.called_ae) or not is_ae_title(destination.calling_ae):
        raise Refused(
            "bad-destination", "Called and calling AE titles have 1 to 16 characters, no backslash."
        )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        ported = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text and "@" not in parts.netloc
    return plain and ported and parts.scheme in {"http", "https"} and _is_host(parts.hostname or "")


def _is_host(text: str) -> bool:
    """A name (RFC 1123, with the underscores of Windows) or an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return len(text) <= 253 and all(
            _LABEL.fullmatch(label) for label in text.removesuffix(".").split(".")
        )
    return True


def is_ae_title(text: str) -> bool:
    """PS3.5 6.2: at most 16 characters of the default repertoire, no backslash, not only spaces."""
    return bool(re.fullmatch(r"[\x20-\x5b\x5d-\x7e]{1,16}", text)) and bool(text.strip())
