"""What is said of a metric wherever metrics are listed: on the command line and in docs/metrics.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.metrics.metric import Better, Need
from service.metrics.registry import DEFAULT_METRICS, metric_type

BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
"""The words of a JSON schema, and ours."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a metric; `default` as JSON has it."""

    name: str
    default: Any
    values: str
    description: str

    @property
    def written(self) -> str:
        """The default as a request would write it; empty where there is none."""
        if self.default is None:
            return ""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


@dataclass(frozen=True, slots=True)
class Description:
    """All that there is to know before a metric is chosen."""

    name: str
    title: str
    measures: str
    better: Better
    generated: Need
    reference: Need | None
    samples: str
    use: str
    is_default: bool
    options: tuple[Option, ...]
    parts: Mapping[str, str]
    words: Mapping[str, str]

    @property
    def needs(self) -> str:
        """What both sides have to bring, in words."""
        if self.reference is None:
            return f"{self.generated} of the generated samples"
        if self.reference == self.generated:
            return f"{self.generated} of both sides"
        return f"{self.generated} of the generated samples, {self.reference} of the reference"


def describe(name: str) -> Description:
    """The metric of this name. Raises InvalidRequest for a name that is not in the registry."""
    metric = metric_type(name)
    about = metric.about
    fields: dict[str, dict[str, Any]] = metric.model_json_schema().get("properties", {})
    return Description(
        name=name,
        title=about.title,
        measures=(metric.__doc__ or "").partition("\n")[0],
        better=about.better,
        generated=about.generated,
        reference=about.reference,
        samples=about.samples,
        use=about.use,
        is_default=name in DEFAULT_METRICS,
        options=tuple(
            Option(option, field.get("default"), _values(field), field.get("description", ""))
            for option, field in fields.items()
        ),
        parts=about.parts,
        words=about.words,
    )


def _values(field: Mapping[str, Any]) -> str:
    """What an option may be, from its JSON schema."""
    kind = field.get("anyOf", [field])[0]  # of a number or nothing, the number
    if "enum" in kind:
        *others, last = kind["enum"]
        return f"{', '.join(others)} or {last}"
    if kind.get("type") == "boolean":
        return "true or false"
    return " and ".join(f"{words} {kind[bound]:,}" for bound, words in BOUNDS.items() if bound in kind) or "anything"
