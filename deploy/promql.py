"""The PromQL of the dashboard and the alerts: where each expression stands, and which metrics it reads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_NOT_METRICS = re.compile(
    r"""
    "[^"]*"                                             # strings
    | \{[^}]*\}                                         # label matchers
    | \[[^]]*\]                                         # ranges
    | \b(?:by|without|on|ignoring)\s*\([^)]*\)          # label lists
    | \boffset\s+\w+
    | \b(?:and|or|unless|bool)\b
    """,
    re.VERBOSE,
)
_LABELS = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)|([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*\"")
_METRIC = re.compile(r"(?<![\w:])[a-zA-Z_:][\w:]*(?![\w:])(?!\s*\()")
_LABEL_VALUES = re.compile(r"label_values\((\w+),\s*(\w+)\)")


@dataclass(frozen=True)
class Query:
    """An expression, and the panel, variable or alert that asks it."""

    place: str
    expression: str

    @property
    def metrics(self) -> set[str]:
        """The metrics that it reads."""
        return set(_METRIC.findall(_NOT_METRICS.sub(" ", self.expression)))

    @property
    def labels(self) -> set[str]:
        """The labels that it matches or groups by."""
        found = _LABELS.findall(self.expression)
        return {name.strip() for grouped, matched in found for name in (grouped or matched).split(",")}

    @property
    def concrete(self) -> str:
        """The expression with Grafana's variables set to all and the last minute."""
        return re.sub(r"\$__\w+", "1m", self.expression).replace("$model", ".*").replace("$endpoint", ".*")


def dashboard_queries(path: Path) -> list[Query]:
    """Every expression of a dashboard: its panels', its annotations' and its variables'."""
    dashboard = json.loads(path.read_text("utf-8"))
    return [*_panels(dashboard), *_annotations(dashboard), *_variables(dashboard)]


def dashboard_panels(path: Path) -> list[tuple[Query, str]]:
    """Every expression of a dashboard's panels, and how the series that answer it are called."""
    panels = json.loads(path.read_text("utf-8"))["panels"]
    return [
        (Query(panel["title"], target["expr"]), target.get("legendFormat", ""))
        for panel in panels
        for target in panel.get("targets", ())
    ]


def alert_queries(path: Path) -> list[Query]:
    """Every alert's expression."""
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [Query(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"] if "alert" in rule]


def recorded_queries(path: Path) -> list[Query]:
    """The expression of every metric that rules record."""
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [Query(rule["record"], rule["expr"]) for group in groups for rule in group["rules"] if "record" in rule]


def _panels(dashboard: Any) -> Iterator[Query]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Query(panel["title"], target["expr"])


def _annotations(dashboard: Any) -> Iterator[Query]:
    for annotation in dashboard["annotations"]["list"]:
        yield Query(annotation["name"], annotation["expr"])


def _variables(dashboard: Any) -> Iterator[Query]:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = _LABEL_VALUES.fullmatch(variable["query"]["query"]).groups()  # type: ignore[union-attr]
            yield Query(f"${variable['name']}", f"group by ({label}) ({metric})")
