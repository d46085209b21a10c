"""The image's recipe keeps the rules that hadolint has, and fits the code. No container engine is needed."""

import json
import re
import tomllib

import pytest

from anteroom.settings import Settings
from scripts import viewer
from scripts.requirements import requirements
from tests.unit.images.dockerfile import ROOT, Stage, stages
from tests.unit.images.ignoring import ignored

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
STAGES = {stage.name: stage for stage in stages((ROOT / "Dockerfile").read_text())}
LAST = STAGES["anteroom"]


def problems(made: list[Stage]) -> list[str]:
    """What hadolint would say (its rule's number), as far as it concerns us."""
    found, names = [], set()
    for stage in made:
        tag = stage.base.rpartition(":")[2]
        if stage.base not in names and (
            ":" not in stage.base or tag == "latest" or not re.search(r"\d+\.\d+\.\d+", tag)
        ):
            found.append(f"DL3006 DL3007 {stage.base} is not pinned")
        names.add(stage.name)
        for instruction, text in stage.lines:
            if instruction == "ADD":
                found.append("DL3020 ADD")
            if instruction == "WORKDIR" and not text.startswith("/"):
                found.append(f"DL3000 WORKDIR {text}")
            if instruction in {"CMD", "ENTRYPOINT"} and not text.startswith("["):
                found.append(f"DL3025 {instruction} {text}")
            if instruction == "RUN":
                found += _problems_of_run(text)
            if instruction == "COPY" and text.startswith("--from="):
                source = text.split()[0].removeprefix("--from=")
                if source not in names:
                    found.append(f"DL3022 {source} is no stage before")
            if instruction == "ENV" and re.search(r"(PASSWORD|SECRET|TOKEN|KEY)\w*=", text):
                found.append(f"a secret in ENV: {text}")
    if "USER" not in dict(made[-1].lines):
        found.append("DL3002 the last user is root")
    return found


def _problems_of_run(text: str) -> list[str]:
    found = []
    if "sudo" in text.split():
        found.append("DL3004 sudo")
    if re.search(r"(^|[;&] *)cd ", text):
        found.append("DL3003 cd")
    if "apt-get install" in text and "--no-install-recommends" not in text:
        found.append("DL3015 recommends")
    if "apt-get install" in text and "/var/lib/apt/lists" not in text:
        found.append("DL3009 lists are kept")
    if "pip install" in text:
        if "--no-cache-dir" not in text:
            found.append("DL3042 pip's cache is kept")
        if not ("-c constraints.txt" in text or "--no-deps" in text):
            found.append("DL3013 pip installs what is not pinned")
    if re.search(r"\b(curl|wget)\b", text):
        found.append("DL4001 fetches past the package registries")
    return found


def test_no_rule_is_broken() -> None:
    assert problems(list(STAGES.values())) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM python\nUSER 1", "DL3006"),
        ("FROM python:latest\nUSER 1", "DL3007"),
        ("FROM python:3.11.1\nADD http://x /y\nUSER 1", "DL3020"),
        ("FROM python:3.11.1\nWORKDIR src\nUSER 1", "DL3000"),
        ("FROM python:3.11.1\nCMD anteroom\nUSER 1", "DL3025"),
        ("FROM python:3.11.1\nRUN pip install x\nUSER 1", "DL3042"),
        ("FROM python:3.11.1\nRUN cd /x && ls\nUSER 1", "DL3003"),
        ("FROM python:3.11.1\nRUN true", "DL3002"),
        ("FROM python:3.11.1\nCOPY --from=gone /x /y\nUSER 1", "DL3022"),
    ],
)
def test_a_broken_rule_is_found(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(stages(text)))


def test_it_runs_as_nobody_in_particular() -> None:
    (user,) = LAST.all("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user), "Kubernetes checks runAsNonRoot by number"
    made = " ".join(LAST.all("RUN"))
    uid, gid = user.split(":")
    assert f"--uid {uid} --gid {gid}" in made
    assert f"install -d -o {uid} -g {gid} -m 0700 /var/lib/anteroom" in made


def test_doors_commands_and_health_are_those_of_the_code() -> None:
    defaults = Settings()
    exposed = {int(port) for port in LAST.all("EXPOSE")[0].split()}
    assert exposed == {defaults.http.port, defaults.upload.dicom_port, defaults.match.hl7_port}
    (entry,) = LAST.all("ENTRYPOINT")
    assert set(json.loads(entry)) == set(PROJECT["project"]["scripts"])
    (health,) = LAST.all("HEALTHCHECK")
    assert f"http://127.0.0.1:{defaults.http.port}/healthz" in health
    json.loads(health[health.index("[") :])
    labels = LAST.all("LABEL")[0]
    assert f'version="{PROJECT["project"]["version"]}"' in labels
    assert f'licenses="{PROJECT["project"]["license"]}"' in labels


def test_the_python_is_one_that_the_project_wants() -> None:
    versions = {stage.base for stage in STAGES.values() if stage.base.startswith("python:")}
    assert len(versions) == 1
    (major, minor) = re.findall(r"python:(\d+)\.(\d+)\.", versions.pop())[0]
    assert PROJECT["tool"]["mypy"]["python_version"] == f"{major}.{minor}"


def test_every_package_is_installed_before_the_code_and_pinned() -> None:
    wanted = requirements("cluster", "telemetry")
    assert all("==" in line for line in wanted)
    assert set(PROJECT["project"]["dependencies"]) < set(wanted)
    assert set(PROJECT["project"]["optional-dependencies"]["cluster"]) < set(wanted)
    assert not any(line.startswith("pytest") for line in wanted)
    build = STAGES["build"]
    order = [text for instruction, text in build.lines if instruction in {"COPY", "RUN"}]
    install = next(i for i, text in enumerate(order) if "-r /tmp/requirements.txt" in text)
    code = next(i for i, text in enumerate(order) if text.startswith("anteroom "))
    assert install < code, "a change of the code must not fetch all packages again"
    assert "scripts.requirements cluster telemetry" in order[install]


def test_the_viewer_is_made_in_its_stage_and_comes_along() -> None:
    (made,) = [text for text in STAGES["viewer"].all("RUN") if "scripts.viewer" in text]
    target = viewer.TARGET.relative_to(ROOT)
    assert f"test -s {target}/index.html" in made
    assert f"--from=viewer /src/{target} {target}" in STAGES["build"].all("COPY")
    assert "npm" in " ".join(STAGES["viewer"].all("RUN"))


def test_the_whole_package_is_copied() -> None:
    copied = {text.split()[0] for text in STAGES["build"].all("COPY")}
    found = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.removesuffix("*") for name in found} <= copied


def test_nothing_private_or_needless_reaches_the_build() -> None:
    for path in (
        *(".git/config", ".venv/bin/python", "data/site.key", ".engines/ports.json", "tests/conftest.py"),
        *(
            "anteroom.toml",
            "k8s/overlays/dev/trial/site.key",
            "services/view/ohif/index.html",
            "bench/__main__.py",
        ),
        *("kit/__pycache__/errors.cpython-311.pyc", "scripts/screenshots.py"),
    ):
        assert ignored(path), path
    for stage in STAGES.values():
        for text in stage.all("COPY"):
            if not text.startswith("--from"):
                for source in text.split()[:-1]:
                    assert (ROOT / source).exists(), source
                    assert not ignored(source), source
