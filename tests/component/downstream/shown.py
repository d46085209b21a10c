"""What schemas/README.md shows to consumers, and how it is run."""

import asyncio
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

import yaml

import schemas
from schemas.forward import StudyForwarded
from schemas.wire import decode

FOLDER = Path(schemas.__file__).parent
README = (FOLDER / "README.md").read_text()
ON_KAFKA, OVER_HTTP = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
KCAT_ALL, KCAT_GROUP = re.findall(r"^kcat .*$", README, re.MULTILINE)
(FOLLOWING,) = re.findall(r"`(anteroom events --follow .*?)`", README)
READER: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0])
TOPIC = StudyForwarded.topic
EXAMPLE = decode((FOLDER / "examples" / TOPIC / "typical.json").read_bytes())


def forwarded(number: int) -> StudyForwarded:
    assert isinstance(EXAMPLE, StudyForwarded)
    event_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    return EXAMPLE.model_copy(update={"id": event_id, "key": f"s{number}", "study_id": f"s{number}"})


class Running:
    """A program of the README, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begin(cls, *command: str, **environment: str) -> "Running":
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, **environment},
            )
        )

    async def lines(self, count: int) -> list[str]:
        assert self._process.stdout is not None
        found = []
        async with asyncio.timeout(60):
            while len(found) < count:
                line = await self._process.stdout.readline()
                assert line, await self._process.stderr.read()  # type: ignore[union-attr]
                found.append(line.decode().strip())
        return found

    async def kill(self) -> str:
        """With SIGKILL. Returns what it had said besides."""
        self._process.kill()
        rest, _ = await self._process.communicate()
        return rest.decode()


def alone(folder: Path, program: str) -> str:
    """The program beside a copy of the schemas, as a consumer elsewhere has them."""
    shutil.copytree(FOLDER, folder / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "consumer.py"
    path.write_text(program)
    return str(path)
