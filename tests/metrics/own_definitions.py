"""Parts of own metrics' definitions, and the signals they are over."""

from __future__ import annotations

from typing import Any

from tests.small_company import SETTINGS

SIGNALS = {
    **SETTINGS["signals"],
    "own": {"exports": {"events": ["export_csv", "export_pdf"]}, "imports": {"features": ["importer"]}},
}
COUNT, SUM, USERS = ({"signal": "exports", "measure": m} for m in ("count", "sum", "users"))


def own(**definition: Any) -> dict[str, Any]:
    return {"label": "data exports", "direction": 1, **definition}
