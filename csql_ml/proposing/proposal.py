"""From a place to a configuration file: look, choose, write."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from csql_ml.config import Config
from csql_ml.config.reading import VARIABLE
from csql_ml.contract.tables import TABLES
from csql_ml.errors import ConfigError, OutputError, SourceError, UsageError
from csql_ml.proposing.sources import Landscape, Source
from csql_ml.proposing.tables import TableProposal
from csql_ml.proposing.text import Places, config_text

#: Where a database's address stands if it was not given as the name of a variable.
USUAL_VARIABLE = "CSQL_DATABASE"


@dataclass(frozen=True)
class Proposal:
    """What `propose` found and wrote.

    Attributes
    ----------
    out
        The configuration file.
    tables
        One per contract table, in the contract's order.
    notes
        What was not looked at or not used: whole sentences.
    losses
        Per metric that loses something with this mapping: why.
    variable
        The environment variable that must hold the database's address; None without a database.
    """

    out: Path
    tables: tuple[TableProposal, ...]
    notes: tuple[str, ...]
    losses: Mapping[str, tuple[str, ...]]
    variable: str | None

    @property
    def ready(self) -> bool:
        """Whether all that is required was found."""
        return all(t.state == "mapped" for t in self.tables if not TABLES[t.name].optional)


def propose(place: str, out: Path) -> Proposal:
    """Look at a folder or database and write a configuration that maps it.

    Parameters
    ----------
    place
        A folder, a DuckDB file, a ``postgres://`` address, or ``${NAME}``: the environment variable that holds it.
    out
        The YAML file to write; there must be none.

    Raises
    ------
    UsageError, OutputError
        ``out`` is no YAML file, exists or cannot be written.
    ConfigError, SourceError
        The place is not there, cannot be read, or holds nothing that looks like a contract table.
    """
    from csql_ml.proposing.choice import choose
    from csql_ml.proposing.signals import propose_signals
    from csql_ml.proposing.sources import with_types
    from csql_ml.proposing.tables import propose_table

    _check_out(out)
    landscape, variable, folder = _look(place)
    sources, reserved = with_types(landscape.sources)
    landscape = replace(landscape, sources=sources, reserved=reserved)
    choice = choose(sources, landscape.postgres)
    if not choice.fits:
        raise _nothing_fits(place if variable is None else f"${{{variable}}}", landscape)
    tables = tuple(propose_table(name, choice, landscape) for name in TABLES)
    notes = (*landscape.notes, *_unused(choice.unused, tables))
    text = config_text(_places(out, folder), landscape, tables, propose_signals(choice.fits), notes)
    losses = _losses(_checked(text, out, variable), tables)
    _write(text, out)
    return Proposal(out, tables, notes, losses, variable)


def _check_out(out: Path) -> None:
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError(f"--out {out} must end in .yaml: it is the configuration file to write")
    if out.exists():
        raise OutputError(f"{out} exists and is not overwritten; give --out another name, or remove it first")


def _look(place: str) -> tuple[Landscape, str | None, Path]:
    """What is there, the variable with the database's address, and the folder that locations start from."""
    from csql_ml.proposing.database import look_at_duckdb, look_at_postgres
    from csql_ml.proposing.folder import look_at_folder

    named = VARIABLE.fullmatch(place)
    address = os.environ.get(named[1]) if named else place
    if address is None:
        raise ConfigError(f"{place}: the environment variable is not set; it must hold the database's address")
    if re.match(r"postgres(ql)?://", address):
        variable = named[1] if named else USUAL_VARIABLE
        return look_at_postgres(address, f"${{{variable}}}"), variable, Path()
    if "://" in address:
        raise ConfigError(
            f"{address.split('://', 1)[0]}:// is not supported; give a folder of files, a DuckDB file or a postgres:// "
            "address. Snowflake, BigQuery and Databricks export to Parquet first: see configs/warehouses/"
        )
    path = Path(address).expanduser()
    if path.is_dir():
        return look_at_folder(path), None, path
    if not path.exists():
        raise SourceError(f"{path} does not exist; give a folder with your exported tables, or a postgres:// address")
    if path.suffix.lower() not in (".duckdb", ".db", ".ddb"):
        raise UsageError(f"{path} is one file; give the folder that holds it, or a DuckDB file (.duckdb)")
    return look_at_duckdb(path), None, path.parent


def _nothing_fits(place: str, landscape: Landscape) -> SourceError:
    few = [
        (s.location, [*(c.name for c in s.columns[:6]), *(["..."] if s.columns[6:] else [])]) for s in landscape.sources
    ]
    seen = "; ".join(f"{location} ({', '.join(names)})" for location, names in few[:5])
    return SourceError(
        f"nothing in {place} looks like a table of the contract. Looked at {len(landscape.sources)} sources: {seen}. "
        f"{' '.join(landscape.notes[:2])} Expected columns such as account_id, name, created_at; rename yours, or map "
        "them by hand: configs/default.yaml is a start"
    )


def _unused(sources: tuple[Source, ...], tables: tuple[TableProposal, ...]) -> list[str]:
    """A sentence on the sources that no table reads, not even by a query."""
    read = {s.location for t in tables for q in (t.query, t.suggestion and t.suggestion[1]) if q for s in q.reads}
    names = [s.location for s in sources if s.location not in read]
    return [f"Not used, as no contract table fits well enough: {', '.join(names[:20])}."] if names else []


def _places(out: Path, folder: Path) -> Places:
    home = out.parent.resolve()
    try:
        data = Path(os.path.relpath(folder.resolve(), home)).as_posix()
    except ValueError:  # another drive
        data = folder.resolve().as_posix()
    beside = "../" if home.name == "configs" else ""
    return Places(out.name, data, f"{beside}models/{out.stem}", f"{beside}activity/{out.stem}")


def _checked(text: str, out: Path, variable: str | None) -> Config:
    """The configuration that the text says, read as every command reads it."""
    import yaml

    content = yaml.safe_load(text)
    if variable is not None:  # the address is known here, but its variable need not be set yet
        content["data"]["database"] = "postgres://"
    return Config.model_validate({**content, "home": out.parent})


def _losses(config: Config, tables: tuple[TableProposal, ...]) -> Mapping[str, tuple[str, ...]]:
    """What the mapping costs, in the words of `csql check`."""
    from csql_ml.metrics import metrics_of
    from csql_ml.metrics.compiler import Available, unavailable_measures

    present = {t.name: frozenset(t.columns or ()) if t.active else frozenset() for t in tables}
    return unavailable_measures(list(metrics_of(config).values()), Available(present=present, config=config))


def _write(text: str, out: Path) -> None:
    """Put the file in place whole; one that appeared meanwhile is left alone."""
    from csql_ml.run_files import write_file

    def write(fresh: Path) -> None:
        _check_out(out)
        fresh.write_text(text, encoding="utf-8", newline="\n")

    write_file(out, write)
