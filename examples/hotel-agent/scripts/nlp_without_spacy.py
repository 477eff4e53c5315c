"""Imports app.nlp where spaCy can't be imported, asks it a question, and prints one JSON object."""
import importlib.abc
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


class NoSpacy(importlib.abc.MetaPathFinder):
    """Answers for spaCy as if it were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "spacy":
            raise ModuleNotFoundError("No module named 'spacy'", name="spacy")
        return None


sys.meta_path.insert(0, NoSpacy())

from app import nlp  # noqa: E402  (spaCy has to be out of reach first)

understood = nlp.parse("hello")
print(json.dumps({
    "engine": nlp.engine(),
    "spacy_loaded": "spacy" in sys.modules,
    "intent": understood.intent,
}, sort_keys=True))
