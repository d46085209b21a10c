"""An own database, bucket and set of topics on the real engines, cleared afterwards."""

import secrets
from pathlib import Path

from anteroom.cluster import open_cluster
from anteroom.settings import Settings, load
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, engine

PARTITIONS = 2


class Place:
    """`config` is the settings file of a cluster there."""

    def __init__(self, folder: Path) -> None:
        self.name = f"moving-{secrets.token_hex(5)}"
        self.config = folder / f"{self.name}.toml"
        self.data = folder / self.name
        self.config.write_text(f"""
[process]
data = "{self.data}"
[kafka]
servers = "{engine("kafka")}"
prefix = "{self.name}-"
partitions = {PARTITIONS}
[mongo]
url = "mongodb://{engine("mongo")}"
database = "{self.name}"
timeout_s = 5
[s3]
endpoint = "{engine("s3")}"
bucket = "{self.name}"
access_key = "{ACCESS_KEY}"
secret_key = "{SECRET_KEY}"
secure = false
""")

    @property
    def settings(self) -> Settings:
        return load(self.config)

    async def clear(self) -> None:
        cluster = open_cluster(self.settings, self.data / "clear")
        await cluster.mongo.database.client.drop_database(self.name)
        cluster.objects.ensure_bucket()
        for stat in list(cluster.objects.list("")):
            cluster.objects.delete(stat.key)
        await cluster.close()
        await remove_topics(KafkaSettings(servers=self.settings.kafka.servers, prefix=f"{self.name}-"))
