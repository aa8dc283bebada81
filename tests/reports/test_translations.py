"""Every language says everything: complete, with the right values, in the terms of the field, set by its rules."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from csql_ml.config.inputs import Company
from csql_ml.metrics import registry
from csql_ml.metrics.faces import Face
from csql_ml.reports import extract
from csql_ml.reports.catalogue import LOCALE_FOLDER, catalogue_file, languages, load
from csql_ml.reports.evidence_text import Facts, quoted_names
from csql_ml.reports.texts import Texts

TRANSLATED = ("de", "es", "fr")
LANGUAGES = ("en", *TRANSLATED)
NO_BREAK, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"

#: Words that are the same in English and in another language, or that the field does not translate.
SHARED = {
    *("{label}: {text}", "{told}; {more}", "{type}: {meaning}"),
    *("ARR", "Account", "Accounts", "Alarm", "CSM", "CSMs", "Champion", "Distance", "Drift", "Engagement", "Events"),
    *("Challenger", "ROC-AUC", "Rate", "points"),
    *("Expansion", "Fit", "Funnel", "Intent", "Label", "Leads", "Median: {days}", "NRR", "Pages"),
    *(
        "Monitoring: {headline}",
        "Plan",
        "Points",
        "Portfolio {csm}",
        "Region",
        "Score",
        "Scores",
        "Segment",
        "Stakeholders",
        "Stand-up",
    ),
    *("Status", "Table", "Team", "Trend", "Type", "Verdict", "contacts", "engagement score", "no", "plan", "segment"),
    *("{metric}: {value}", "{n} lead", "{quarter}: {figure}", "{title}, {date}", "{type}: {product}"),
}

#: The project's terms; see the table of terms in docs/languages.md.
TERMS = {
    "seat saturation": ("Lizenzsättigung", "saturation des sièges", "saturación de licencias"),
    "feature adoption": ("Funktions-Adoption", "adoption de fonctionnalités", "adopción de funcionalidades"),
    "active user ratio": ("Aktive-Nutzer-Ratio", "ratio d’utilisateurs actifs", "ratio de usuarios activos"),
    "workflow completion rate": (
        "Workflow-Abschlussrate",
        "taux de complétion des workflows",
        "tasa de completación de workflows",
    ),
    "expansion intent events": (
        "Expansions-Intent-Events",
        "événements d’intention d’expansion",
        "eventos de intención de expansión",
    ),
    "advocacy index": ("Advocacy-Index", "indice de recommandation", "índice de advocacy"),
    "usage growth": ("Nutzungswachstum", "croissance d’utilisation", "crecimiento de uso"),
    "engagement score": ("Engagement Score", "score d’engagement", "engagement score"),
    "Proof of value": ("Wertnachweis", "Preuve de valeur", "Prueba de valor"),
    "Trigger event": ("Auslöser-Event", "Événement déclencheur", "Evento disparador"),
    "Expansion hypothesis": ("Expansions-Hypothese", "Hypothèse d’expansion", "Hipótesis de expansión"),
    "Stakeholders": ("Stakeholder", "Parties prenantes", "Stakeholders"),
    "Median cycle": ("Medianer Zyklus", "Cycle médian", "Ciclo medio"),
    "Referral": ("Empfehlung", "Référence", "Referido"),
}


@cache
def catalog(language: str) -> Catalog:
    return read_po(BytesIO(catalogue_file(language).read_bytes()), locale=language)


@cache
def template() -> Catalog:
    return read_po(BytesIO((LOCALE_FOLDER / "csql.pot").read_bytes()))


def sources(entry: Message) -> tuple[str, ...]:
    return tuple(entry.id) if isinstance(entry.id, tuple | list) else (str(entry.id),)


def forms(entry: Message | None) -> tuple[str, ...]:
    given = () if entry is None else entry.string
    return tuple(given) if isinstance(given, tuple | list) else (str(given),)


def names(text: str) -> set[str]:
    """Names a text quotes; raises where a brace is not closed."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def messages() -> list[Message]:
    return [m for m in template() if m.id]


def test_the_languages_are_those_a_company_can_choose() -> None:
    offered = Company.model_json_schema()["properties"]["language"]["enum"]
    assert sorted(languages()) == sorted(offered) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated_in_all_its_forms(language: str) -> None:
    assert len(messages()) > 600
    wanted = catalog(language).num_plurals
    open_ = []
    for message in messages():
        entry = catalog(language).get(sources(message)[0])
        given = forms(entry)
        plural = len(sources(message)) == 2
        if entry is None or entry.fuzzy or not all(given) or len(given) != (wanted if plural else 1):
            open_.append(sources(message)[0])
    assert open_ == [], "to translate; see docs/languages.md"


@pytest.mark.parametrize("language", TRANSLATED)
def test_nothing_is_translated_that_nothing_says(language: str) -> None:
    known = {sources(m)[0] for m in messages()}
    assert {sources(m)[0] for m in catalog(language) if m.id} == known
    assert not catalog(language).obsolete


def test_english_forms_are_of_sentences_there_are() -> None:
    known = {sources(m)[0] for m in messages()}
    assert {sources(m)[0] for m in catalog("en") if m.id} <= known


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_quotes_what_the_english_does(language: str) -> None:
    for message in messages():
        wanted = names(" ".join(sources(message)))
        for form in forms(catalog(language).get(sources(message)[0])):
            assert names(form) == wanted, form


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_english_is_left(language: str) -> None:
    same = {sources(m)[0] for m in messages() if set(sources(m)) & set(forms(catalog(language).get(sources(m)[0])))}
    assert same <= SHARED


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_terms_of_the_field_are_kept(language: str) -> None:
    column = ("de", "fr", "es").index(language)
    found = load(language)
    assert {term: found.singular(term) for term in TERMS} == {term: row[column] for term, row in TERMS.items()}


@pytest.mark.parametrize("language", TRANSLATED)
def test_sentences_end_as_the_english_ones(language: str) -> None:
    """A full stop on one side only reads as two halves of different texts."""
    for message in messages():
        source = sources(message)[0]
        for form in forms(catalog(language).get(source)):
            assert form.endswith(".") == source.endswith("."), form
            assert form == form.strip(), form
            assert "  " not in form, form


def test_french_is_set_with_its_spaces_and_apostrophes() -> None:
    for message in messages():
        for form in forms(catalog("fr").get(sources(message)[0])):
            assert "'" not in form, form
            assert not re.search(rf"(?<![{NARROW}])[;?!]", form), form
            assert not re.search(rf"(?<![{NO_BREAK}]):", form), form


def test_spanish_questions_are_opened() -> None:
    asked = [f for m in messages() for f in forms(catalog("es").get(sources(m)[0])) if "?" in f]
    assert asked
    assert all(form.count("¿") == form.count("?") and not re.search(r"[¿¡]\s", form) for form in asked)


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_carries_marks_that_do_not_show(language: str) -> None:
    """Quotes are typographic, and no direction marks, tabs or line breaks hide in a text."""
    allowed = {NO_BREAK, NARROW} if language == "fr" else {NO_BREAK}
    for message in messages():
        for form in forms(catalog(language).get(sources(message)[0])):
            assert '"' not in form, form
            hidden = {c for c in form if not c.isprintable()} - allowed
            assert hidden == set(), form


@pytest.mark.parametrize("language", LANGUAGES)
def test_plural_rules_are_those_of_cldr(language: str) -> None:
    """Over the counts that occur; French and Spanish have a form of their own from a million on, written alike."""
    found, category = load(language), Locale.parse(language).plural_form
    for count in (*range(130), 999, 1000, 1.5, 0.5, 2.5):
        assert (found.plural_index(count) == 0) == (category(count) == "one"), count


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("value", [None, 0, 1, 2, 1.0, 0.25])
def test_every_metric_has_its_phrases(language: str, value: float | None) -> None:
    texts = Texts(load(language), "EUR")
    facts = Facts(texts, registry())
    english = Facts(Texts(load("en"), "EUR"), registry())
    for name, metric in registry().items():
        known = dict.fromkeys(quoted_names(metric.sentence), 7)
        said = facts.sentence({"metric": name, "value": value, "previous_value": 3, "facts": known})
        assert said
        assert not re.search(r"[{}]|\bNone\b|\bnan\b", said), said
        assert facts.label(name)
        if language != "en":
            plain = english.sentence({"metric": name, "value": value, "previous_value": 3, "facts": known})
            assert said != plain or metric.label in SHARED, name


def test_a_metric_of_ones_own_falls_back_to_its_own_english() -> None:
    own = Face("seats_idle", "idle seats", "{value} seats stand idle", "count", -1, shown=True)
    french = replace(own, labels={"fr": "sièges inutilisés"}, sentences={"fr": "{value} sièges inutilisés"})
    fact = {"metric": "seats_idle", "value": 12}
    for language in TRANSLATED:
        facts = Facts(Texts(load(language), "EUR"), {"seats_idle": own})
        assert (facts.label("seats_idle"), facts.sentence(fact)) == ("Idle seats", "12 seats stand idle")
    facts = Facts(Texts(load("fr"), "EUR"), {"seats_idle": french})
    assert (facts.label("seats_idle"), facts.sentence(fact)) == ("Sièges inutilisés", "12 sièges inutilisés")


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_file_is_as_extraction_would_write_it(language: str) -> None:
    """So that the next extraction shows nothing but what changed."""
    content = catalogue_file(language).read_bytes()
    again = extract.merged(language, content, template())
    assert _without_tool(again) == _without_tool(content)


def _without_tool(content: bytes) -> bytes:
    """A file without the line that names the version of the tool."""
    return re.sub(rb'"Generated-By:[^\n]*\n', b"", content)


def test_the_catalogues_lie_inside_of_the_package() -> None:
    """What the wheel packs is the folder csql_ml with everything in it."""
    package = Path(extract.__file__).parents[1]
    for language in LANGUAGES:
        assert catalogue_file(language).is_relative_to(package)
