"""A JSON file: read with its types, replaced whole, and never a reason to stop measuring."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from probe.availability.tracker import PathObservation, TrackerState
from probe.commands.policy import CommandHistory
from probe.state.json_file import JsonFile, replace_file
from wire.decoding import decode_json
from wire.result import FaultLocation


def counts(path: Path) -> JsonFile[dict[str, int]]:
    return JsonFile(path / "counts.json", dict[str, int])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert counts(tmp_path).read() is None
    counts(tmp_path).write({"a": 1})
    assert counts(tmp_path).read() == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["counts.json"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "one"}', b"\xff\xfe", b"[" * 100_000])
def test_an_unreadable_file_is_started_anew(tmp_path: Path, content: bytes) -> None:
    file = counts(tmp_path)
    file.path.write_bytes(content)
    with pytest.raises(ValueError):  # noqa: PT011 - its text names the place
        file.read()
    assert file.load({"b": 2}) == {"b": 2}
    file.save({"c": 3})
    assert file.load({}) == {"c": 3}


def test_a_disk_that_takes_nothing_costs_no_exception(tmp_path: Path) -> None:
    file = counts(tmp_path / "none")
    file.save({"a": 1})
    with pytest.raises(OSError, match="No such file"):
        file.write({"a": 1})


@pytest.mark.parametrize("sync", [False, True])
def test_a_replaced_file_is_a_new_one(tmp_path: Path, sync: bool) -> None:
    """Whoever reads the old file goes on reading all of it."""
    path = tmp_path / "mark"
    replace_file(path, b"old content", sync=sync)
    with path.open("rb") as reader:
        replace_file(path, b"new", sync=sync)
        assert reader.read() == b"old content"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["mark"]


def test_files_of_the_first_version_are_read() -> None:
    """The names in the files stay when the code's names change."""
    command = (
        '{"id":"8d3c1f6e-6f0a-4c2e-9a53-0d6f2b5a7c11","name":"reload","at":"2026-11-24T05:00:00Z"}'
    )
    history = decode_json(f'{{"taken":[{command}],"owed":[{command}]}}', CommandHistory)
    assert history.accepted == history.pending_done
    assert history.accepted[0].name == "reload"
    state = decode_json(
        '{"boot_id":null,"next":5,"first":1,"counts":{"up":4},"running":null,'
        '"looks":[{"at_s":60.0,"fault":"beyond"}]}',
        TrackerState,
    )
    assert state.path_observations == [PathObservation(60.0, FaultLocation.BEYOND)]
