"""Floor 2. LEDs by gpiozero: makes pins do what a frame says. The only file that imports gpiozero.

gpiozero runs the patterns in threads of its own; a frame is applied only where it changed. With
`simulated` the very same code drives gpiozero's mock pins.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from probe.config import LedConfig, LineConfig
from probe.show.status import Frame, Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    import gpiozero

SLOW_BLINK_S = 1.0
FAST_BLINK_S = 0.15
BREATH_S = 1.2


class LedsUnavailableError(Exception):
    """The pins cannot be driven here; the message says why and what to do."""


class Leds:
    """The probe's LEDs, one gpiozero PWMLED for each name in a frame.

    Raises:
        LedsUnavailableError: no GPIO, no permission, or a pin that another process holds.
    """

    def __init__(self, config: LedConfig, lines: Sequence[LineConfig]) -> None:
        # gpiozero would fall back from one library to the next in silence (TRAPS): name ours.
        os.environ["GPIOZERO_PIN_FACTORY"] = "mock" if config.driver == "simulated" else "lgpio"
        try:
            self._leds = _open(config, lines)
        except Exception as error:  # every pin library raises types of its own
            raise LedsUnavailableError(
                f"the LEDs cannot be driven: {error}; set `leds.driver` to "
                '"none" where there are none, or see `leds` in the handbook'
            ) from error
        self._shown: Frame = {}

    def show(self, frame: Frame) -> None:
        """Make every LED do what the frame says; LEDs that already do are left alone."""
        for name, pattern in frame.items():
            if self._shown.get(name) is not pattern and name in self._leds:
                _apply(self._leds[name], pattern)
        self._shown = dict(frame)

    def brightness(self) -> dict[str, float]:
        """How bright each LED is just now, 0 to 1."""
        return {name: float(led.value) for name, led in self._leds.items()}

    def close(self) -> None:
        """Switch all off and let go of the pins."""
        for led in self._leds.values():
            led.close()


def _open(config: LedConfig, lines: Sequence[LineConfig]) -> dict[str, gpiozero.PWMLED]:
    # Imported here: a probe without GPIO must start, and lgpio acts on import.
    import gpiozero  # noqa: PLC0415

    factory = None
    if config.driver == "simulated":
        from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: PLC0415

        factory = MockFactory(pin_class=MockPWMPin)
    pins = {"power": config.power_pin, "centre": config.centre_pin}
    for line, (green, red) in zip(lines, config.line_pins, strict=False):
        pins[f"{line.id}.green"], pins[f"{line.id}.red"] = green, red

    class Dimmed(gpiozero.PWMLED):  # type: ignore[misc]
        """A PWMLED whose full is `leds.brightness`: blinks and pulses of gpiozero know no other."""

        def _value_to_state(self, value: float) -> float:
            return float(super()._value_to_state(value * config.brightness))

    return {
        name: Dimmed(pin, active_high=config.active_high, pin_factory=factory)
        for name, pin in pins.items()
    }


def _apply(led: gpiozero.PWMLED, pattern: Pattern) -> None:
    match pattern:
        case Pattern.OFF:
            led.off()
        case Pattern.STEADY:
            led.on()
        case Pattern.BREATHING:
            led.pulse(fade_in_time=BREATH_S, fade_out_time=BREATH_S)
        case Pattern.SLOW_BLINK:
            led.blink(on_time=SLOW_BLINK_S, off_time=SLOW_BLINK_S)
        case Pattern.FAST_BLINK:
            led.blink(on_time=FAST_BLINK_S, off_time=FAST_BLINK_S)
