"""How the code is built, in numbers: what is counted as what."""

from __future__ import annotations

import pytest

from bench import structure

FOR_TYPES = """from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import probe.a
class Same:
    pass
"""
FILES = [
    ("probe/__init__.py", '"""A package\'s own file is no module here."""\nimport probe.a\n'),
    ("probe/a.py", "import probe.b\nfrom wire import c\n\n\nclass Same:\n    pass\n"),
    (
        "probe/b.py",
        "def outer():\n    from wire.c import Thing\n\n    def inner():\n        pass\n",
    ),
    ("wire/c.py", FOR_TYPES),
    ("bench/d.py", "import probe.a\n"),
    ("tests/test_a.py", "import probe.a\n" * 8),
]


def test_modules_functions_chains_and_names_are_counted() -> None:
    found = structure.measured(FILES)
    assert found.keys() == {"probe", "wire", "all"}
    probe, whole = found["probe"], found["all"]
    assert (probe.modules, whole.modules) == (2, 3)
    assert (whole.source_lines, whole.module_lines_max) == (16, 6)
    assert (probe.functions, probe.function_lines_median, probe.function_lines_max) == (2, 3.5, 5)
    assert (probe.longest_import_chain, found["wire"].longest_import_chain) == (3, 1)
    # b is imported by a alone, c by both; a by nobody but a package's own file and tests.
    assert (whole.one_importer_modules, probe.fan_out_max) == (1, 2)
    assert (probe.repeated_class_names, whole.repeated_class_names) == (0, 1)
    assert probe.test_lines_per_source_line is None
    assert whole.test_lines_per_source_line == 0.5


def test_a_circle_of_imports_is_an_error() -> None:
    with pytest.raises(ValueError, match="imports itself"):
        structure.chain_lengths({"a": frozenset({"b"}), "b": frozenset({"a"})})


def test_two_revisions_stand_in_one_table() -> None:
    table = structure.table([structure.measured(FILES[:2]), structure.measured(FILES)])
    assert table.splitlines()[0] == "|  | wire | probe | all |"
    assert "| modules | – → 1 | 1 → 2 | 1 → 3 |" in table
    assert "| test lines per source line |  |  | 0 → 0.5 |" in table


def test_the_working_tree_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert structure.main([]) == 0
    assert "| longest import chain |" in capsys.readouterr().out


def test_a_revision_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert structure.main(["no-such-revision"]) == 2
    assert "no-such-revision" in capsys.readouterr().err
