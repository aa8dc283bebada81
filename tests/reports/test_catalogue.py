from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from csql_ml.errors import OutputError, UsageError
from csql_ml.reports import extract
from csql_ml.reports.catalogue import LOCALE_FOLDER, catalogue_file, languages, load, pseudo
from tests.reports.sample_run import METRICS

PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Accounts"
msgstr "Kunden"

#, fuzzy
msgid "Status"
msgstr "Zustand?"

msgid "Rank"
msgstr ""

msgid "{n} day"
msgid_plural "{n} days"
msgstr[0] "{n} Tag"
msgstr[1] "{n} Tage"
"""


def write_catalogue(folder: Path, content: str, language: str = "de") -> Path:
    path = catalogue_file(language, folder)
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    return folder


def test_finished_translations_are_used_others_stay_english(tmp_path: Path) -> None:
    german = load("de", write_catalogue(tmp_path, PO))
    assert german.singular("Accounts") == "Kunden"
    assert german.singular("Status") == "Status"
    assert german.singular("Rank") == "Rank"
    assert german.singular("Not in the file") == "Not in the file"


@pytest.mark.parametrize(("count", "form"), [(1, "{n} Tag"), (0, "{n} Tage"), (2, "{n} Tage"), (1.5, "{n} Tage")])
def test_plural_forms_come_from_the_catalogue(tmp_path: Path, count: float, form: str) -> None:
    assert load("de", write_catalogue(tmp_path, PO)).plural("{n} day", "{n} days", count) == form


def test_a_language_without_catalogue_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write_catalogue(tmp_path, PO)
    assert languages(tmp_path) == ("en", "de")
    with pytest.raises(UsageError, match="no texts for language 'xx'; available: en, de"):
        load("xx", tmp_path)


def test_a_translation_with_a_foreign_name_is_refused(tmp_path: Path) -> None:
    content = PO + '\nmsgid "By {csm}"\nmsgstr "Von {cms}"\n'
    with pytest.raises(OutputError, match=r"'By \{csm\}' has \{cms\}"):
        load("de", write_catalogue(tmp_path, content))


def test_a_damaged_catalogue_is_refused(tmp_path: Path) -> None:
    path = catalogue_file("de", write_catalogue(tmp_path, PO))
    path.write_bytes(PO.encode() + b'msgid "Held"\nmsgstr "\xff"\n')
    with pytest.raises(OutputError, match="damaged"):
        load("de", tmp_path)


def test_the_pseudo_language_marks_text_and_keeps_placeholders() -> None:
    text = pseudo("Rank {rank} of {count}")
    assert text.startswith("⟦")
    assert text.endswith("⟧")
    assert "{rank}" in text
    assert "{count}" in text
    assert "Rank" not in text
    assert len(text) > 1.3 * len("Rank {rank} of {count}")


def test_every_message_of_the_pages_stands_in_the_template() -> None:
    with (LOCALE_FOLDER / "csql.pot").open("rb") as file:
        known = {m.id[0] if isinstance(m.id, tuple) else m.id for m in read_po(file)}
    found = {m[0] if isinstance(m, tuple) else m for _, m in extract.page_messages()}
    assert len(found) > 100
    assert found <= known, "run: python -m csql_ml.reports.extract"


def test_extraction_finds_code_templates_and_metrics() -> None:
    template = extract.template(METRICS)
    with_plural = b'msgid "{n} account"\nmsgid_plural "{n} accounts"'
    for part in (b'msgid "What to do next"', b'msgid "Held for risk"', with_plural, b'msgid "seat saturation"'):
        assert part in template
    assert template == extract.template(METRICS)


def test_a_counted_sentence_can_have_plural_forms() -> None:
    messages = [m for _, m in extract.metric_messages(METRICS.values())]
    sentence = METRICS["upgrade_attempts"].sentence
    assert (sentence, sentence) in messages


@pytest.mark.parametrize(("count", "form"), [(1.5, "{n} jour"), (0, "{n} jour"), (2, "{n} jours"), (2.5, "{n} jours")])
def test_a_fraction_takes_the_form_of_the_language(tmp_path: Path, count: float, form: str) -> None:
    french = PO.replace("(n != 1)", "(n > 1)").replace("{n} Tag", "{n} jour").replace("joure", "jours")
    assert load("fr", write_catalogue(tmp_path, french, "fr")).plural("{n} day", "{n} days", count) == form


def test_messages_inside_of_f_strings_are_found() -> None:
    code = """
told = f"{t.gettext('Outer ' 'text')} ({t.ngettext('{n} row', '{n} rows', n)})"
N_("Marked")
texts.gettext(variable)
codes.get("not a message")
"""
    assert extract.code_messages(code) == ["Outer text", ("{n} row", "{n} rows"), "Marked"]


def test_extraction_keeps_adds_and_drops_and_never_guesses() -> None:
    messages = Catalog()
    for message in ("Accounts", "Accounts of mine", ("Rank", "Ranks")):
        messages.add(message)
    content = (PO + '\n#~ msgid "Old"\n#~ msgstr "Alt"\n').replace(
        'msgid "Rank"\nmsgstr ""', 'msgid "Rank"\nmsgstr "Rang"'
    )
    found = read_po(BytesIO(extract.merged("de", content.encode(), messages)), locale="de")
    assert found.get("Accounts").string == "Kunden"
    assert found.get("Accounts of mine").string == ""
    assert found.get("Rank").fuzzy
    assert {m.id[0] if isinstance(m.id, tuple) else m.id for m in found if m.id} == {
        "Accounts",
        "Accounts of mine",
        "Rank",
    }
    assert not found.obsolete
    assert extract.untranslated("de", extract.merged("de", content.encode(), messages)) == ["Accounts of mine", "Rank"]


def test_extraction_twice_changes_nothing() -> None:
    messages = extract.collected(METRICS)
    once = extract.merged("de", PO.encode(), messages)
    assert extract.merged("de", once, messages) == once
