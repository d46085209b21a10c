"""What is wrong with settings, in words for whoever wrote them: no value is repeated, it may be a secret."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

PREFIX = "ANTEROOM_"
_NOT_OURS = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP)(_.+)?)?)$")
"""What Kubernetes and Docker tell of services that are called so."""


def of_validation(error: ValidationError, model: type[BaseModel]) -> str:
    return "These settings can't be used: " + "; ".join(_lines(error, model))


def of_variables(given: Iterable[str], known: Iterable[str], sections: Iterable[str]) -> str | None:
    """The first variable that is meant as a setting and is none: of a section that there is, or nearly the
    name of one. None when there is no such."""
    names = sorted(known)
    tables = tuple(f"{PREFIX}{section}_".upper() for section in sections)
    for name in sorted(given):
        if name in names or _NOT_OURS.search(name):
            continue
        near = get_close_matches(name, names, 1, 0.85)
        if near or name.startswith(tables):
            return f"{name} is no setting{_meant(near)}. Correct it, or take it away."
    return None


def of_rows(table: str, rows: Iterable[Mapping[str, Any]], model: type[BaseModel]) -> str | None:
    """The first name in a list of tables that is none: what is also kept as a document forbids no others."""
    names = [*_names(model, [])]
    for row in rows:
        for name in row:
            if name not in names:
                return f"[[{table}]]: {name} is no setting{_meant(get_close_matches(name, names, 1))}."
    return None


def _lines(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    for item in error.errors(include_input=False, include_url=False):
        path = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            names = [*_names(model, path[:-1])]
            near = get_close_matches(path[-1], names, 1)
            yield f"{'.'.join(path)} is no setting{_meant(['.'.join([*path[:-1], *near])] if near else [])}"
        else:
            yield f"{'.'.join(path)}: {item['msg']}"


def _names(model: Any, path: list[str]) -> Iterator[str]:
    """What may stand in the table at this path; nothing within lists."""
    for part in path:
        fields = model.model_fields if _is_table(model) else {}
        model = next((f.annotation for name, f in fields.items() if part in (name, f.alias)), None)
    if _is_table(model):
        yield from (field.alias or name for name, field in model.model_fields.items())


def _is_table(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)


def _meant(near: list[str]) -> str:
    return f" (did you mean {near[0]}?)" if near else ""
