"""Floor 2. Wraps WeasyPrint: the office's card, one A5 page in Vietnamese, as a PDF.

What the lights mean is drawn from the same patterns that the daemon shows (`probe/show/status.py`)
with the times that the pins keep (`probe/show/leds.py`). What the box does with the office's line
is what `probe/config.py` has as its defaults.
"""

from __future__ import annotations

from pathlib import Path

import jinja2
from msgspec import Struct

from probe.config import PlanConfig
from probe.show.leds import BREATH_S, FAST_BLINK_S, SLOW_BLINK_S
from probe.show.status import Pattern

_TEMPLATE = Path(__file__).with_name("card.html.j2")
# Within four seconds every pattern differs from the others.
_SHOWN_S = 4.0


class Contact(Struct, frozen=True):
    """The technician's contact details; blank lines to write on where nothing is given."""

    probe: str = ""
    office: str = ""
    technician: str = ""
    phone: str = ""


def html(contact: Contact, plan: PlanConfig | None = None) -> str:
    """The card as an HTML page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE.name).render(
        contact=contact,
        plan=plan or PlanConfig(),
        strip={pattern.value: strip(pattern) for pattern in Pattern},
        shown_s=_SHOWN_S,
    )


def pdf(contact: Contact) -> bytes:
    """The card as a PDF of one A5 page."""
    import weasyprint  # noqa: PLC0415 (slow to import; the page alone does not need it)

    return bytes(weasyprint.HTML(string=html(contact)).write_pdf())


def strip(pattern: Pattern) -> list[tuple[float, float, float]]:
    """How bright an LED is over four seconds: (from, until, brightness 0 to 1) in seconds."""
    match pattern:
        case Pattern.OFF:
            return []
        case Pattern.STEADY:
            return [(0.0, _SHOWN_S, 1.0)]
        case Pattern.SLOW_BLINK:
            return _blinks(SLOW_BLINK_S)
        case Pattern.FAST_BLINK:
            return _blinks(FAST_BLINK_S)
        case Pattern.BREATHING:
            step_s = BREATH_S / 6
            levels = [0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.0, 0.9, 0.7, 0.5, 0.3, 0.1]
            count = round(_SHOWN_S / step_s)
            return [(n * step_s, (n + 1) * step_s, levels[n % 12]) for n in range(count)]


def _blinks(half_s: float) -> list[tuple[float, float, float]]:
    count = int(_SHOWN_S / (2 * half_s)) + 1
    return [
        (2 * n * half_s, min(_SHOWN_S, (2 * n + 1) * half_s), 1.0)
        for n in range(count)
        if 2 * n * half_s < _SHOWN_S
    ]
