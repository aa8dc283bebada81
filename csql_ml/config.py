"""YAML -> frozen objects. The only reader of configuration files and of the environment.

Every key has a default that is the customer success guide's starting value; `configs/default.yaml` shows them all
with comments, and ``csql config schema`` prints the JSON Schema for editors. An unknown key is an error.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from csql_ml.contract.tables import TABLES
from csql_ml.errors import ConfigError

#: Feature sets are bit masks that must survive a float64.
MOST_BITS = 53
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Stage = Literal["accepted", "opportunity", "won"]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Company(Section):
    """Who we are: time zone, currency and language decide how days are cut and numbers are shown."""

    name: str = "Your company"
    time_zone: str = "UTC"
    currency: str = Field("USD", pattern="^[A-Z]{3}$")
    language: Literal["en", "de", "fr", "es"] = "en"
    fiscal_year_start_month: int = Field(1, ge=1, le=12)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"unknown time zone {value!r}; use an IANA name such as Europe/Berlin") from error
        return value


class TableMapping(Section):
    """Where one contract table comes from: a file or glob, a table of the database, or a query."""

    file: str | None = None
    table: str | None = None
    query: str | None = None
    columns: dict[str, str] = Field(default_factory=dict, description="contract column: source column")

    @model_validator(mode="after")
    def _one_location(self) -> TableMapping:
        given = [k for k in ("file", "table", "query") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of file, table, query (found: {', '.join(given) or 'none'})")
        return self


def _as_mapping(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


class Data(Section):
    """Where the input tables are.

    ``folder`` is relative to the configuration file. ``raw`` gives names to files for use in queries.
    """

    folder: Path = Path(".")
    database: str | None = Field(None, description="DuckDB file or URL of a database that Ibis can open")
    raw: dict[str, str] = Field(default_factory=dict)
    tables: dict[str, Annotated[TableMapping, BeforeValidator(_as_mapping)]] = Field(default_factory=dict)
    memory_limit: str = Field("4GB", pattern=r"^\d+(\.\d+)?\s?[KMGT]i?B$")
    push_down: bool = Field(
        False, description="check and roll up events inside the PostgreSQL database; only the daily rollup is copied"
    )

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, value: dict[str, TableMapping]) -> dict[str, TableMapping]:
        for name, mapping in value.items():
            if name not in TABLES:
                raise ValueError(f"unknown table {name!r}; the contract has {', '.join(TABLES)}")
            for column in mapping.columns:
                if column not in TABLES[name].column_names:
                    raise ValueError(
                        f"table {name} has no column {column!r}; it has {', '.join(TABLES[name].column_names)}"
                    )
        return value


class OwnSignal(Section):
    """A signal of one's own: events that have one of these names, or are about one of these features."""

    events: Names = ()
    features: Names = ()

    @model_validator(mode="after")
    def _some_name(self) -> OwnSignal:
        if not (self.events or self.features):
            raise ValueError("give the names of its events, its features, or both")
        return self


class Signals(Section):
    """Which raw event, feature and topic names carry which signal."""

    core_features: Names = Field(default=(), max_length=MOST_BITS, description="the company's 5 to 8 core features")
    advanced_features: Names = Field(default=(), max_length=MOST_BITS)
    gated_clicks: Names = Field(default=(), description="event names: a click on something not yet bought")
    upgrade_attempts: Names = ()
    workflow_starts: Names = ()
    workflow_completions: Names = ()
    module_topics: Names = Field(default=(), description="ticket topics that ask for a new module")
    high_severities: Names = ("high", "urgent", "critical")
    own: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], OwnSignal] = Field(
        default_factory=dict, description="signals of one's own, for metrics of one's own"
    )


class Module(Section):
    """A product that can be cross-sold, and the gated features that point at it."""

    name: str
    features: Names = ()


class Catalogue(Section):
    """What there is to buy next: plans from small to large, and modules."""

    plans: Names = ()
    modules: Annotated[tuple[Module, ...], Field(max_length=MOST_BITS)] = ()


class MetricSettings(Section):
    """Overrides of single metrics: threshold, weight in the score, the ramp from nothing to full points."""

    threshold: float | None = None
    weight: Weight | None = None
    zero_at: float | None = None
    full_at: float | None = None
    exclude: bool = Field(False, description="leave this metric out of score and model")


class Engagement(Section):
    """The engagement score, 0 to 100: weights of its parts and what counts as full use."""

    breadth: Weight = 0.4
    depth: Weight = 0.3
    frequency: Weight = 0.3
    full_depth: Positive = Field(12.0, description="core events per active user and day that count as full depth")
    full_frequency: Positive = Field(15.0, description="active days per active user in 30 days that count as full")

    @model_validator(mode="after")
    def _some_weight(self) -> Engagement:
        if self.breadth + self.depth + self.frequency <= 0:
            raise ValueError("at least one of breadth, depth, frequency must be above 0")
        return self


class IdealCustomer(Section):
    """Ideal customer profile (ICP): how close a segment, an industry or a size is to it, 0 to 1."""

    segments: dict[str, Share] = Field(default_factory=dict)
    industries: dict[str, Share] = Field(default_factory=dict)
    min_employees: int | None = Field(None, ge=0)
    max_employees: int | None = Field(None, ge=0)


class ScoreWeights(Section):
    """CSQL score = engagement * w1 + fit * w2 + intent * w3."""

    engagement: Weight = 0.4
    fit: Weight = 0.25
    intent: Weight = 0.35

    @model_validator(mode="after")
    def _some_weight(self) -> ScoreWeights:
        if self.engagement + self.fit + self.intent <= 0:
            raise ValueError("at least one of engagement, fit, intent must be above 0")
        return self


class Risk(Section):
    """What holds an account back; ``null`` switches a check off."""

    open_high_severity_tickets: int | None = Field(1, ge=1, description="hold from this many on")
    usage_decline: float | None = Field(-0.25, le=0, description="hold at this month-over-month change or below")
    engagement_decline: float | None = Field(-25.0, le=0, description="hold at this change in points or below")


Gate = Literal["value_proven", "next_product", "buyer_identified", "timing"]


class Gates(Section):
    """The four hard gates, and what opens them."""

    required: tuple[Gate, ...] = ("value_proven", "next_product", "buyer_identified", "timing")
    recent_days: int = Field(180, ge=1, description="how long a milestone or a new sponsor counts as a trigger")


class Baseline(Section):
    """The rule-based champion of day one."""

    weights: ScoreWeights = ScoreWeights()
    threshold: float = Field(50.0, ge=0, le=100, description="score from which an account is a CSQL")
    prior_rate: float = Field(0.1, gt=0, lt=1, description="expected share of expansions while there are no labels")


class Eligibility(Section):
    """Who can be a CSQL at all."""

    min_tenure_days: int = Field(30, ge=0)
    cooldown_days: int = Field(30, ge=0, description="after a rejected or lost lead")


class Labels(Section):
    """What counts as an expansion."""

    stage: Stage = "won"
    horizon_quarters: int = Field(1, ge=0, le=8, description="full quarters after the current one")
    without_coverage: Literal["unobserved", "negative"] = Field(
        "unobserved", description="accounts without a lead where there is no coverage table"
    )
    min_coverage_share: Share = Field(
        0.5, description="share of the days from the as-of date to its quarter's end that must be covered"
    )


class Model(Section):
    """Training. The defaults are measured; see docs/benchmarks.md before changing them."""

    seed: int = Field(7, ge=0, lt=2**31)
    bags: int = Field(4, ge=1, le=50)
    shrinkage: Weight = Field(20.0, description="pull of the stack towards the weighted score")
    reference_size: int = Field(300, ge=20, le=500, description="accounts that explanations compare with")
    bootstrap: int = Field(200, ge=20, le=5000, description="account bootstrap repetitions in the verdict")
    min_positives: int = Field(20, ge=5, description="fewer positive labels than this: keep the rules")
    test_snapshots: int = Field(2, ge=1, le=24, description="newest mature snapshots the verdict is made on")
    group: Names = Field((), description="extra group columns of a feature table (--features)")


class Scoring(Section):
    """Capacity and bands."""

    capacity_per_portfolio: int = Field(10, ge=1, description="accounts a CSM can work; the k of every top-k figure")
    high_band: Share = Field(0.9, description="percentile above which the band is 'high'")
    medium_band: Share = Field(0.7, description="percentile above which the band is 'medium'")

    @model_validator(mode="after")
    def _ordered(self) -> Scoring:
        if self.high_band < self.medium_band:
            raise ValueError("high_band must not be below medium_band")
        return self


class ArrShare(Section):
    """Expected incremental ARR as a share of today's ARR, until the company's own wins say better."""

    upsell: Weight = 0.20
    cross_sell: Weight = 0.25
    referral: Weight = 0.10


class Handoff(Section):
    """The lead record."""

    lead_source: str = "CSQL"
    sla_days: int = Field(5, ge=1, description="days the account executive has to answer")
    arr_share: ArrShare = ArrShare()
    min_wins_for_arr: int = Field(10, ge=1, description="won leads of a type from which their median share is used")


class Tracking(Section):
    """MLflow. Default: a SQLite file beside the models."""

    uri: str | None = None
    experiment: str = "csql_ml"
    registered_model: str = "csql"
    enabled: bool = True


class Spark(Section):
    """How Spark is started with ``engine: spark``; an existing session is used as it is."""

    master: str | None = Field(None, description="for example local[4] or spark://host:7077; default: Spark's own")
    settings: dict[str, str] = Field(default_factory=dict, description="spark.* settings of the session")


class Config(Section):
    """Everything a run needs to know; built by `load`."""

    company: Company = Company()
    engine: Literal["duckdb", "spark"] = Field("duckdb", description="where tables are read and metrics computed")
    spark: Spark = Spark()
    data: Data = Data()
    signals: Signals = Signals()
    catalogue: Catalogue = Catalogue()
    metrics: dict[str, MetricSettings] = Field(default_factory=dict)
    engagement: Engagement = Engagement()
    ideal_customer: IdealCustomer = IdealCustomer()
    baseline: Baseline = Baseline()
    risk: Risk = Risk()
    gates: Gates = Gates()
    eligibility: Eligibility = Eligibility()
    labels: Labels = Labels()
    snapshots: tuple[date, ...] = Field((), description="training dates; default: each quarter's first day")
    model: Model = Model()
    scoring: Scoring = Scoring()
    handoff: Handoff = Handoff()
    tracking: Tracking = Tracking()
    models_folder: Path = Field(Path("../models"), description="relative to the configuration file")
    activity_folder: Path = Field(
        Path("../activity"), description="where the daily rollup of events is kept; relative to the configuration file"
    )
    home: Path = Field(Path("."), exclude=True, description="folder of the configuration file; set by load")

    def path(self, value: str | Path) -> Path:
        """A path of the configuration, relative to the configuration file's folder."""
        path = Path(value).expanduser()
        return path if path.is_absolute() else Path(os.path.normpath(self.home / path))

    @property
    def data_folder(self) -> Path:
        return self.path(self.data.folder)

    @property
    def models_path(self) -> Path:
        return self.path(self.models_folder)

    @property
    def activity_path(self) -> Path:
        return self.path(self.activity_folder)


_VARIABLE = re.compile(r"\$\{(\w+)\}")


def _expand(value: Any, where: str) -> Any:
    """Replace ``${NAME}`` by the environment's value, so that secrets stay out of the file."""
    if isinstance(value, dict):
        return {k: _expand(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, where) for v in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"{where} uses ${{{name}}}, but the environment variable {name} is not set")
        return os.environ[name]

    return _VARIABLE.sub(replace, value)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice instead of keeping the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _one_line(error: ValidationError, path: Path) -> str:
    first, *others = error.errors(include_url=False, include_input=False)
    where = ".".join(str(p) for p in first["loc"]) or "the file"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key; {_keys_beside(first['loc'])}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{path}: {where}: {message}{more}"


def _keys_beside(location: tuple[int | str, ...]) -> str:
    """The keys allowed where an unknown one was found."""
    section: Any = Config
    for part in location[:-1]:
        annotation = section.model_fields[part].annotation if part in getattr(section, "model_fields", {}) else None
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            return "see configs/default.yaml for the allowed keys"
        section = annotation
    return f"allowed here: {', '.join(k for k in section.model_fields if k != 'home')}"


def load(path: str | Path) -> Config:
    """Read a configuration file.

    Parameters
    ----------
    path
        A YAML file. Its folder is what relative paths inside it start from.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or has unknown, missing or contradictory keys.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist; configs/default.yaml is a start") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    try:
        content = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader subclass
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, found {type(content).__name__}")
    if "home" in content:
        raise ConfigError(f"{path}: home: unknown key")
    try:
        return Config(**_expand(content, str(path)), home=path.parent)
    except ValidationError as error:
        raise ConfigError(_one_line(error, path)) from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of the configuration, for editors."""
    schema = Config.model_json_schema()
    schema["properties"].pop("home", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "csql_ml configuration"
    return schema
