"""What a start brings about: the administrator's token, declared accounts, the first person's link."""

from pathlib import Path

from anteroom.embedded import write_private
from anteroom.settings import Settings
from kit.service import Kit
from services.portal.bootstrap import ensure_admin, first_person, seed, take_admin_token


async def open_accounts(kit: Kit, settings: Settings) -> None:
    if settings.process.admin_token:
        await take_admin_token(kit, settings.process.admin_token)
    else:
        await _own_admin_token(kit, settings.process.data / "admin.token")
    await seed(kit, settings.accounts, settings.destinations)


async def _own_admin_token(kit: Kit, file: Path) -> None:
    secret = await ensure_admin(kit, file.read_text().strip() if file.exists() else None)
    if secret is not None:
        write_private(file, secret)


async def invite_first(kit: Kit, settings: Settings, url: str) -> Path | None:
    """Until somebody can sign in: the link that makes the first administrator, in a file of mode 0600.
    Returns the file; None once somebody can."""
    path = await first_person(kit)
    file = settings.process.data / "welcome.link"
    if path is None:
        file.unlink(missing_ok=True)
        return None
    write_private(file, url + path)
    return file
