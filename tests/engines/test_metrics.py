"""The metric specs of `tests.spec.test_metrics`, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from csql_ml.company import open_inputs
from tests.engines.engine_under_test import Engine, on
from tests.small_company import rows, written_company
from tests.spec.test_metrics import AS_OF, SPECS, _parsed, _text

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("name", SPECS)
def test_metrics_have_the_values_of_their_spec(name: str, engine: Engine, tmp_path: Path) -> None:
    spec = SPECS[name]
    config = written_company(tmp_path, dict(spec.tables), **spec.settings)
    with open_inputs(config) as inputs:
        builder = engine.builder(on(engine, inputs), config)
        features = builder.build(AS_OF).features.set_index("account_id").loc["a1"]
    expected = {line["column"]: line["value"] for line in rows(spec.expected)}
    found = {column: _text(features[column]) for column in expected}
    assert found == {column: _text(_parsed(value)) for column, value in expected.items()}
