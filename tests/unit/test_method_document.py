"""docs/method.md against the code: every reference, path, constant, and the other language."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from msgspec import Struct

from tests.method_document import DOCS, ENGLISH, VIETNAMESE, Constant, document

ROOT = DOCS.parent
ROOMS = (
    "ansible", "bench", "collector", "deploy", "docs", "probe", "runtime", "server", "systemd",
    "tests", "wire",
)  # fmt: skip
SUFFIXES = {".py", ".md", ".toml", ".json", ".yml", ".j2", ".html"}
# `docs/method.md#latency, L5, L8` in code, `[method](../method.md#latency), L5` in a page.
REFERENCE = re.compile(r"\bmethod(?:\.vi)?\.md#([\w-]+)((?:\)?,\s+(?:#\s+)?[A-Z]{1,2}\d+\b)*)")
SECTIONS = list(document(ENGLISH).sections)
RULES = document(ENGLISH).all_rules()
_OUR_FILES = sorted(
    path
    for path in (*(p for room in ROOMS for p in (ROOT / room).rglob("*")), *ROOT.glob("*.md"))
    if path.suffix in SUFFIXES and path != Path(__file__)
)


def references() -> Iterator[tuple[str, str, list[str]]]:
    """(file, section, ids) of each reference in code, contract and pages."""
    for path in _OUR_FILES:
        for found in REFERENCE.finditer(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(ROOT)), found[1], re.findall(r"[A-Z]+\d+", found[2])


def test_every_reference_names_a_section_and_a_rule_of_it() -> None:
    found = list(references())
    wrong = [
        (file, section, ids)
        for file, section, ids in found
        if section not in SECTIONS
        or {*ids} - {rule.id for rule in document(ENGLISH).rules(section)}
    ]
    assert wrong == []
    in_contract = {section for file, section, _ in found if file.startswith("docs/contract/")}
    assert in_contract >= {"throughput", "http", "latency", "dns", "web", "path", "availability"}


def test_nothing_speaks_of_a_method_that_is_not_in_the_repository() -> None:
    # iCalendar has a property of that name (RFC 5545, 3.7.2).
    private = re.compile(r"\bMETHOD\b(?!:)")
    assert [
        str(path.relative_to(ROOT))
        for path in _OUR_FILES
        if private.search(path.read_text(encoding="utf-8"))
    ] == []


def test_an_id_is_given_once() -> None:
    ids = [rule.id for section in SECTIONS for rule in document(ENGLISH).rules(section)]
    assert len(ids) == len(set(ids))
    assert all(document(ENGLISH).rules(section) for section in SECTIONS if section != "constants")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_rule_s_code_and_tests_are_there(rule: tuple[str, ...]) -> None:
    id_, *_, code, tests = rule
    assert (ROOT / code).is_file(), id_
    assert tests, id_
    for test in tests:
        path, _, function = str(test).partition("::")
        assert function in functions_in(path), f"{id_}: {test}"


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def value_of(name: str) -> object:
    """A constant by its dotted name, a setting's default, or a limit of the thresholds' file."""
    if ":" in name:
        path, _, keys = name.partition(":")
        found: object = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))
        for key in keys.split("."):
            assert isinstance(found, dict)
            found = found[key]
        return found
    parts = name.split(".")
    module = next(
        n
        for n in range(len(parts) - 1, 0, -1)
        if (ROOT / "/".join(parts[:n])).with_suffix(".py").is_file()
    )
    found = importlib.import_module(".".join(parts[:module]))
    for part in parts[module:]:
        if isinstance(found, type) and issubclass(found, Struct):
            found = found()
        found = getattr(found, part)
    return found


CONSTANTS = document(ENGLISH).constants()


@pytest.mark.parametrize("constant", CONSTANTS, ids=[f"{c.rule} {c.name}" for c in CONSTANTS])
def test_a_constant_is_the_codes_and_stands_in_its_rule(constant: Constant) -> None:
    assert value_of(constant.name) == ast.literal_eval(constant.value)
    assert constant.written in RULES[constant.rule].text


def numbers(text: str, *, vietnamese: bool) -> list[str]:
    """The numbers of a text in one spelling: "1,000.5" and, in Vietnamese, "1.000,5"."""
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)
    if vietnamese:
        found = re.findall(r"\d+(?:\.\d{3})*(?:,\d+)?", prose)
        return sorted(number.replace(".", "").replace(",", ".") for number in found)
    found = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", prose)
    return sorted(number.replace(",", "") for number in found)


def code_in(text: str) -> list[str]:
    """What stands in a text as code."""
    return sorted(re.findall(r"`([^`]+)`", text))


@pytest.mark.parametrize("section", SECTIONS)
def test_both_languages_say_the_same(section: str) -> None:
    """Ids, numbers, formulas' numbers, fields, code and test files; the rest is translation."""
    english, vietnamese = document(ENGLISH), document(VIETNAMESE)
    for ours, theirs in zip(english.rules(section), vietnamese.rules(section), strict=True):
        assert (ours.id, ours.code) == (theirs.id, theirs.code)
        for mine, other in ((ours.text, theirs.text), (ours.reason, theirs.reason)):
            assert numbers(mine, vietnamese=False) == numbers(other, vietnamese=True), ours.id
            assert code_in(mine) == code_in(other), ours.id
        assert list(dict.fromkeys(test.partition("::")[0] for test in ours.tests)) == [
            *theirs.tests
        ]
    formulas = [
        [
            re.findall(r"\d+(?:\.\d+)?", block)
            for block in re.findall(r"^```\n(.*?)^```", text, re.S | re.M)
        ]
        for text in (english.sections[section], vietnamese.sections[section])
    ]
    assert formulas[0] == formulas[1]


def test_constants_are_the_same_in_both_languages() -> None:
    english, vietnamese = document(ENGLISH), document(VIETNAMESE)
    rules = vietnamese.all_rules()
    assert list(english.sections) == list(vietnamese.sections)
    assert [one[:3] for one in english.constants()] == [one[:3] for one in vietnamese.constants()]
    for constant in vietnamese.constants():
        assert constant.written in rules[constant.rule].text, constant


def test_a_class_that_the_glossary_names_is_one() -> None:
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", text)) - {"RandomizedDelaySec"}
    classes = {
        node.name
        for room in ("wire", "runtime", "probe", "server", "collector", "deploy")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    assert len(named) > 20
    assert named - classes == set()
