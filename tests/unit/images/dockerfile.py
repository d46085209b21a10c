"""A Dockerfile, read into its stages and instructions."""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
KNOWN = {
    *("FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "USER", "WORKDIR", "EXPOSE", "VOLUME", "SHELL"),
    *("HEALTHCHECK", "ENTRYPOINT", "CMD", "STOPSIGNAL", "ONBUILD"),
}


@dataclass
class Stage:
    base: str
    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for found, text in self.lines if found == instruction]


def stages(text: str) -> list[Stage]:
    """Raises ValueError for what is no instruction."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction not in KNOWN:
            raise ValueError(f"{instruction} is no instruction")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].lines.append((instruction, rest.strip()))
    return found
