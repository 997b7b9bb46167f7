"""docs/figures.md as it is made of what benchmarks have left."""

from __future__ import annotations

from pathlib import Path

from bench.figures import Found, benchmarks, page, unexplained
from bench.report import Outcome, as_json, at_most, machine

MODULE = '''"""Floor 3. How fast it is,
beside peers.

More of it."""
import sys
if __name__ == "__main__":
    sys.exit(run("fast", measured))
'''
HERE = {
    **machine("python -m bench.fast", peers=("no-such-package",)),
    "load_1min_after": 0.2,
}
OUTCOME = Outcome(
    [{"line": "a|b", "rate_mbps": 95.634567, "note": None}],
    [at_most("error", 0.2, 0.1), at_most("p95", 0.1, 0.1)],
)


def found(directory: Path) -> list[Found]:
    (directory / "fast.py").write_text(MODULE)
    (directory / "report.py").write_text('"""Floor 3. Shared."""\n')
    return list(benchmarks(directory, directory))


def test_a_benchmark_that_left_nothing_is_named(tmp_path: Path) -> None:
    (one,) = found(tmp_path)
    assert (one.name, one.meaning, one.run) == ("fast", "How fast it is, beside peers.", None)
    (tmp_path / "fast.json").write_text("")  # it could not measure
    assert "No figures" in page(found(tmp_path), {})


def test_a_run_is_told_with_date_machine_command_figures_and_peers(tmp_path: Path) -> None:
    (tmp_path / "fast.json").write_text(as_json("fast", OUTCOME, HERE))
    written = page(found(tmp_path), {"fast": "Because it rained.\n"})
    assert "- `python -m bench.fast`, 20" in written
    assert "- peers: no-such-package" in written
    assert "load average" in written
    assert "| error | 0.2 | 0.1 | **missed** |" in written
    assert "| p95 | 0.1 | 0.1 | met |" in written
    assert "Because it rained." in written
    assert "| line | rate_mbps | note |\n| --- | ---: | ---: |\n| a/b | 95.63 | – |" in written


def test_a_benchmark_that_was_not_run_keeps_the_part_of_its_last_run(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(MODULE)
    for name in ("fast", "slow"):
        (tmp_path / f"{name}.json").write_text(as_json(name, OUTCOME, HERE))
    first = page(found(tmp_path), {"fast": "Because it rained.\n"})
    (tmp_path / "fast.json").unlink()
    assert page(found(tmp_path), {}, first) == first
    (tmp_path / "fast.json").write_text(as_json("fast", OUTCOME, HERE))
    (tmp_path / "slow.json").unlink()
    assert page(found(tmp_path), {"fast": "Because it rained.\n"}, first) == first


def test_a_miss_needs_a_word(tmp_path: Path) -> None:
    (tmp_path / "fast.json").write_text(as_json("fast", OUTCOME, HERE))
    assert unexplained(found(tmp_path), {}) == ["fast"]
    assert unexplained(found(tmp_path), {"fast": "Because."}) == []


def test_every_benchmark_of_ours_is_found_and_says_what_it_is() -> None:
    ours = {one.name: one.meaning for one in benchmarks()}
    assert {"accuracy_latency", "accuracy_throughput", "footprint"} <= set(ours)
    assert "report" not in ours
    assert all(meaning.endswith(".") for meaning in ours.values()), ours
