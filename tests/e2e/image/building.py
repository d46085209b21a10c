"""The steps of the Dockerfile, run one after the other in folders instead of layers."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.images.dockerfile import ROOT, Stage, stages
from tests.unit.images.ignoring import ignored

STAGES = {stage.name: stage for stage in stages((ROOT / "Dockerfile").read_text())}
_NO_NETWORK = ("Failed to establish a new connection", "Temporary failure in name resolution", "ENOTFOUND")


class Layer:
    """A stage's file system as far as its steps touch it: /src, /opt and /tmp become folders here."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self._python = python
        for name in ("src", "opt", "tmp"):
            (folder / name).mkdir()

    def place(self, path: str) -> Path:
        return self.folder / path.lstrip("/") if path.startswith("/") else self.folder / "src" / path

    def copy(self, text: str, others: dict[str, "Layer"]) -> None:
        *sources, target = text.split()
        if sources[0].startswith("--from="):
            other = others[sources.pop(0).removeprefix("--from=")]
            for source in sources:
                shutil.copytree(other.place(source), self.place(target), dirs_exist_ok=True)
            return
        for source in sources:
            self._copy_in(ROOT / source, self.place(target), into=target.endswith("/"))

    def _copy_in(self, source: Path, target: Path, *, into: bool) -> None:
        """From the build's context, which leaves out what .dockerignore names."""
        files = [source] if source.is_file() else [p for p in source.rglob("*") if p.is_file()]
        for file in files:
            if ignored(str(file.relative_to(ROOT))):
                continue
            place = target / file.name if into else target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)

    def run(self, text: str) -> None:
        """Skips the test where the registries can't be reached; any other failure is one."""
        command = re.sub(r"(?<=\s)/(opt|tmp)/", rf"{self.folder}/\1/", f" {text}")
        command = re.sub(r"(?<=\s)python -m ", f"{self._python} -m ", command)
        done = subprocess.run(
            ["sh", "-ec", command], cwd=self.folder / "src", capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        if done.returncode and any(sign in said for sign in _NO_NETWORK):
            pytest.skip("the package registries can't be reached here")
        assert done.returncode == 0, f"{text}\n{said[-3000:]}"


def build(stage: Stage, folder: Path, others: dict[str, Layer], python: str) -> Layer:
    """All COPY and RUN steps of a stage. What apt or the base image would bring must be here already."""
    layer = Layer(folder, python)
    for instruction, text in stage.lines:
        if instruction == "COPY":
            layer.copy(text, others)
        elif instruction == "RUN":
            layer.run(text)
    return layer
