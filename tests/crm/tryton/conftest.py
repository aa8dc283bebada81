"""A server per test over a copy of one prepared database, and the people who speak to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csql_ml.handoff.tryton.sink import TrytonSink
from tests.crm.tryton_desk import Salesperson, sink_of
from tests.crm.tryton_server import TrytonMissingError, TrytonServer, prepare, tryton_python, tryton_server


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Databases without the module and with it: 500 accounts and five account executives each."""
    try:
        tryton_python()
    except TrytonMissingError as error:
        pytest.skip(str(error))
    return prepare(tmp_path_factory.mktemp("tryton"))


@pytest.fixture(scope="session")
def template(databases: tuple[Path, Path]) -> Path:
    return databases[1]


@pytest.fixture
def crm(template: Path, tmp_path: Path) -> Iterator[TrytonServer]:
    with tryton_server(template, tmp_path / "crm") as server:
        yield server


@pytest.fixture
def sink(crm: TrytonServer) -> TrytonSink:
    return sink_of(crm.port)


@pytest.fixture
def seller(crm: TrytonServer) -> Salesperson:
    return Salesperson(crm.port)


@pytest.fixture
def sink_for(crm: TrytonServer) -> Callable[..., TrytonSink]:
    """A sink with settings of its own."""
    return lambda **settings: sink_of(crm.port, **settings)
