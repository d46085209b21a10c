"""The whole cluster on its stage: engines, services, front, PACS, mail catcher, and everybody at work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anteroom.demo.orthanc import Modality
from tests.e2e.reliability import accounts
from tests.e2e.reliability.catcher import Catcher
from tests.e2e.reliability.processes import PRESENT, Cluster
from tests.e2e.reliability.settings import settings_with
from tests.e2e.reliability.traffic import Traffic
from tests.neighbours.engines import OwnEngines
from tests.neighbours.nginx import fronting
from tests.neighbours.pacs import StartOrthanc


def _config(pacs_port: int, mail_port: int) -> str:
    return f"""{settings_with(pacs_port, commitment_timeout_s=10)}
[validate.archives]
free_bytes = 1048576
[notify]
per_hour = 100000
combine_s = 1
[notify.email]
host = "127.0.0.1"
port = {mail_port}
tls = "none"
sender = "anteroom@hospital.example"
[[accounts]]
id = "clinic"
name = "Clinic"
roles = ["send"]
email = "office@clinic.example"
policy = "forward-certain"
destinations = ["pacs"]
[[accounts]]
id = "surgery"
name = "Surgery"
roles = ["send"]
policy = "review"
destinations = ["pacs"]
"""


@dataclass
class Stage:
    cluster: Cluster
    engines: OwnEngines
    pacs: Any
    catcher: Catcher
    traffic: Traffic

    def settle(self, seconds: float) -> None:
        """Until nothing is under way any more. Then all that was promised is in its place."""
        promised = self.traffic.promised
        assert promised.problems == []
        with self.cluster.api() as api:
            accounts.wait("files", lambda: accounts.unvalidated(api, promised.sent), seconds)
            accounts.wait("studies", lambda: accounts.not_in_pacs(api, promised), seconds)
            accounts.wait("events", lambda: accounts.lag(api), 120)
            time.sleep(2)  # notices are gathered for a second
            accounts.wait("notices", lambda: accounts.undelivered(api), 180)
            assert accounts.wrong_in_pacs(self.pacs, promised) == []
            assert accounts.wrong_mail(api, self.catcher) == []
            assert accounts.unknown_patients(api, promised) == []

    @property
    def ended_by_themselves(self) -> list[str]:
        return [f"{one.service} ({code})" for one in self.cluster.processes for code in one.ended_itself]


@contextmanager
def staged(
    folder: Path,
    start_orthanc: StartOrthanc,
    program: Callable[[str, int], str] = lambda service, index: PRESENT,
) -> Iterator[Stage]:
    """Everything runs and is ready. `program`: see Cluster."""
    engines, catcher = OwnEngines(folder / "engines"), Catcher()
    cluster: Cluster | None = None
    traffic: Traffic | None = None
    try:
        engines.start()
        catcher.start()
        pacs = start_orthanc()
        config = _config(pacs.dicom_port, catcher.port)
        cluster = Cluster(folder / "cluster", engines, config, program=program)
        pacs.register(Modality("ANTEROOM", "127.0.0.1", cluster.dicom_port))
        (folder / "front").mkdir()
        with fronting(cluster.ports, folder / "front") as front:
            cluster.url = front.url
            cluster.start()
            with cluster.api() as api:
                tokens = [
                    api.post("/api/tokens", {"account": name})["secret"] for name in ("clinic", "surgery")
                ]
            traffic = Traffic(cluster, folder / "sent", tokens)
            yield Stage(cluster, engines, pacs, catcher, traffic)
    finally:
        if traffic is not None:
            traffic.stop()
        if cluster is not None:
            cluster.stop()
        catcher.stop()
        engines.close()
