"""The events of this installation, described for those who read them."""

from functools import cache
from importlib.metadata import version

import orjson
from fastapi import APIRouter, Request, Response

from anteroom.settings import KafkaSection
from kit.identity import Role
from kit.service import Service, principal
from schemas.asyncapi import ANYWHERE, Installation, document


def build(kafka: KafkaSection | None = None) -> Service:
    """`kafka` None: events stay in this process, and there are no brokers to tell of."""
    place = ANYWHERE if kafka is None else installation(kafka)
    router = APIRouter(prefix="/api", tags=["operations"])

    @router.get("/asyncapi.json")
    async def asyncapi(request: Request) -> Response:
        """All events as AsyncAPI 3.0. Where Kafka is, and what topics are called there, an administrator
        alone is told."""
        known = "authorization" in request.headers and (await principal(request)).may(Role.ADMIN)
        return Response(_written(place if known else ANYWHERE), media_type="application/json")

    return Service(name="contracts", routers=[router])


def installation(kafka: KafkaSection) -> Installation:
    return Installation(
        brokers=tuple(kafka.servers.split(",")),
        tls=kafka.tls,
        mechanism=kafka.mechanism if kafka.username else "",
        prefix=kafka.prefix,
        partitions=kafka.partitions,
        replicas=kafka.replicas,
    )


@cache
def _written(place: Installation) -> bytes:
    return orjson.dumps(document(place, version=version("anteroom")))
