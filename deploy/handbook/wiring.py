"""Floor 1. The wiring plan as SVG: header pins, resistors and LEDs, from the probe's LED settings.

Drawn from `LedConfig`, so that picture and daemon cannot disagree. Header positions: Raspberry Pi
documentation, "GPIO and the 40-pin header" (the same on every model with 40 pins).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from msgspec import Struct

from probe.config import LedConfig

# BCM number to the header's pin.
HEADER_PIN = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21,
    25: 22, 11: 23, 8: 24, 7: 26, 0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36,
    26: 37, 20: 38, 21: 40,
}  # fmt: skip
GROUND_PINS = (6, 9, 14, 20, 25, 30, 34, 39)
_SUPPLY = {1: "3,3 V", 2: "5 V", 4: "5 V", 17: "3,3 V"}
_COLOUR = {"green": "#12853f", "red": "#c62828", "white": "#8a6d00", "blue": "#1565c0"}

_WIDTH, _TOP, _PITCH = 980, 150, 26
_HEADER_X = 250
_LED_X = 720
_RAIL_X = 905


class Led(Struct, frozen=True):
    """One LED: what it is called, its colour, its BCM pin."""

    label: str
    colour: str
    bcm: int


def leds(config: LedConfig, lines: Sequence[str]) -> list[Led]:
    """The LEDs of a probe with these lines, in the order of the panel.

    Raises:
        ValueError: a pin that the header does not have.
    """
    found = [
        Led("Nguồn / Power", "white", config.power_pin),
        Led("Trung tâm / Centre", "blue", config.centre_pin),
    ]
    for line, (green, red) in zip(lines, config.line_pins, strict=False):
        found.append(Led(f"{line}: xanh / green", "green", green))
        found.append(Led(f"{line}: đỏ / red", "red", red))
    for led in found:
        if led.bcm not in HEADER_PIN:
            raise ValueError(f"BCM {led.bcm} is not on the 40-pin header")
    return found


def picture(config: LedConfig, lines: Sequence[str]) -> str:
    """The plan as an SVG document."""
    rows = leds(config, lines)
    height = _TOP + 20 * _PITCH + 90
    body = "\n".join([*_board(), *_wires(rows, config), *_pins(), *_notes(height)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="DejaVu Sans, Arial, sans-serif" font-size="13" role="img" '
        'aria-label="Sơ đồ đấu dây / Wiring plan">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _pin_place(pin: int) -> tuple[float, float]:
    """Where a header pin is drawn: odd ones left, even ones right."""
    return _HEADER_X + (pin + 1) % 2 * 34, _TOP + (pin - 1) // 2 * _PITCH


def _text(x: float, y: float, text: str, **attributes: str) -> str:
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{y:g}"{more}>{escape(text)}</text>'


def _board() -> Iterator[str]:
    bottom = _TOP + 19 * _PITCH
    yield _text(24, 40, "Sơ đồ đấu dây đèn của trạm đo", font_size="22", font_weight="bold")
    yield _text(24, 64, "Wiring plan of the probe's LEDs (40-pin header)", fill="#444")
    yield _text(
        24, 90, "Rút nguồn trước khi đấu. Mỗi đèn một điện trở 330 Ω. "
        "Chân ngắn của đèn nối GND.",
    )  # fmt: skip
    yield _text(
        24, 110, "Unplug first. One 330 Ω resistor for each LED. The short leg goes to GND.",
        fill="#444",
    )  # fmt: skip
    yield (
        f'<rect x="40" y="{_TOP - 24}" width="310" height="{bottom - _TOP + 62}" rx="14" '
        'fill="#e8f3ea" stroke="#2e7d32" stroke-width="2"/>'
    )
    yield _text(60, _TOP + 30, "Raspberry Pi", font_weight="bold", font_size="16")
    yield _text(60, _TOP + 52, "3B+ · 4 · 5 · Zero 2 W", fill="#444")
    yield _text(60, _TOP + 82, "chân 1 ở phía thẻ nhớ", fill="#444", font_size="12")
    yield _text(60, _TOP + 98, "pin 1 is at the card's end", fill="#444", font_size="12")


def _pins() -> Iterator[str]:
    for pin in range(1, 41):
        x, y = _pin_place(pin)
        fill = "#333" if pin in GROUND_PINS else "#d9a400" if pin not in _SUPPLY else "#b00020"
        shape = "rect" if pin == 1 else "circle"
        if shape == "rect":
            yield f'<rect x="{x - 8}" y="{y - 8}" width="16" height="16" fill="{fill}"/>'
        else:
            yield f'<circle cx="{x}" cy="{y}" r="8" fill="{fill}"/>'
        side = -14 if pin % 2 else 14
        anchor = "end" if pin % 2 else "start"
        yield _text(
            x + side, y + 4, str(pin), text_anchor=anchor, font_size="11", fill="#222",
            paint_order="stroke", stroke="#e8f3ea", stroke_width="5",
        )  # fmt: skip


def _wires(rows: Sequence[Led], config: LedConfig) -> Iterator[str]:
    gap = 20 * _PITCH / max(len(rows), 6)
    rail_bottom = _TOP - 4 + gap * (len(rows) - 1)
    ground_x, ground_y = _pin_place(39)
    for place, led in enumerate(rows):
        # Never at a pin's height, and each lane free of the others' way: who goes up turns in the
        # order of the rows, who goes down in the reverse order and behind them.
        y = _TOP - 4 + gap * place
        goes_up = y < _pin_place(HEADER_PIN[led.bcm])[1]
        lane = place if goes_up else 2 * len(rows) - place
        yield from _wire(led, y, 372 + lane * 10)
    low = max(rail_bottom, ground_y)
    yield (
        f'<path d="M {_RAIL_X} {_TOP - 4} V {low + 34} H {ground_x} V {ground_y}" '
        'fill="none" stroke="#333" stroke-width="3"/>'
    )
    yield _text(_RAIL_X + 12, _TOP, "GND", font_weight="bold")
    yield _text(420, low + 28, "GND: chân 39 / pin 39", font_size="12")
    if not config.active_high:
        yield _text(420, low + 56, "active_high = false: GND → 3,3 V", fill="#b00020")


def _wire(led: Led, y: float, lane_x: float) -> Iterator[str]:
    colour = _COLOUR[led.colour]
    pin = HEADER_PIN[led.bcm]
    x, pin_y = _pin_place(pin)
    # Wires of the left row leave between two pins, so that none seems to touch the right row.
    start = f"M {x} {pin_y}" + (f" V {pin_y + 13} H {lane_x}" if pin % 2 else f" H {lane_x}")
    way = f"{start} V {y} H {_LED_X - 90}"
    yield f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
    yield (
        f'<rect x="{_LED_X - 90}" y="{y - 7}" width="46" height="14" rx="4" fill="#e7d3b1" '
        'stroke="#7a5c2e"/>'
    )
    yield _text(_LED_X - 67, y + 4, "330 Ω", text_anchor="middle", font_size="10")
    yield (
        f'<path d="M {_LED_X - 44} {y} H {_LED_X - 12} M {_LED_X + 12} {y} H {_RAIL_X}" '
        f'stroke="{colour}" stroke-width="2.5"/>'
    )
    yield f'<circle cx="{_LED_X}" cy="{y}" r="12" fill="{colour}" stroke="#222"/>'
    yield f'<circle cx="{_RAIL_X}" cy="{y}" r="4" fill="#333"/>'
    yield _text(_LED_X + 20, y - 9, led.label, font_size="12")
    yield _text(
        _LED_X - 100, y - 9, f"GPIO {led.bcm} · chân {pin}", text_anchor="end", font_size="11",
        fill="#444",
    )  # fmt: skip


def _notes(height: float) -> Iterator[str]:
    yield _text(
        24, height - 22, "Vẽ từ cài đặt [leds] của trạm: python -m deploy.handbook wiring",
        fill="#666", font_size="11",
    )  # fmt: skip
