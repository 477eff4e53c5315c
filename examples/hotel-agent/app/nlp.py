"""From a guest's sentence to an intent and its details, in English and Spanish.

spaCy is optional and imported only when an engine is built: importing this module
never needs it. With spaCy the words are its tokens (lemmas, when a trained pipeline is
configured); without it they come from a regular expression. Both feed the same rules,
so the service answers the same way, only less tolerant of inflection.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Callable, Dict, FrozenSet, Iterable, List, Optional, Tuple

GREET, CHECK, BOOK, CANCEL, UNKNOWN = (
    "greet",
    "check_availability",
    "book",
    "cancel",
    "unknown",
)

#: The first intent with a word in the message wins: "cancel my booking" is about
#: cancelling, and "hello, I want to book" about booking.
_KEYWORDS: Tuple[Tuple[str, str, FrozenSet[str]], ...] = (
    (CANCEL, "en", frozenset({"cancel", "cancellation", "annul"})),
    (CANCEL, "es", frozenset({"cancelar", "cancela", "cancelo", "anular", "anula", "cancelacion"})),
    (CHECK, "en", frozenset({"availability", "available", "free", "vacancy", "vacancies"})),
    (
        CHECK,
        "es",
        frozenset({"disponibilidad", "disponible", "disponibles", "libre", "libres", "hay"}),
    ),
    (BOOK, "en", frozenset({"book", "booking", "reserve", "reservation"})),
    (BOOK, "es", frozenset({"reservar", "reserva", "reservo", "reservame"})),
    (GREET, "en", frozenset({"hello", "hi", "hey", "morning", "evening"})),
    (GREET, "es", frozenset({"hola", "buenas", "buenos", "saludos"})),
)

_ROOM_TYPES: Dict[str, str] = {
    "single": "single",
    "individual": "single",
    "double": "double",
    "doble": "double",
    "suite": "suite",
}

#: Words that tell the language of a message that holds details only.
_LANGUAGE_HINTS: Dict[str, FrozenSet[str]] = {
    "en": frozenset({"the", "for", "night", "nights", "room", "single", "double", "please"}),
    "es": frozenset(
        {"el", "la", "una", "para", "noche", "noches", "habitacion", "individual", "doble", "por"}
    ),
}

_WORD = re.compile(r"[^\W\d_]+")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DAY_FIRST_DATE = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
_NIGHTS = re.compile(r"\b(\d{1,2})\s+(?:nights?|noches?)\b")
_RESERVATION = re.compile(r"\br-\d{6}\b")

Tokenizer = Callable[[str], Iterable[str]]


@dataclass(frozen=True)
class Understanding:
    intent: str
    #: ``None`` when nothing in the message tells it.
    language: Optional[str]
    slots: Dict[str, object] = field(default_factory=dict)


class Engine:
    def __init__(self, name: str, tokenize: Tokenizer) -> None:
        self.name = name
        self._tokenize = tokenize

    def parse(self, text: str) -> Understanding:
        plain = normalise(text)
        words = frozenset(normalise(word) for word in self._tokenize(text))
        intent, language = _classify(words)
        return Understanding(intent, language or _language(words), _slots(plain, words))


def build_engine(spacy_model: str = "") -> Engine:
    """spaCy when it can be used, otherwise the rules alone."""
    return _spacy_engine(spacy_model) or Engine("rules", lambda text: _WORD.findall(text))


_default: Optional[Engine] = None


def parse(text: str) -> Understanding:
    """Understand ``text`` with the default engine, built on first use."""
    return _default_engine().parse(text)


def engine() -> str:
    """The active engine: ``spacy`` or ``rules``."""
    return _default_engine().name


def _default_engine() -> Engine:
    global _default
    if _default is None:
        _default = build_engine()
    return _default


def _spacy_engine(model: str) -> Optional[Engine]:
    try:
        import spacy
    except Exception:  # absent, or installed but broken (a missing CUDA library, say)
        return None
    try:
        # A blank pipeline only tokenises and needs no model package.
        pipeline = spacy.load(model) if model else spacy.blank("xx")
    except (OSError, ImportError, ValueError):
        return None

    def tokenize(text: str) -> Iterable[str]:
        for token in pipeline(text):
            yield token.text
            if token.lemma_:
                yield token.lemma_

    return Engine("spacy", tokenize)


def normalise(text: str) -> str:
    """Lower case without accents, so that "Habitación" and "habitacion" are one word."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _classify(words: FrozenSet[str]) -> Tuple[str, Optional[str]]:
    for intent, language, keywords in _KEYWORDS:
        if words & keywords:
            return intent, language
    return UNKNOWN, None


def _language(words: FrozenSet[str]) -> Optional[str]:
    hits = {language: len(words & hints) for language, hints in _LANGUAGE_HINTS.items()}
    if hits["en"] == hits["es"]:
        return None
    return max(hits, key=lambda language: hits[language])


def _slots(plain: str, words: FrozenSet[str]) -> Dict[str, object]:
    slots: Dict[str, object] = {}
    types: List[str] = sorted({_ROOM_TYPES[word] for word in words if word in _ROOM_TYPES})
    if len(types) == 1:
        slots["room_type"] = types[0]
    date = _date(plain)
    if date is not None:
        slots["date"] = date
    nights = _NIGHTS.search(plain)
    if nights and int(nights.group(1)) > 0:
        slots["nights"] = int(nights.group(1))
    reservation = _RESERVATION.search(plain)
    if reservation:
        slots["reservation"] = reservation.group(0).upper()
    return slots


def _date(plain: str) -> Optional[str]:
    iso, day_first = _ISO_DATE.search(plain), _DAY_FIRST_DATE.search(plain)
    if iso:
        year, month, day = iso.groups()
    elif day_first:
        day, month, year = day_first.groups()
    else:
        return None
    try:
        return dt.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None  # the 31st of February
