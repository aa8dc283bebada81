"""The exception tree, and that its table is true."""

from __future__ import annotations

import re

import pytest

from csql_ml import errors
from csql_ml.errors import CsqlError, MissingExtraError, UsageError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CsqlError)]


def test_the_table_at_the_top_lists_every_class_with_its_exit_code() -> None:
    listed = dict(re.findall(r"^(\w+Error) +(\d) +\S", errors.__doc__ or "", re.MULTILINE))
    assert listed == {c.__name__: str(c.exit_code) for c in CLASSES}


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_of_use_exit_with_2_and_all_others_with_1(kind: type[CsqlError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)
    assert kind.__doc__


def test_a_missing_extra_has_the_install_command() -> None:
    assert str(MissingExtraError("reading from PostgreSQL", "postgres")) == (
        "reading from PostgreSQL needs an optional dependency: pip install 'csql-ml[postgres]'"
    )
