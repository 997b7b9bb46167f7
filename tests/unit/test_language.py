"""What the probe's commands say is there in Vietnamese and in English, and the locale picks one."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime import connection_failure
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.language import Language, Phrase, of_locale
from runtime.secret_file import SecretFileError

ROOT = Path(__file__).parents[2]
# Who speaks to a technician, and the pages, where both live side by side.
SPEAKING = ("probe", "runtime", "collector/registry", "collector/web")
# In one of these a technician types it as it is, or it is a name.
SAME_IN_BOTH = {
    "?", "%", "ms", "p50, ms", "RTT p95", "IPv4", "IPv6", "DNS", "NAT", "TCP", "TLS",
    # What is formatted alone: a figure with its unit, a version, what a program said.
    "f'{celsius:.0f} °C'", "f'Python {version[0]}.{version[1]}'",
}  # fmt: skip
# How a value is put, and halves of a phrase in the making.
EACH_LANGUAGE_ITS_OWN = {"vi", "en", "_comma", "_cause_vi", "_month_vi"}


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, Language.EN),
        ({"LANG": "C.UTF-8"}, Language.EN),
        ({"LANG": "vi_VN.UTF-8"}, Language.VI),
        ({"LANG": "vi"}, Language.VI),
        ({"LANG": "vi@x"}, Language.VI),
        ({"LANG": "vie_VN"}, Language.EN),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "vi_VN"}, Language.VI),
        ({"LANG": "vi_VN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, Language.EN),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": "C"}, Language.EN),
        ({"LANG": "vi_VN.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, Language.VI),
    ],
)
def test_the_locale_picks_the_language(environment: dict[str, str], language: Language) -> None:
    assert of_locale(environment) is language


_SAY = ("Phrase", "RuleError")


class Said(NamedTuple):
    """A phrase in the source, as its two texts are written there."""

    where: str
    vi: ast.expr
    en: ast.expr


def _phrases() -> Iterator[Said]:
    for folder in SPEAKING:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in _SAY:
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    assert len(node.args) == 2, f"{where}: one text for each language"
                    yield Said(where, *node.args)


def _text(node: ast.expr) -> str | None:
    """A text as it is written; None for a name or a call: what it holds is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return ast.unparse(node) if isinstance(node, ast.JoinedStr) else None


def _put_in(node: ast.expr) -> set[str]:
    """The names whose values a text shows."""
    shown = [part for part in ast.walk(node) if isinstance(part, ast.FormattedValue)]
    names = {one.id for part in shown for one in ast.walk(part) if isinstance(one, ast.Name)}
    return names - EACH_LANGUAGE_ITS_OWN


def test_every_phrase_is_said_in_both_languages() -> None:
    said = list(_phrases())
    assert len(said) > 500, "the phrases are found"
    for one in said:
        vietnamese, english = _text(one.vi), _text(one.en)
        assert vietnamese != "", f"{one.where}: no Vietnamese"
        assert english != "", f"{one.where}: no English"
        if vietnamese is None or english is None:
            continue
        assert unicodedata.is_normalized("NFC", vietnamese), one.where
        assert vietnamese != english or vietnamese in SAME_IN_BOTH, f"{one.where}: not translated"
        assert _put_in(one.vi) == _put_in(one.en), f"{one.where}: one tells more than the other"


# What is the same in both texts: third-party software in its own words, an interface's name, a
# command as it is typed.
QUOTED = {"str(error)", "found.interface", "restart", "text"}
# Texts of ours that exist in English alone: they may only be put in as a quotation.
_ENGLISH = {"en", "sentence", "detail", "trouble"}


def test_no_phrase_has_one_text_for_both_languages() -> None:
    same = [
        f"{one.where}: {ast.unparse(one.vi)}"
        for one in _phrases()
        if _text(one.vi) is None
        and ast.unparse(one.vi) == ast.unparse(one.en)
        and ast.unparse(one.vi) not in QUOTED
    ]
    assert same == []


def test_no_english_sentence_of_ours_is_put_into_vietnamese() -> None:
    """But in quotation marks or brackets, after the Vietnamese that says it."""
    wrong = [
        f"{one.where}: {ast.unparse(part.value)}"
        for one in _phrases()
        if isinstance(one.vi, ast.JoinedStr)
        for before, part in pairwise(one.vi.values)
        if isinstance(part, ast.FormattedValue)
        and isinstance(part.value, ast.Attribute)
        and part.value.attr in _ENGLISH
        and not (isinstance(before, ast.Constant) and str(before.value).endswith(("(", "“")))
    ]
    assert wrong == []


# Its output goes into a log.
_TO_A_LOG = {"_run", "_run_once"}
_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _texts_in(node: ast.expr) -> Iterator[ast.expr]:
    """The texts of an expression, but for the arguments of its calls."""
    yield node
    if not isinstance(node, ast.Call):
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.expr):
                yield from _texts_in(part)


def _printed_words() -> Iterator[str]:
    """Each text with words of its own that a command of the probe prints as it is written."""
    for path in sorted((ROOT / "probe").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef) and function.name not in _TO_A_LOG:
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                        for text in (part for one in node.args[:1] for part in _texts_in(one)):
                            if (
                                isinstance(text, ast.Constant)
                                and isinstance(text.value, str)
                                and re.search(r"[a-z]{2}", _TERMINAL.sub("", text.value))
                            ):
                                yield f"{path.name}:{node.lineno}: {text.value}"


def test_what_a_command_of_the_probe_prints_is_in_both_languages() -> None:
    assert list(_printed_words()) == []


@pytest.mark.parametrize("cause", FailureCause)
def test_each_cause_of_a_missing_connection_is_said_in_vietnamese(cause: FailureCause) -> None:
    """And what to do; the operating system's own words are quoted as they are."""
    failure = ConnectionFailure(cause, "timed out")
    for said in (failure.sentence(), failure.advice()):
        assert _MARKS.search(said.vi), said
        assert not _MARKS.search(said.en), said
    assert failure.sentence().vi.endswith(" (timed out)")
    assert failure.report().vi == f"{failure.sentence().vi}: {failure.advice().vi}"


@pytest.mark.parametrize(
    "failure",
    [
        connection_failure.of_silence(5.0),
        connection_failure.of_takeovers(3, 2.0),
        connection_failure.of_end(answered=True),
        connection_failure.of_error(SecretFileError(Phrase("ai cũng đọc được", "it is open"))),
    ],
)
def test_a_detail_that_is_our_own_sentence_is_in_both_languages(failure: ConnectionFailure) -> None:
    assert failure.detail not in failure.sentence().vi
    assert failure.detail in failure.sentence().en


_MARKS = re.compile("[à-ỹđ]")


# One word for one thing, on pages, reports, at the box and in its documents: on the left what is
# said nowhere, on the right what is said for it.
OTHER_WORDS = {
    "đường mạng": "đường truyền",
    "đường internet": "đường truyền",
    "đường truyền kém": "đường truyền chập chờn",
    "mất đường truyền": "đường truyền mất kết nối",
    "chưa rõ": "không rõ",
    "đủ số liệu": "mức đầy đủ",
    "chưa có gói cước để so": "chưa có tốc độ công bố",
    "mb/s": "Mbit/s",
    "máy chủ mqtt": "máy chủ nhận tin (MQTT)",
}
# A line of which too little is known yet; not the share of a plan that has come.
OF_ANOTHER_THING = "chưa đủ số liệu"


def test_one_word_for_one_thing() -> None:
    read = [
        path
        for folder in ("probe", "runtime", "collector", "deploy", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".html", ".j2", ".toml"} or path.name.endswith(".vi.md")
    ]
    read += [ROOT / "README.vi.md", ROOT / "deploy" / "node-red" / "flow.json"]
    assert len(read) > 100, "the sources are found"
    for path in read:
        text = " ".join(path.read_text(encoding="utf-8").lower().split())
        text = text.replace(OF_ANOTHER_THING, "")
        for other, word in OTHER_WORDS.items():
            assert other not in text, f"{path.relative_to(ROOT)}: “{other}”, elsewhere “{word}”"
