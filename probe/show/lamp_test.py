"""Floor 3. Lamp test, `tramdo-probe leds`: shows every pattern in turn, with its meaning.

On the real pins where `leds.driver` is gpio; else on mock pins, whose brightness is drawn in the
terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import structs

from probe.config import Config
from probe.measure.measurement import Stop
from probe.show.leds import Leds
from probe.show.status import Frame, Pattern, initial, lit_names

_REFRESH_S = 0.1
_BAR = 10


class Scene(NamedTuple):
    """A frame of all LEDs and its meaning in both languages."""

    frame: Frame
    vietnamese: str
    english: str


def scenes(config: Config) -> Iterator[Scene]:
    """Each LED alone, to check the wiring; then each pattern with its meaning."""
    names = lit_names(initial(config))
    dark = dict.fromkeys(names, Pattern.OFF)
    for name, pin in config.leds.pins(list(initial(config).lines)).items():
        alone = {**dark, name: Pattern.STEADY}
        yield Scene(alone, f"chỉ đèn {name}, chân GPIO {pin}", f"{name} alone, GPIO {pin}")
    for part, pattern, vietnamese, english in _MEANINGS:
        of_part = [name for name in names if name == part or name.endswith(f".{part}")]
        yield Scene({**dark, **dict.fromkeys(of_part, pattern)}, vietnamese, english)
    degraded = {name: Pattern.SLOW_BLINK for name in names if "." in name}
    yield Scene({**dark, **degraded}, "đường truyền chập chờn", "a line is degraded")
    everything = dict.fromkeys(names, Pattern.FAST_BLINK)
    yield Scene(everything, "đang tìm trạm đo này", "identify: this is the box")


_MEANINGS = [
    ("power", Pattern.STEADY, "trạm đo hoạt động", "the probe is running"),
    ("power", Pattern.SLOW_BLINK, "trạm đo có lỗi", "a fault: see `tramdo-probe doctor`"),
    ("green", Pattern.STEADY, "đường truyền tốt", "a line is good"),
    ("green", Pattern.BREATHING, "đang đo", "measuring"),
    ("red", Pattern.FAST_BLINK, "đường truyền mất kết nối", "a line is down"),
    ("centre", Pattern.STEADY, "trung tâm đã nhận đủ kết quả", "the centre has every result"),
    ("centre", Pattern.SLOW_BLINK, "kết quả đang chờ gửi", "results wait"),
]


def run(
    config: Config,
    each_s: float,
    stop: Stop,
    say: Callable[[str], None],
    draw: Callable[[str], None] | None,
) -> None:
    """Show every scene in turn.

    Args:
        config: the probe's configuration.
        each_s: the time for each scene in seconds.
        stop: ends it early.
        say: called with each scene's sentence.
        draw: called with the LEDs' brightness as it changes; None where there are real LEDs.

    Raises:
        LedsUnavailableError: the pins cannot be driven: no GPIO, or the daemon holds them.
    """
    leds = Leds(config.leds, config.lines)
    try:
        for scene in scenes(config):
            leds.show(scene.frame)
            say(f"{scene.vietnamese} / {scene.english}")
            left_s, before = each_s, ""
            while left_s > 0 and not stop.wait(min(_REFRESH_S, left_s)):
                left_s -= _REFRESH_S
                now = drawn(leds.brightness())
                if draw is not None and now != before:
                    draw(now)
                    before = now
            if stop.is_set():
                return
    finally:
        leds.close()


def drawn(brightness: dict[str, float]) -> str:
    """The LEDs' brightness as one line for a terminal."""
    return "   ".join(
        f"{name} [{'#' * round(value * _BAR):<{_BAR}}]" for name, value in brightness.items()
    )


def simulated(config: Config) -> Config:
    """The configuration with mock pins in place of real ones."""
    return structs.replace(config, leds=structs.replace(config.leds, driver="simulated"))
