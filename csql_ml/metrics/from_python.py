"""Metrics of one's own written in Python: installed packages and the files that a configuration names.

Both run code of whoever wrote them, with all rights of the user who runs the command. A file is run only because
``metric_files`` of the configuration names it; nothing is ever looked for in a folder, and a file that came with the
data is refused.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from csql_ml.errors import ConfigError
from csql_ml.metrics import registry
from csql_ml.metrics.definition import Metric

if TYPE_CHECKING:
    from csql_ml.config import Config

#: Entry points of this group are modules with `Metric` objects, or iterables of them.
GROUP = "csql_ml.metrics"


@dataclass(frozen=True)
class FileSource:
    """A metric file as it was when it was read: what is checked is what runs."""

    path: Path
    content: bytes


def metric_files(config: Config) -> tuple[FileSource, ...]:
    """The files that ``metric_files`` of the configuration names, read but not run.

    Raises
    ------
    ConfigError
        A file cannot be read, or lies in the data folder.
    """
    return tuple(_read(config.path(name), config) for name in config.metric_files)


def _read(path: Path, config: Config) -> FileSource:
    if path.suffix != ".py":
        raise ConfigError(f"metric_files: {path} is no Python file (.py)")
    real, data, home = path.resolve(), config.data_folder.resolve(), config.home.resolve()
    # Who writes the data must not get to write code; beside the configuration it is as trusted as that is.
    if real.is_relative_to(data) and not home.is_relative_to(data):
        raise ConfigError(
            f"metric_files: {path} lies in the data folder {config.data_folder}; code is not read from there: "
            "move the file beside the configuration"
        )
    try:
        return FileSource(path, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"metric_files: {path} cannot be read: {error.strerror or error}") from error


def metrics_from_file(file: FileSource) -> list[tuple[str, Metric]]:
    """Run a metric file; each metric with the words that say where it is from.

    Raises
    ------
    ConfigError
        The code fails, or there is no `Metric` in it.
    """
    name = f"csql_ml_metric_file_{hashlib.sha256(file.content + str(file.path).encode()).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(file.path)
    # Python looks there for the module of a class defined in it.
    sys.modules[name] = module
    try:
        exec(compile(file.content, str(file.path), "exec"), module.__dict__)  # noqa: S102 - the user named this file
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"metric file {_place(file.path, error)}: {_told(error)}") from error
    return [(f"metric file {file.path}, {m.name}", m) for m in _metrics_in(module, f"metric file {file.path}")]


def _place(path: Path, error: BaseException) -> str:
    """The file, with the line at which its code failed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _told(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


@cache
def metrics_from_packages() -> tuple[tuple[str, Metric], ...]:
    """Metrics of every installed package with an entry point of group `GROUP`, sorted by the entry points' names.

    Raises
    ------
    ConfigError
        An entry point cannot be loaded, or gives no metrics.
    """
    found: list[tuple[str, Metric]] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        where = f"entry point {point.name} of package {point.dist.name if point.dist else 'unknown'} ({GROUP})"
        found += [(f"{where}, {m.name}", m) for m in _metrics_in(_load(point, where), where)]
    return tuple(found)


def _load(point: EntryPoint, where: str) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{where}: {point.value} cannot be loaded: {_told(error)}") from error


def _metrics_in(thing: Any, where: str) -> list[Metric]:
    """The metrics of a module or an iterable; built-in ones that a module has imported are left out."""
    if isinstance(thing, Metric):
        found = [thing]
    elif isinstance(thing, ModuleType):
        values = [v for v in vars(thing).values() if isinstance(v, Metric)]
        found = [v for v in values if registry().get(v.name) is not v]
    elif isinstance(thing, Iterable):
        found = list(thing)
    else:
        raise ConfigError(f"{where}: expected a module or an iterable of Metric, found {type(thing).__name__}")
    foreign = [type(v).__name__ for v in found if not isinstance(v, Metric)]
    if foreign:
        raise ConfigError(f"{where}: expected Metric objects, found {foreign[0]}")
    # One metric under two names of a module is still one.
    unique = list({id(v): v for v in found}.values())
    if not unique:
        raise ConfigError(f"{where}: there is no Metric in it")
    return unique
