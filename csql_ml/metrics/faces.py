"""What reports need to know of a metric: its words, unit and direction, without its formula.

A run keeps the faces of a company's own metrics in its manifest, so that a report says what was true when the run was
made, and is written without running anybody's code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from string import Formatter
from typing import Any, Protocol, get_args

from csql_ml.metrics import registry
from csql_ml.metrics.definition import Metric, Unit


class Spoken(Protocol):
    """A metric as reports see it: a `Metric`, or a `Face` read from a run."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def sentence(self) -> str: ...

    @property
    def unit(self) -> Unit: ...

    @property
    def direction(self) -> int: ...

    @property
    def shown(self) -> bool: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def sentences(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Face:
    """The words, unit and direction of one metric; see `csql_ml.metrics.definition.Metric`."""

    name: str
    label: str
    sentence: str
    unit: Unit
    direction: int
    shown: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)


def own_faces(metrics: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """What a run's manifest says of the metrics that are not built in: ``{"own_metrics": {name: ...}}``, or nothing."""
    faces = {m.name: asdict(_face(m)) for m in metrics if m.name not in registry()}
    return {"own_metrics": faces} if faces else {}


def _face(metric: Metric) -> Face:
    return Face(
        name=metric.name,
        label=metric.label,
        sentence=metric.sentence,
        unit=metric.unit,
        direction=metric.direction,
        shown=metric.shown,
        labels=dict(metric.labels),
        sentences=dict(metric.sentences),
    )


def faces_from(plain: Mapping[str, Any]) -> dict[str, Face]:
    """Faces as `own_faces` wrote them.

    Raises
    ------
    ValueError
        Something else stands there; the message names the metric.
    """
    return {str(name): _checked(str(name), value) for name, value in plain.items()}


def _checked(name: str, value: Any) -> Face:
    try:
        face = Face(**value)
        texts = [face.label, face.sentence, *face.labels.values(), *face.sentences.values()]
        sound = face.name == name and face.unit in get_args(Unit) and face.direction in (-1, 0, 1)
        sound = sound and isinstance(face.shown, bool) and all(isinstance(t, str) for t in texts)
        # A template is filled from the file's values: plain names only, nothing that reaches into objects.
        quoted = [n for t in (face.sentence, *face.sentences.values()) for _, n, _, _ in Formatter().parse(t)]
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"metric {name}: {error}") from error
    if not sound or not all(n is None or n.isidentifier() for n in quoted):
        raise ValueError(f"metric {name} is not described as a run describes its metrics")
    return face
