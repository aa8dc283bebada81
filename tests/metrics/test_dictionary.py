"""docs/metrics.md is what the definitions say."""

from __future__ import annotations

from pathlib import Path

import pytest

from csql_ml.metrics.dictionary import dictionary, main


def test_the_page_in_docs_is_current(project_root: Path) -> None:
    assert main(["--check", str(project_root / "docs" / "metrics.md")]) == 0


def test_a_page_that_differs_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "metrics.md"
    page.write_text(dictionary().replace("seat saturation", "seats"), encoding="utf-8")
    assert main(["--check", str(page)]) == 1
    assert f"--write {page}" in capsys.readouterr().out
    assert main(["--write", str(page)]) == 0
    assert main(["--check", str(page)]) == 0
