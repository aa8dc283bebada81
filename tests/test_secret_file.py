from __future__ import annotations

import os
from pathlib import Path

import pytest

from csql_ml.errors import ConfigError
from csql_ml.secret_file import read_secret


def read(file: Path | None) -> str:
    return read_secret("password", "CSQL_A_SECRET", file, "delivery.x.file")


def test_a_secret_comes_from_the_environment_or_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSQL_A_SECRET", "from outside\n")
    assert read(None) == "from outside"
    path = tmp_path / "secret"
    path.write_text("from a file\nof two lines\n")
    path.chmod(0o600)
    assert read(path) == "from a file\nof two lines"


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("open")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"delivery\.x\.file: .*secret has mode {mode:04o}, others may use it"):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b" \n", "is empty"), (b"\xff\xfesecret", "it is not UTF-8 text")]
)
def test_a_file_of_no_use_is_named_and_its_content_is_not(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "pw"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(ConfigError, match=rf"delivery\.x\.file: .*pw .*{said}") as caught:
        read(path)
    assert "secret" not in str(caught.value)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSQL_A_SECRET", " ")
    with pytest.raises(ConfigError, match=r"no password is given; .* CSQL_A_SECRET, or delivery\.x\.file"):
        read(None)
