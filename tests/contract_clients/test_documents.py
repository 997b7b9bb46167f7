"""The documents load in validators that are not ours, and all of them give one verdict."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import jsonschema_rs
import msgspec
import pytest
import re2

from deploy import contract
from tests.contract_clients import clients
from tests.contract_clients.clients import Sample
from wire import commands, documents
from wire.decoding import decode_json
from wire.result import KINDS


def examples() -> dict[str, Sample]:
    return {
        name: clients.sample_of(example.topic, example.payload)
        for name, example in contract.examples().items()
    }


def changed(sample: Sample, path: list[str | int], value: Any) -> Sample:
    payload = copy.deepcopy(sample.payload)
    place = payload
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return Sample(sample.schema, payload)


RESULT: list[str | int] = ["records", 0, "result"]
# One place of each kind of rule that a schema has: (example, where, what is wrong there).
BROKEN: list[tuple[str, list[str | int], Any]] = [
    ("latency", ["probe"], "Phu-Thong"),
    ("latency", ["probe"], "phu-thong-01\n"),
    ("latency", ["probe"], ""),
    ("latency", ["probe"], "x" * 41),
    ("latency", ["schema"], "tramdo/1\n"),
    ("latency", ["schema"], "tramdo/2"),
    ("latency", ["site", "commune_code"], "01969\n"),
    ("latency", ["site", "commune_code"], 1969),
    ("latency", ["site", "commune_code"], "０１９６９"),
    ("latency", ["epoch"], "1"),
    ("latency", ["records"], []),
    ("latency", ["records", 0, "seq"], 0),
    ("latency", ["records", 0, "seq"], 2**53),
    ("latency", ["surprise"], 1),
    ("latency", [*RESULT, "kind"], "unheard-of"),
    ("latency", [*RESULT, "kind"], "throughput"),
    ("latency", [*RESULT, "line", "id"], "vnpt\n"),
    ("latency", [*RESULT, "outcome"], "perhaps"),
    ("latency", [*RESULT, "validity"], ["unheard-of"]),
    ("latency", [*RESULT, "values", "loss_ratio"], 1.5),
    ("latency", [*RESULT, "started_at"], "yesterday"),
    ("results_dropped", [*RESULT, "values", "ranges"], [[1]]),
    ("results_dropped", [*RESULT, "values", "ranges"], [[1, 2, 3]]),
    ("results_dropped", [*RESULT, "values", "ranges"], [[0, 2]]),
    ("receipt", ["missing"], [[1, 2], [3]]),
    ("measure", ["kind"], "through-put"),
    ("measure", ["kind"], "throughput\n"),
    ("measure", ["command"], "reload"),
    ("identify", ["duration_s"], 601),
    ("state", ["presence"], "away"),
    ("health", ["pending"], None),
    ("info", ["lines"], [{"id": "vnpt"}] * 65),
]


def broken() -> Iterator[Sample]:
    whole = examples()
    for name, path, value in BROKEN:
        yield changed(whole[name], path, value)


SAMPLES = [*examples().values(), *broken()]
EXPECTED = [True] * len(examples()) + [False] * len(BROKEN)
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


def type_of(sample: Sample) -> type[msgspec.Struct]:
    return next(
        row.message for row in documents.CHANNELS if documents.file_of(row) == sample.schema
    )


def test_there_is_an_example_of_every_kind_and_of_every_other_topic() -> None:
    named = set(examples())
    channels = {"state", "info", "health", "receipt", "reply"}
    assert named == {*KINDS, *channels, *(name.value for name in commands.CommandName)}
    for name, sample in examples().items():
        if name in KINDS:
            (record,) = sample.payload["records"]
            assert record["result"]["kind"] == name


@pytest.mark.parametrize("name", contract.examples())
def test_an_example_is_what_our_own_programs_would_send(name: str) -> None:
    """With every field that there is: what was added since is added to it too."""
    sample = examples()[name]
    decoded = decode_json(json.dumps(sample.payload), type_of(sample))
    assert json.loads(msgspec.json.encode(decoded)) == sample.payload


@pytest.mark.parametrize(("sample", "expected"), list(zip(SAMPLES, EXPECTED, strict=True)))
def test_our_own_types_say_the_same(sample: Sample, expected: bool) -> None:
    try:
        decode_json(json.dumps(sample.payload), type_of(sample))
    except msgspec.MsgspecError:
        assert not expected
    else:
        assert expected


def test_python_s_jsonschema() -> None:
    validators = {
        name: jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
        for name, schema in clients.schemas().items()
    }
    for schema in clients.schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)
    found = [validators[sample.schema].is_valid(sample.payload) for sample in SAMPLES]
    assert differing(found) == []


def test_rust_s_regex() -> None:
    """The crate `regex`, not fancy-regex, which would take a look-ahead too."""
    validators = {
        name: jsonschema_rs.Draft202012Validator(
            schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )
        for name, schema in clients.schemas().items()
    }
    found = [validators[sample.schema].is_valid(sample.payload) for sample in SAMPLES]
    assert differing(found) == []


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def test_re2_whose_syntax_is_go_s() -> None:
    whole = json.loads((contract.FOLDER / "asyncapi.json").read_bytes())
    found = {pattern for each in (whole, *clients.schemas().values()) for pattern in patterns(each)}
    assert len(found) > 3
    for pattern in found:
        re2.compile(pattern)
    with pytest.raises(re2.error):
        re2.compile(r"^[a-z]$(?!\n)")


def test_ajv_in_its_strict_mode_and_the_asyncapi_parser() -> None:
    answer = clients.by_node(SAMPLES)
    assert differing(answer["verdicts"]) == []
    assert answer["asyncapi"] == []
    assert sum(answer["examples"]) == len(examples())


def differing(found: list[bool]) -> list[Sample]:
    """The samples whose verdict is not what is expected."""
    assert len(found) == len(EXPECTED)
    return [
        sample
        for sample, one, other in zip(SAMPLES, found, EXPECTED, strict=True)
        if one is not other
    ]
