import builtins
import sys
import types

import pytest

from app import nlp

@pytest.fixture
def without_spacy(monkeypatch):
    """As on a machine where spaCy isn't installed, wherever the tests run."""
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "spacy" or name.startswith("spacy."):
            raise ImportError("no spaCy here")
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "spacy", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(nlp, "_default", None)


# That importing app.nlp does not load spaCy is no test here: it is advice, not a reason to stop a deploy, and
# scripts/nlp_without_spacy.py checks it.


def test_nlp_falls_back_without_spacy(without_spacy):
    assert nlp.engine() == "rules"
    assert nlp.parse("hola").intent == "greet"


def test_nlp_falls_back_when_spacy_is_broken(monkeypatch):
    broken = types.ModuleType("spacy")
    broken.blank = broken.load = _raise_os_error
    monkeypatch.setitem(sys.modules, "spacy", broken)
    assert nlp.build_engine().name == "rules"
    assert nlp.build_engine("es_model").name == "rules"


def _raise_os_error(name):
    raise OSError(name)


def test_nlp_uses_spacy_tokens_and_lemmas(monkeypatch):
    def load(name):
        lemmas = {"cancelled": "cancel"}
        return lambda text: [
            types.SimpleNamespace(text=word, lemma_=lemmas.get(word, "")) for word in text.split()
        ]

    fake = types.ModuleType("spacy")
    fake.load = fake.blank = load
    monkeypatch.setitem(sys.modules, "spacy", fake)
    engine = nlp.build_engine("en_model")
    assert engine.name == "spacy"
    assert engine.parse("I want it cancelled").intent == "cancel"


@pytest.mark.parametrize(
    "text, intent, language",
    [
        ("Hello there", "greet", "en"),
        ("¡Hola!", "greet", "es"),
        ("Is there a double room available?", "check_availability", "en"),
        ("¿Hay DISPONIBILIDAD?", "check_availability", "es"),
        ("I'd like to book a room", "book", "en"),
        ("Hola, buenas, querría reservar", "book", "es"),
        ("Please cancel my booking", "cancel", "en"),
        ("quiero anular mi reserva", "cancel", "es"),
        ("una habitación doble, por favor", "unknown", "es"),
        ("zzz", "unknown", None),
    ],
)
def test_nlp_intents(without_spacy, text, intent, language):
    heard = nlp.parse(text)
    assert (heard.intent, heard.language) == (intent, language)


@pytest.mark.parametrize(
    "text, slots",
    [
        (
            "a suite on 2030-01-31 for 1 night",
            {"room_type": "suite", "date": "2030-01-31", "nights": 1},
        ),
        (
            "individual el 3/2/2030, 12 noches",
            {"room_type": "single", "date": "2030-02-03", "nights": 12},
        ),
        ("single or double?", {}),
        ("2030-02-31 for 0 nights", {}),
        ("cancel r-000042", {"reservation": "R-000042"}),
    ],
)
def test_nlp_details(without_spacy, text, slots):
    assert nlp.parse(text).slots == slots
