"""The image's content, built by the Dockerfile's own steps and run as k8s/ runs it, on the real engines.

There is no container: the layers are folders, the limits are set by unshare and setpriv.
"""

import asyncio
import secrets
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from anteroom.client.api import Api, ApiError
from kit.bus.kafka_settings import KafkaSettings, remove_topics
from tests.e2e.image.building import STAGES, Layer, build
from tests.e2e.image.confining import DATA, KEYS, USER, Confined, command, must_be_possible
from tests.neighbours.engines import ACCESS_KEY, SECRET_KEY, engine
from tests.neighbours.nginx import fronting
from tests.neighbours.process import free_port
from tests.unit.images.dockerfile import ROOT
from tests.unit.k8s.rendering import K8S, WORKLOADS, environment, ours, rendered

pytestmark = pytest.mark.slow
TRIAL = K8S / "overlays" / "dev" / "trial"
STUDY = ROOT / "anteroom" / "demo" / "study"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    """Stage `build`, with the viewer of this checkout where it was made, else without."""
    folder = tmp_path_factory.mktemp("image")
    viewer = Layer(_made(folder / "viewer"), sys.executable)
    made = ROOT / "services" / "view" / "ohif"
    place = viewer.place("services/view/ohif")
    if made.is_dir():
        place.parent.mkdir(parents=True)
        place.symlink_to(made)
    else:
        place.mkdir(parents=True)
    return build(STAGES["build"], _made(folder / "build"), {"viewer": viewer}, sys.executable)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _in(image: Layer, *arguments: str) -> str:
    done = subprocess.run(
        [str(image.folder / "opt" / "anteroom" / "bin" / arguments[0]), *arguments[1:]],
        cwd=image.folder / "tmp",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_command_line_is_there_with_everything_it_needs(image: Layer) -> None:
    assert "Run one service, or all" in _in(image, "anteroom", "--help")
    assert "No broken requirements" in _in(image, "python", "-m", "pip", "check")
    names = _in(image, "python", "-m", "pip", "freeze").casefold()
    assert "\npytest==" not in names
    assert "\nmotor==" in names


def test_what_the_services_show_comes_along(image: Layer) -> None:
    wanted = [
        p.relative_to(ROOT)
        for pattern in (
            "services/portal/**/*",
            "services/notify/**/*",
            "services/view/config/*",
            "anteroom/demo/study/*",
        )
        for p in ROOT.glob(pattern)
        if p.is_file() and p.suffix not in {".pyc", ".md"}
    ]
    packages = next((image.folder / "opt" / "anteroom" / "lib").glob("python*/site-packages"))
    assert len(wanted) > 100
    assert [str(path) for path in wanted if not (packages / path).is_file()] == []


@pytest.fixture(scope="module")
def cluster(
    image: Layer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Api, dict[str, Confined]]]:
    """Every workload of the overlay for one node, confined, behind nginx; the engines are this machine's."""
    must_be_possible()
    kafka, mongo, s3 = engine("kafka"), engine("mongo"), engine("s3")
    name = f"image-{secrets.token_hex(6)}"
    found = rendered("overlays/dev")
    installed = image.folder / "opt" / "anteroom"
    logs = tmp_path_factory.mktemp("logs")
    ours_here = {
        "ANTEROOM_KAFKA_SERVERS": kafka,
        "ANTEROOM_KAFKA_PREFIX": f"{name}-",
        "ANTEROOM_MONGO_URL": f"mongodb://{mongo}",
        "ANTEROOM_MONGO_DATABASE": name,
        "ANTEROOM_S3_ENDPOINT": s3,
        "ANTEROOM_S3_BUCKET": name,
        "ANTEROOM_S3_ACCESS_KEY": ACCESS_KEY,
        "ANTEROOM_S3_SECRET_KEY": SECRET_KEY,
        "ANTEROOM_PROCESS_DATA": DATA,
        "ANTEROOM_PROCESS_KEY_FILE": f"{KEYS}/site.key",
        "ANTEROOM_PROCESS_ADMIN_TOKEN_FILE": f"{KEYS}/admin-token",
        "ANTEROOM_HTTP_PROXIES": '["127.0.0.0/8"]',
        "ANTEROOM_HTTP_HOST": "127.0.0.1",
    }
    containers = {document["metadata"]["name"]: container for document, container in ours(found)}

    def variables(workload: str, port: int) -> dict[str, str]:
        values = {**environment(found, containers[workload]), **ours_here, "ANTEROOM_HTTP_PORT": str(port)}
        values |= {"ANTEROOM_TELEMETRY_METRICS_PORT": "0", "ANTEROOM_TELEMETRY_METRICS_HOST": "127.0.0.1"}
        for door in ("ANTEROOM_UPLOAD_DICOM_PORT", "ANTEROOM_MATCH_HL7_PORT"):
            if int(values.get(door, "-1")) > 0:
                values[door] = str(free_port())
                values[door.replace("_PORT", "_HOST")] = "127.0.0.1"
        return values

    index = command(installed, TRIAL, variables("index", 0), *containers["index"]["args"])
    done = subprocess.run(index, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ports = {workload: free_port() for workload in WORKLOADS}
    with ExitStack() as stack:
        running: dict[str, Confined] = {}
        for workload, port in ports.items():
            asked = command(installed, TRIAL, variables(workload, port), *containers[workload]["args"])
            running[workload] = Confined(asked, logs / f"{workload}.log")
            stack.callback(running[workload].kill)
        for workload, port in ports.items():
            _until(lambda port=port: _ready(port), lambda w=workload: (logs / f"{w}.log").read_text())
        front = stack.enter_context(fronting(ports, logs))
        token = (TRIAL / "admin-token").read_text().strip()
        with Api(front.url, token) as api:
            yield api, running
    asyncio.run(remove_topics(KafkaSettings(servers=kafka, prefix=f"{name}-")))


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=15, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _until(good: Any, said: Any = lambda: "") -> Any:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if found := good():
            return found
        time.sleep(0.2)
    raise AssertionError(f"it did not come to that within two minutes\n{said()[-3000:]}")


def test_it_runs_without_name_rights_or_a_root_to_write_to(cluster: tuple[Api, dict[str, Confined]]) -> None:
    for confined in cluster[1].values():
        assert confined.status("Uid").split() == [str(USER)] * 4
        assert int(confined.status("CapEff"), 16) == int(confined.status("CapBnd"), 16) == 0
        assert confined.status("NoNewPrivs") == "1"


def test_a_study_goes_its_way_through_all_of_them(
    cluster: tuple[Api, dict[str, Confined]], tmp_path: Path
) -> None:
    api, _ = cluster
    assert api.get("/api/whoami")["name"] == "admin"
    account = api.post("/api/accounts", {"name": "Hillside", "origin": "hillside", "roles": ["send"]})
    sender = api.post("/api/tokens", {"account": account["id"]})["secret"]
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in STUDY.glob("*.dcm"):
            made.write(path, path.name)
    sent = httpx.post(
        f"{api.server}/api/send",
        content=archive.read_bytes(),
        headers={"authorization": f"Bearer {sender}", "content-type": "application/zip"},
        timeout=60,
    )
    assert sent.status_code == 201, sent.text
    submission = sent.json()["submission"]
    _until(lambda: _outcome(api, submission).get("state") == "validated")
    assert _outcome(api, submission)["stored"] == 20
    (study,) = _until(lambda: api.get("/api/studies", state="unmatched")["studies"])
    assert study["instances"] == 20
    (seen,) = _until(lambda: api.get(f"/dicomweb/study/{study['id']}/studies"))
    assert seen["00201208"]["Value"] == [20]
    assert api.get(f"/api/matches/{study['id']}")
    assert _stored(api, sender) == 200
    assert api.get("/api/deliveries", study_id=study["id"]) is not None
    assert api.get("/api/notices") is not None


def _stored(api: Api, token: str) -> int:
    """One image by STOW-RS, which the spooling doors take."""
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    answer = httpx.post(
        f"{api.server}/dicomweb/studies",
        content=head + (STUDY / "slice-01.dcm").read_bytes() + b"\r\n--b--\r\n",
        headers={
            "authorization": f"Bearer {token}",
            "content-type": 'multipart/related; type="application/dicom"; boundary=b',
            "accept": "application/dicom+json",
        },
        timeout=60,
    )
    return answer.status_code


def _outcome(api: Api, submission: str) -> dict[str, Any]:
    try:
        return dict(api.get(f"/api/submissions/{submission}/outcome"))
    except ApiError as error:
        if error.status == 404:
            return {}
        raise


def test_told_to_end_they_finish_and_leave_quietly(cluster: tuple[Api, dict[str, Confined]]) -> None:
    """The last test: nothing runs afterwards."""
    for name, confined in cluster[1].items():
        assert confined.running, name
        assert confined.end() == 0, name
