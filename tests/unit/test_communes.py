"""The probe's short list of communes against the registry's, and what is said of a wrong code."""

from __future__ import annotations

import pytest
from msgspec import structs

from collector.registry.communes import official
from probe.doctor import prerequisites
from runtime import communes
from tests.unit.test_plan import PARSED


def test_the_short_list_is_the_registry_s() -> None:
    assert dict(communes.names()) == {code: one.name for code, one in official().items()}
    assert len(communes.names()) == 3321


@pytest.mark.parametrize("code", ["01969", "00004"])
def test_a_commune_s_code_is_no_problem(code: str) -> None:
    assert communes.problem(code) is None


def test_a_code_with_two_digits_swapped_is_answered_by_what_was_meant() -> None:
    found = communes.problem("01996")
    assert found is not None
    assert "did you mean" in found.en
    assert "01969 (Xã Phủ Thông)" in found.en
    assert "01969 (Xã Phủ Thông)" in found.vi


def test_check_and_doctor_report_an_unknown_code() -> None:
    def about(code: str) -> list[str]:
        config = structs.replace(PARSED, site=structs.replace(PARSED.site, commune_code=code))
        return [one.en for one in prerequisites.problems(config) if "commune_code" in one.en]

    assert about("01969") == []
    assert about("99999") == [
        "site.commune_code: '99999' is not in this release's list of official communes"
    ]
