"""A training writes down much: configuration, figures, card, bundles. No secret is part of it."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from csql_ml.cli import main
from csql_ml.config import load
from tests.own_features.world import world

#: One secret per way in: the addresses of databases, and what each CRM reads from the environment.
SECRETS = {
    "CSQL_TEST_DATABASE": "Datenbank+geheim/1",
    "HUBSPOT_ACCESS_TOKEN": "pat-eu1-geheim-2",
    "CSQL_SALESFORCE_SECRET": "Salesforce geheim 3",
    "CSQL_TRYTON_USER": "tryton-geheim-4",
    "CSQL_TRYTON_PASSWORD": "Trytön-geheim-5",
}
CONFIG = """
model: {bags: 1, bootstrap: 20}
models_folder: models
data:
  database: postgres://reader:${CSQL_TEST_DATABASE}@db.example.com/crm
delivery:
  hubspot: {pipeline: p1}
  salesforce: {login: {by: client_credentials, url: "https://example.my.salesforce.com", client_id: app}}
  tryton: {url: "https://tryton.example.com"}
"""


def ways_to_write(secret: str) -> list[bytes]:
    """The secret as bytes, and as it would stand in an address, in JSON or encoded."""
    plain = secret.encode()
    escaped = secret.encode("ascii", "backslashreplace").replace(b"\\xf6", b"\\u00f6")
    return [plain, secret.encode("utf-16-le"), escaped, quote(secret, safe="").encode(), base64.b64encode(plain)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file a training leaves, with MLflow's database and artifacts beside the bundles."""
    home = tmp_path_factory.mktemp("secrets")
    (home / "config.yaml").write_text(CONFIG, encoding="utf-8")
    world(60).to_csv(home / "features.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, secret in SECRETS.items():
            patch.setenv(name, secret)
        assert SECRETS["CSQL_TEST_DATABASE"] in str(load(home / "config.yaml").data.database)
        with pytest.raises(SystemExit) as ended:
            main(["train", "-c", str(home / "config.yaml"), "--features", str(home / "features.csv"), "--json"])
    assert ended.value.code == 0
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_reaches_mlflow_or_a_bundle(written: dict[str, bytes], name: str) -> None:
    ways = ways_to_write(SECRETS[name])
    assert [file for file, found in written.items() if any(way in found for way in ways)] == []


def test_the_search_would_find_what_is_there(written: dict[str, bytes]) -> None:
    """Parameters in the database, columns in the artifacts; nothing is compressed, where a secret would hide."""
    database = next(found for file, found in written.items() if file.endswith("mlflow.db"))
    assert b"horizon_quarters" in database
    assert any("mlartifacts/" in file and b"usage" in found for file, found in written.items())
    packed = (b"PK", b"\x1f\x8b", b"PAR1", b"BZh", b"\x28\xb5\x2f\xfd")
    assert [file for file, found in written.items() if found.startswith(packed)] == []
