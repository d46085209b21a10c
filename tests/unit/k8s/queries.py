"""Every query that k8s/ asks Prometheus, read by a parser of its language, and every metric of the code."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from kit import metrics
from tests.unit.k8s.rendering import K8S, documents, named, of_kind, rendered

FROM_THE_CLUSTER = {"pod"}
"""Labels that Prometheus adds to what a pod says."""


@dataclass(frozen=True)
class Asked:
    """One metric in a query: `labels` are all that are named for it, `values` what matchers ask of them."""

    where: str
    name: str
    labels: frozenset[str]
    values: dict[str, str]


def alerts() -> list[dict[str, Any]]:
    (rules,) = documents(K8S / "components" / "sight" / "rules.yaml")
    return [rule for group in rules["spec"]["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """As the cluster gets it."""
    found = named(rendered("overlays/prod"), "ConfigMap", "anteroom-dashboards")
    made: dict[str, Any] = json.loads(found["data"]["anteroom.json"])
    return made


def queries() -> Iterator[tuple[str, str]]:
    """(where, query)."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")
    for scaled in of_kind(rendered("overlays/prod"), "ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            if trigger["type"] == "prometheus":
                yield scaled["metadata"]["name"], trigger["metadata"]["query"]


def asked() -> list[Asked]:
    """Raises ValueError for what is no query, TypeError for what this reader does not know."""
    return [one for where, query in queries() for one in _selectors(where, promql.parse(query), frozenset())]


def _selectors(where: str, node: Any, by: frozenset[str]) -> Iterator[Asked]:
    if isinstance(node, promql.VectorSelector):
        values = {m.name: m.value for m in node.matchers.matchers}
        yield Asked(where, node.name, by | values.keys(), values)
    elif isinstance(node, promql.MatrixSelector):
        yield from _selectors(where, node.vector_selector, by)
    elif isinstance(node, promql.AggregateExpr):
        inner = frozenset(node.modifier.labels) if node.modifier else frozenset()
        yield from _selectors(where, node.expr, inner)
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from _selectors(where, argument, by)
    elif isinstance(node, promql.BinaryExpr):
        yield from _selectors(where, node.lhs, by)
        yield from _selectors(where, node.rhs, by)
    elif isinstance(node, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        yield from _selectors(where, node.expr, by)
    elif not isinstance(node, promql.NumberLiteral):
        raise TypeError(f"{where}: this reader does not know {type(node).__name__}")


def known() -> dict[str, set[str]]:
    """Every series of the metrics file, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name, labels = metric._name, set(metric._labelnames)
            if isinstance(metric, Counter):
                found[f"{name}_total"] = labels
            elif isinstance(metric, Histogram):
                found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
            elif isinstance(metric, Gauge):
                found[name] = labels
    return found
