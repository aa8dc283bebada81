"""Sections on the company and its data: where tables are, which names carry which signal, what there is to buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from csql_ml.config.section import MOST_BITS, Language, Names, OwnName, Section
from csql_ml.contract.tables import TABLES


class Company(Section):
    """Who we are: time zone, currency and language decide how days are cut and numbers are shown."""

    name: str = "Your company"
    time_zone: str = "UTC"
    currency: str = Field("USD", pattern="^[A-Z]{3}$")
    language: Language = "en"
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


#: Tables that `csql pull` adds rows to.
PULLED_TABLES = ("csqls", "opportunities")


class Data(Section):
    """Where the input tables are.

    ``folder`` is relative to the configuration file. ``raw`` gives names to files for use in queries.
    """

    folder: Path = Path(".")
    database: str | None = Field(None, description="DuckDB file, or postgres:// URL")
    raw: dict[str, str] = Field(default_factory=dict)
    tables: dict[str, Annotated[TableMapping, BeforeValidator(_as_mapping)]] = Field(default_factory=dict)
    pulled: Path | None = Field(
        None,
        description="folder where csql pull keeps outcomes from the CRM, which are added to the tables csqls and "
        "opportunities; relative to the configuration file",
    )
    hash_user_ids: bool = Field(
        False,
        description="read user ids only as hashes made with a key of your own (variable CSQL_USER_KEY, or the file)",
    )
    user_key_file: Path | None = Field(
        None, description="file with that key, mode 0600; relative to the configuration file"
    )
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


#: The signal that every event carries.
ALL_EVENTS = "all"
#: Built-in signals of product events; `ALL_EVENTS` and ``signals.own`` are the other ones a metric can be made of.
BUILT_IN_SIGNALS = (
    "core_features",
    "advanced_features",
    "gated_clicks",
    "upgrade_attempts",
    "workflow_starts",
    "workflow_completions",
)


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
    own: dict[OwnName, OwnSignal] = Field(
        default_factory=dict, description="signals of one's own, for metrics of one's own"
    )

    @field_validator("own")
    @classmethod
    def _new_names(cls, value: dict[str, OwnSignal]) -> dict[str, OwnSignal]:
        for name in value:
            if name in (*BUILT_IN_SIGNALS, ALL_EVENTS):
                raise ValueError(f"signal {name!r} is built in; give your own signal another name")
            if f"{name}_quantity" in value:
                raise ValueError(f"signals {name!r} and '{name}_quantity' would share a column; rename one of them")
        return value


class Module(Section):
    """A product that can be cross-sold, and the gated features that point at it."""

    name: str
    features: Names = ()


class Catalogue(Section):
    """What there is to buy next: plans from small to large, and modules."""

    plans: Names = ()
    modules: Annotated[tuple[Module, ...], Field(max_length=MOST_BITS)] = ()


class Spark(Section):
    """How Spark is started with ``engine: spark``; an existing session is used as it is."""

    master: str | None = Field(None, description="for example local[4] or spark://host:7077; default: Spark's own")
    settings: dict[str, str] = Field(default_factory=dict, description="spark.* settings of the session")
