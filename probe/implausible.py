"""Floor 1. Settings of the right type that cannot be meant, found in the table of a file.

They are looked for in plain values, before anything else is known to be right, so that a person
sees all mistakes of a file at once. ansible/filter_plugins/tramdo.py refuses the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runtime.language import Phrase
from runtime.problem import Problem

# No plan on sale is slower than a modem of 1998 (ours); a plan in Mbit/s or kbit/s is below it.
LEAST_PLAN_BPS = 56_000
_DIRECTORIES = ("state_dir", "runtime_dir")


def problems(table: Mapping[str, Any]) -> Iterator[Problem]:
    """What cannot be meant in a probe's configuration."""
    given = table.get("lines")
    lines = [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    for number, line in enumerate(lines, 1):
        for key in ("plan_download_bps", "plan_upload_bps"):
            yield from _slow_plan(line.get(key), f"lines[{number}].{key}")
    yield from _shared_interfaces(lines)
    for name in _DIRECTORIES:
        value = table.get(name)
        if isinstance(value, str) and value and not value.startswith("/"):
            yield Problem(name, _relative(value))


def _slow_plan(value: object, place: str) -> Iterator[Problem]:
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value < LEAST_PLAN_BPS
    ):
        yield Problem(
            place,
            Phrase(
                f"{value:g} bit/s không phải gói cước nào: ý là {value:g}e6 ({value:g} Mbit/s)?",
                f"{value:g} bit/s is no plan: did you mean {value:g}e6 ({value:g} Mbit/s)?",
            ),
        )


def _shared_interfaces(lines: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Lines of one interface, unless each is bound to a source address of its own."""
    for number, line in enumerate(lines, 1):
        interface, address = line.get("interface"), line.get("source_address")
        for earlier, other in enumerate(lines[: number - 1], 1):
            addresses = {address, other.get("source_address")}
            if (
                interface
                and other.get("interface") == interface
                and (None in addresses or len(addresses) < 2)
            ):
                yield Problem(
                    f"lines[{number}].interface",
                    Phrase(
                        f"{interface} đã là cổng của lines[{earlier}]: mỗi đường truyền một cổng "
                        "mạng, hoặc mỗi đường một `source_address`",
                        f"{interface} is the interface of lines[{earlier}] too: give each line an "
                        "interface, or each a `source_address`, of its own",
                    ),
                )


def _relative(value: str) -> Phrase:
    return Phrase(
        f"cần đường dẫn đầy đủ; ý là `/{value}`? (đang là {value!r})",
        f"expected a full path; did you mean `/{value}`? (it is {value!r})",
    )
