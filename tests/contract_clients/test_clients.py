"""Clients that were generated from the documents decode messages of every kind and topic."""

from __future__ import annotations

from deploy import contract
from tests.contract_clients import clients, expected_figures

SAMPLES = [clients.sample_of(each.topic, each.payload) for each in contract.examples().values()]


def test_a_generated_python_client_decodes_the_examples() -> None:
    assert clients.by_python(SAMPLES) == expected_figures.of(SAMPLES)


def test_a_generated_typescript_client_decodes_the_examples() -> None:
    assert clients.by_typescript(SAMPLES) == expected_figures.of(SAMPLES)


def test_the_generated_types_take_the_examples_and_refuse_what_the_schema_refuses() -> None:
    (state,) = (each for each in SAMPLES if each.schema.startswith("state"))
    wrong = [
        state._replace(payload=state.payload | {"presence": "away"}),
        state._replace(payload=state.payload | {"surprise": 1}),
        state._replace(payload={}),
    ]
    assert clients.typescript_errors(SAMPLES, wrong) == ""
    assert "error TS2578" in clients.typescript_errors([], [state]), "the check itself"
