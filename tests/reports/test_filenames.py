from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csql_ml.reports.filenames import page_name
from csql_ml.reports.site import UNASSIGNED

IDS = st.one_of(st.text(min_size=1, max_size=80), st.from_regex(r"[A-Za-z0-9_./-]{1,20}", fullmatch=True))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("acct_00012", "acct_00012.html"),
        ("a-b_c", "a-b_c.html"),
    ],
)
def test_a_plain_id_is_kept(key: str, expected: str) -> None:
    assert page_name(key) == expected


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "..", ".", "a/b", "a\\b", "C:x", "con", "NUL", "A", "", "x\x00", "é"]
)
def test_a_dangerous_id_gets_a_hash_and_stays_in_the_folder(key: str) -> None:
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]*-[0-9a-f]{10}\.html", page_name(key))


@pytest.mark.parametrize("key", ["a" * 300, "Ä-" * 300, "x/" * 300])
def test_a_long_id_gets_a_short_name(key: str) -> None:
    assert len(page_name(key)) <= 64


@given(IDS)
def test_a_name_is_safe_on_every_disk(key: str) -> None:
    name = page_name(key)
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_-]{0,63}\.html", name)
    assert name.split(".")[0] not in {"con", "prn", "aux", "nul", "com1", "lpt1"}
    assert name != UNASSIGNED


@given(st.lists(IDS, unique=True, min_size=2, max_size=6))
def test_two_ids_never_share_a_name_whatever_the_letter_case(keys: list[str]) -> None:
    assert len({page_name(k).lower() for k in keys}) == len(keys)


def test_an_id_that_looks_like_a_hashed_name_does_not_take_its_place() -> None:
    hashed = page_name("ACME").removesuffix(".html")
    assert page_name(hashed) != page_name("ACME")


@pytest.mark.parametrize("key", ["Acme", "acme", "ACME"])
def test_ids_that_differ_only_in_case_have_names_that_differ_in_more(key: str) -> None:
    others = {page_name(k).lower() for k in ("Acme", "acme", "ACME") if k != key}
    assert page_name(key).lower() not in others
