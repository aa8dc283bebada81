"""What can be seen of a metric without computing it: whether its code reads a clock or data of its own.

A formula is meant to see day counts of rows that were cut at the as-of date, and nothing else. Its source is searched
for calls that ask for the time, for chance or for data; its expressions for the same inside a query, for dates and for
tables of its own; and while it is evaluated, files and connections that are opened are noted.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops

from csql_ml.metrics.compiler import periods_of
from csql_ml.metrics.definition import Measure, Metric, Period
from csql_ml.metrics.soundness import Trial

if TYPE_CHECKING:
    from csql_ml.config import Config

_CLOCKS = {"now", "today", "utcnow", "time_ns", "localtime", "gmtime"}
_READERS = {"open", "read_text", "read_bytes", "urlopen", "connect", "memtable", "read_sql", "sql", "raw_sql"}
_READER_PREFIXES = ("read_csv", "read_parquet", "read_json", "read_excel", "read_delta", "scan_")
_CHANCE = {"random", "randint", "choice", "shuffle", "default_rng", "uuid4", "uuid"}
_EVENTS = ("open", "socket.connect", "subprocess.Popen", "sqlite3.connect", "os.system")
#: Python's own files: importing something late is no reading of data.
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib")


# --- the source -------------------------------------------------------------------------------------------------------


def suspicious_calls(file: Path) -> list[str]:
    """Calls in a module of metrics that no formula needs, each with its line."""
    tree = ast.parse(file.read_bytes())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [(call.lineno, what) for call in calls if (what := _suspicion(call)) is not None]
    return [f"line {line}: {what}" for line, what in sorted(set(found))]


def source_file(metric: Metric) -> Path | None:
    """The file of the formula's code; None for what is not written in one or belongs to the package."""
    code = getattr(inspect.unwrap(metric.formula), "__code__", None)
    if code is None or not Path(code.co_filename).is_file():
        return None
    path = Path(code.co_filename)
    package = sys.modules["csql_ml"]
    return None if path.is_relative_to(Path(str(package.__file__)).parent) else path


def _suspicion(call: ast.Call) -> str | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _CLOCKS or (name == "time" and isinstance(call.func, ast.Attribute) and not call.args):
        return f"{name}() reads the clock; a metric knows no time but the as-of date"
    if name in _READERS or name.startswith(_READER_PREFIXES):
        return f"{name}() reads data by itself; such data is not cut at the as-of date"
    if name in _CHANCE:
        return f"{name}() is chance; the same input must give the same value"
    return None


# --- the expressions --------------------------------------------------------------------------------------------------


def suspicious_expressions(metric: Metric, config: Config, tables: Mapping[str, ibis.Schema]) -> list[str]:
    """What a metric's formula and measures have in them that does not come from as-of rows, and what they opened.

    Parameters
    ----------
    tables
        Schemas of the as-of tables by name; the metric is tried on empty ones.
    """
    found: list[str] = []
    asked: dict[Measure, set[Period]] = {measure: {Period(30)} for measure in metric.facts.values()}
    with _watched() as opened:
        for period in periods_of(metric).values():
            trial = Trial(config, period, asked)
            value = metric.formula(trial)
            found += _foreign(value, trial.values) + _unsteady(value, metric.formula(trial))
        for measure, periods in asked.items():
            if measure.source in tables:
                rows = ibis.table(tables[measure.source], name=f"as_of_{measure.source}")
                found += _of_measure(measure, periods, rows, config)
    found += [f"it opens {what} while it is evaluated" for what in opened]
    return list(dict.fromkeys(found))


def _of_measure(measure: Measure, periods: Iterable[Period], rows: Any, config: Config) -> list[str]:
    found = []
    for period in sorted(periods):
        try:
            value = measure.value(rows, period, config)
        except Exception as error:  # noqa: BLE001 - the measure is anybody's code
            text = " ".join(str(error).split())[:200]
            return [f"measure {measure.name} fails on a table that is nothing but its rows: {text}"]
        what_else = _foreign(value, rows) + _unsteady(value, measure.value(rows, period, config))
        found += [f"measure {measure.name}: {what}" for what in what_else]
    return found


def _unsteady(value: Any, again: Any) -> list[str]:
    same = not isinstance(value, ibis.Value) or value.op() == again.op()
    return [] if same else ["it is another formula each time it is asked for"]


_NOW = (ops.TimestampNow, ops.DateNow)
_DICE = (ops.RandomScalar, ops.RandomUUID)


def _foreign(value: Any, rows: Any) -> list[str]:
    """What an expression over ``rows`` has that does not come from them."""
    if not isinstance(value, ibis.Value):
        return []
    op, found = value.op(), []
    if op.find(_NOW):
        found.append("it asks the engine for the present time")
    if op.find(_DICE):
        found.append("it asks the engine for random values")
    if op.find(ops.Arbitrary) or any(not node.order_by for node in op.find((ops.First, ops.Last))):
        found.append("it takes whichever row comes first; give first() an order, or take the least or the greatest")
    if any(node.dtype.is_temporal() and node.value is not None for node in op.find(ops.Literal)):
        found.append("it has a date of its own; formulas count days before the as-of date")
    if any(node != rows.op() for node in op.find(ops.PhysicalTable)):
        found.append("it reads a table of its own, which is not cut at the as-of date")
    return found


# --- what is opened ---------------------------------------------------------------------------------------------------

_opened: list[str] | None = None
_hooked = False


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Note the files and connections that are opened meanwhile."""
    global _opened, _hooked  # noqa: PLW0603 - an audit hook is the process's, and stays
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True
    found: list[str] = []
    _opened = found
    try:
        yield found
    finally:
        _opened = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is None or event not in _EVENTS:
        return
    what = str(arguments[0]) if event == "open" else event
    if event != "open" or not what.endswith(_CODE):
        _opened.append(what)
