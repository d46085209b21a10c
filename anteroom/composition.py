"""Which services there are, and how each is built. The one place that knows them all."""

from collections.abc import Callable

from anteroom.settings import Settings
from kit.service import Kit, Service
from services.forward import app as forward
from services.match import app as match
from services.notify import app as notify
from services.portal import app as portal
from services.upload import app as upload
from services.validate import app as validate
from services.view import app as view

BUILDERS: dict[str, Callable[[Kit, Settings], Service]] = {
    "upload": lambda kit, settings: upload.build(kit, settings.upload),
    "validate": lambda kit, settings: validate.build(kit, settings.validate_),
    "match": lambda kit, settings: match.build(kit, settings.match),
    "portal": lambda kit, settings: portal.build(kit, settings.portal),
    "view": lambda kit, settings: view.build(kit, settings.view),
    "forward": lambda kit, settings: forward.build(kit, settings.forward),
    "notify": lambda kit, settings: notify.build(kit, settings.notify),
}


def build_all(kit: Kit, settings: Settings) -> list[Service]:
    return [build(kit, settings) for build in BUILDERS.values()]
