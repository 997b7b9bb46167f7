"""Words that identifiers no longer use: docs/glossary.md has the field's in their place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("wire", "runtime", "probe", "server", "collector", "verify", "deploy", "ansible")
# The word, and what says it: by meaning, so more than one.
OUT = {
    "told": "reported, published, stated, notified, logged",
    "tell": "report, publish, describe, notify",
    "teller": "notifier, reporter",
    "judge": "validate (a message), assess (a figure)",
    "judged": "validated, assessed",
    "judgement": "assessment",
    "apart": "individually, isolated, difference",
    "fairness": "rate limit",
    "turns": "admission, rotation",
    "desk": "service, sender",
    "deed": "audit event",
    "person": "user",
    "keeper": "maintenance",
    "steadiness": "clock stability",
    "believed": "stable, trusted",
    "commanded": "executor, accepted",
    "commanding": "cli, sender",
    "obeyed": "done, accepted",
    "fate": "status",
    "heir": "successor",
    "spoilt": "disturbed, invalid",
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a module's code gives or uses, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, node.lineno


def words_of(name: str) -> set[str]:
    """`_tell_every_s` and `TellEvery` have the words tell and every."""
    return {word.lower() for word in _WORDS.findall(name)}


def test_words_are_found_in_every_style_of_name() -> None:
    assert words_of("_tell_every_s") == {"tell", "every", "s"}
    assert words_of("JudgedBatch") == {"judged", "batch"}
    assert words_of("TELL_CENTRE") == {"tell", "centre"}
    tree = ast.parse("class Teller:\n    def tell(self, told):\n        self.deed = told\n")
    assert {name for name, _ in identifiers(tree)} >= {"Teller", "tell", "told", "deed"}


def test_no_identifier_has_a_word_that_is_out() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}: say {OUT[word]}"
        for room in PRODUCT
        for path in sorted((ROOT / room).rglob("*.py"))
        for name, line in identifiers(ast.parse(path.read_text(encoding="utf-8")))
        for word in sorted(words_of(name) & OUT.keys())
    ]
    assert found == []


def test_no_message_docstring_or_comment_has_one_of_the_worst() -> None:
    out = re.compile(r"(?i)\b(told|tells?|telling|judge[sd]?|judging|obeyed|held against)\b")
    assert out.search("It is told once.")
    assert [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for room in PRODUCT
        for path in sorted((ROOT / room).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if out.search(line)
    ] == []


def test_no_module_is_called_by_a_word_that_is_out() -> None:
    assert [
        str(path.relative_to(ROOT))
        for room in PRODUCT
        for path in (ROOT / room).rglob("*.py")
        if words_of(path.stem) & OUT.keys()
    ] == []
