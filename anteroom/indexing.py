"""`anteroom index`: what the services expect to find on the cluster's engines, made before they start."""

import asyncio
from collections.abc import Callable

from anteroom.cluster import collections, open_cluster
from anteroom.settings import Settings
from kit.bus.kafka_kept import check_topics
from kit.bus.kafka_settings import KafkaSettings, ensure_topics
from schemas.catalogue import TOPICS


async def prepare(settings: Settings, say: Callable[[str], None]) -> None:
    """Make the indexes and the bucket that are missing, and the topics where Kafka's operator does not.
    Does nothing the second time, and changes nothing that is there, so that services of an older version go
    on beside it. Raises TransientError when an engine is away."""
    cluster = open_cluster(settings, settings.process.data / "spool")
    try:
        declared = collections()
        await cluster.documents.ensure_indexes(declared)
        say(f"indexes of {len(declared)} collections are there")
        await asyncio.to_thread(
            cluster.objects.ensure_bucket if settings.s3.create_bucket else cluster.objects.ping
        )
        say(f"bucket {settings.s3.bucket} is there")
        kafka = KafkaSettings(**settings.kafka.model_dump())
        await ensure_topics(kafka, TOPICS)
        say(f"{len(TOPICS)} topics are there")
        for sentence in await check_topics(kafka, TOPICS):
            say(f"warning: {sentence}")
    finally:
        await cluster.close()
