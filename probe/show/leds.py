"""Floor 2. Wraps gpiozero: drives the LEDs by a frame of patterns.

gpiozero runs the patterns in threads of its own; a frame is applied only where it changed. With
`simulated` the same code drives gpiozero's mock pins.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probe.config import LedConfig, LineConfig
from probe.show.status import Frame, Pattern
from runtime.language import Phrase

if TYPE_CHECKING:
    import gpiozero
    from gpiozero.pins.pi import PiFactory

SLOW_BLINK_S = 1.0
FAST_BLINK_S = 0.15
BREATH_S = 1.2

# The chip behind the 40-pin header of a Pi 5, a Pi 4 and all before: numbers move with the kernel.
_HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
_NOT_INSTALLED = Phrase(
    "Python không tìm thấy lgpio: cài lại bản phát hành, hoặc cài gói python3-lgpio nếu bản phát "
    "hành không kèm (Python 3.13, 32 bit)",
    "Python does not find lgpio: install the release anew, or the package python3-lgpio where the "
    "release has none (Python 3.13, 32 bits)",
)
_NO_PI = Phrase(
    "đây không phải Raspberry Pi, hoặc firmware không cho biết là loại nào",
    "this is no Raspberry Pi, or its firmware does not say which one",
)
_BUSY = Phrase(
    "chương trình khác đang giữ chân này (khi trạm đang chạy, dịch vụ đo giữ tất cả các chân)",
    "another program holds it (the daemon holds all of them while it runs)",
)


class LedsUnavailableError(Exception):
    """The pins cannot be driven here; the message has the cause and what to do."""

    def __init__(self, cause: Phrase) -> None:
        self.sentence = Phrase(
            f"không điều khiển được đèn: {cause.vi}. Nếu hộp không gắn đèn, đặt `leds.driver` là "
            '"none"',
            f"the LEDs cannot be driven: {cause.en}. Where there are none, set `leds.driver` to "
            '"none"',
        )
        super().__init__(self.sentence.en)


class _NoChipError(Exception):
    """The header's GPIO chip is missing or cannot be opened."""

    def __init__(self, cause: Phrase) -> None:
        super().__init__(cause.en)
        self.cause = cause


class Leds:
    """The probe's LEDs, one gpiozero PWMLED for each name in a frame.

    Raises:
        LedsUnavailableError: no GPIO, no permission, or a pin that another process holds.
    """

    def __init__(self, config: LedConfig, lines: Sequence[LineConfig]) -> None:
        self._shown: Frame = {}
        self._leds: dict[str, gpiozero.PWMLED] = {}
        try:
            self._factory = _factory(simulated=config.driver == "simulated")
        except Exception as error:  # every pin library raises types of its own
            raise LedsUnavailableError(_cause(error)) from error
        for name, pin in config.pins([line.id for line in lines]).items():
            try:
                self._leds[name] = _led(config, pin, self._factory)
            except Exception as error:  # as above
                # Some of the LEDs alone would mislead, so all pins are released.
                self.close()
                cause = _cause(error)
                named = Phrase(
                    f"chân {pin} ({name}): {cause.vi}", f"pin {pin} ({name}): {cause.en}"
                )
                raise LedsUnavailableError(named) from error

    def show(self, frame: Frame) -> None:
        """Apply a frame; LEDs whose pattern is unchanged are left alone."""
        for name, pattern in frame.items():
            if self._shown.get(name) is not pattern and name in self._leds:
                _apply(self._leds[name], pattern)
        self._shown = dict(frame)

    def brightness(self) -> dict[str, float]:
        """Each LED's present brightness, 0 to 1."""
        return {name: float(led.value) for name, led in self._leds.items()}

    def close(self) -> None:
        """Switch all LEDs off and release the pins."""
        for led in self._leds.values():
            led.close()
        self._factory.close()


# Imported in the functions below: a probe without GPIO must start, and lgpio acts on import.
def _factory(*, simulated: bool) -> PiFactory:
    """The pin factory, given explicitly because gpiozero would silently try several."""
    if simulated:
        from gpiozero.pins.mock import MockFactory, MockPWMPin  # noqa: PLC0415

        return MockFactory(pin_class=MockPWMPin)
    with _writable_folder():
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415
    return LGPIOFactory(chip=_header_chip())


@contextlib.contextmanager
def _writable_folder() -> Iterator[None]:
    """Change into a writable directory: lgpio creates a named pipe where it is imported."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        try:
            yield
        finally:
            try:
                os.chdir(before)
            except OSError:
                os.chdir("/")  # another account's folder, by sudo


def _header_chip() -> int:
    """The number of the header's GPIO chip, by its label.

    Raises:
        _NoChipError: no chip that can be opened is the header's; lists those that exist.
    """
    import lgpio  # noqa: PLC0415

    closed, others = [], []
    for path in sorted(Path("/dev").glob("gpiochip*")):
        number = int(path.name.removeprefix("gpiochip"))
        try:
            handle = lgpio.gpiochip_open(number)
        except lgpio.error:
            closed.append(str(path))
            continue
        _, _, _, label = lgpio.gpio_get_chip_info(handle)
        lgpio.gpiochip_close(handle)
        if label in _HEADER_CHIPS:
            return number
        others.append(f"{path}: {label}")
    if closed:
        paths = ", ".join(closed)
        cause = Phrase(
            f"tài khoản này không mở được {paths}: thêm vào nhóm gpio",
            f"this account may not open {paths}: add it to the group gpio",
        )
        raise _NoChipError(cause)
    there = ", ".join(others)
    cause = Phrase(
        f"không có chip GPIO của hàng chân Raspberry Pi ({there or 'không có /dev/gpiochip nào'})",
        f"the GPIO chip of a Raspberry Pi's header is not there "
        f"({there or 'no /dev/gpiochip at all'})",
    )
    raise _NoChipError(cause)


def _led(config: LedConfig, pin: int, factory: PiFactory) -> gpiozero.PWMLED:
    import gpiozero  # noqa: PLC0415

    class Dimmed(gpiozero.PWMLED):  # type: ignore[misc]
        """A PWMLED dimmed to `leds.brightness`, which gpiozero's blink and pulse do not support."""

        def _value_to_state(self, value: float) -> float:
            return float(super()._value_to_state(value * config.brightness))

    return Dimmed(pin, active_high=config.active_high, pin_factory=factory)


def _cause(error: Exception) -> Phrase:
    """The cause as a sentence for the technician."""
    if isinstance(error, _NoChipError):
        return error.cause
    if isinstance(error, ModuleNotFoundError) and error.name == "lgpio":
        return _NOT_INSTALLED
    if type(error).__name__ == "PinUnknownPi":
        return _NO_PI
    return _BUSY if "busy" in str(error) else Phrase(str(error), str(error))


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
