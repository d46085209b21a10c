"""What the tasks of forward work with."""

from collections.abc import Mapping
from dataclasses import dataclass

from kit.destinations import DESTINATIONS, Destination
from kit.errors import PermanentError
from kit.saying import say
from kit.service import Kit
from services.forward.kinds.port import Kind
from services.forward.settings import ForwardSettings


@dataclass(frozen=True)
class Means:
    kit: Kit
    settings: ForwardSettings
    kinds: Mapping[str, Kind]

    async def destination(self, name: str) -> tuple[Destination, Kind]:
        """Raises PermanentError when there is none of that name any more."""
        destination = await self.kit.documents.get(DESTINATIONS, name)
        if destination is None:
            raise PermanentError(
                say(
                    "destination-gone",
                    "There is no destination named %(destination)s any more. Set it up again, then retry.",
                    destination=name,
                )
            )
        return destination, self.kinds[destination.kind]
