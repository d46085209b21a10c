"""What a start brings about: the administrator's token, declared accounts, the first person's link."""

from anteroom.embedded import write_private
from anteroom.settings import Settings
from kit.service import Kit
from services.portal.bootstrap import ensure_admin, first_person, seed


async def open_accounts(kit: Kit, settings: Settings) -> None:
    token_file = settings.process.data / "admin.token"
    known = token_file.read_text().strip() if token_file.exists() else None
    secret = await ensure_admin(kit, known)
    if secret is not None:
        write_private(token_file, secret)
    await seed(kit, settings.accounts, settings.destinations)


async def invite_first(kit: Kit, settings: Settings, url: str) -> None:
    """Until somebody can sign in: the link that makes the first administrator, in a file of mode 0600."""
    path = await first_person(kit)
    file = settings.process.data / "welcome.link"
    if path is None:
        file.unlink(missing_ok=True)
    else:
        write_private(file, url + path)
