"""Floor 3. What is tried on the board, in order; each is seen from outside, at the pins.

What an LED should show is computed here from the same configuration that the guest is given. The
pins' numbers are those of the wiring plan, written out: a mistake in our own mapping must show.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import tomli_w

from probe import config as probe_config
from probe.config import Config
from probe.show.lamp_test import scenes
from probe.show.status import Frame, Pattern
from tests.pi import levels
from tests.pi.board import Board, DiedError
from tests.pi.image import MODEL, REVISION

# docs/images/wiring.svg, for the two lines below.
PINS = {
    "power": 17, "centre": 27,
    "vnpt.green": 22, "vnpt.red": 23, "viettel.green": 24, "viettel.red": 25,
}  # fmt: skip
DARK: Frame = dict.fromkeys(PINS, Pattern.OFF)
# Long enough for two rises of a pulse.
_EACH_S = 9.0
# A change needs a line through the serial port and a thread that emulation slows down.
_AFTER_CHANGE_S, _BEFORE_CHANGE_S = 0.5, 1.0
_LOOK_S = 5.0
_SETTLE_S = 120.0
PYTHON = "/opt/tramdo/venv/bin/python"
_SETTINGS = "/etc/tramdo/probe.toml"


class Check(NamedTuple):
    """One thing that was asserted, and what was seen."""

    part: str
    what: str
    ok: bool
    seen: str


class Trial:
    """A board, and a book of what was asserted on it."""

    def __init__(self, board: Board, say: Callable[[str], None]) -> None:
        self.board = board
        self.checks: list[Check] = []
        self._say = say
        self._part = ""

    def part(self, name: str) -> None:
        """What follows belongs to this part."""
        self._part = name
        self._say(name)

    def check(self, what: str, ok: bool, seen: str) -> None:
        """Note one assertion."""
        self.checks.append(Check(self._part, what, ok, seen))
        self._say(f"  {'ok  ' if ok else 'FAIL'} {what}: {seen}")

    def released(self, when: str) -> None:
        """No pin of ours is an output: the LEDs are dark, and another program may have them."""
        driven = levels.driven(self.board.pins(), list(PINS.values()))
        self.check(f"{when}: pins released", not driven, f"outputs: {driven or 'none'}")

    def frame(self, what: str, frame: Frame, *, within_s: float = _SETTLE_S) -> None:
        """The LEDs come to show a frame, and then show it for a while."""
        until_s = time.monotonic() + within_s
        while True:
            with self.board.watched() as samples:
                time.sleep(_LOOK_S)
            ok, seen = _frame_seen(frame, samples)
            if ok or time.monotonic() > until_s:
                self.check(what, ok, seen)
                return

    def refused(
        self, what: str, words: Sequence[str], user: str = "root", cwd: str = "/run"
    ) -> None:
        """`leds` ends with a sentence that has these words, and without a trace of Python."""
        ended = self.board.run("tramdo-probe", "leds", "--each", "1", user=user, cwd=cwd)
        text = " ".join(ended.text("err").split())
        good = ended.code == 1 and "Traceback" not in text and all(word in text for word in words)
        self.check(what, good, f"exit code {ended.code}: {text}")


def all_of_them(board: Board, say: Callable[[str], None]) -> list[Check]:
    """Every trial; a part that cannot be finished is a check that failed."""
    trial = Trial(board, say)
    for one in (
        _identity, _daemon, _refusals, _held_by_another, _killed, _dimmed_and_ended, _patterns,
        _active_low,
    ):  # fmt: skip
        try:
            one(trial)
        except DiedError as error:
            trial.check("goes through to its end", False, str(error))
            with suppress(DiedError):
                board.end_all()
    return trial.checks


def settings(**leds: Any) -> bytes:
    """The guest's configuration: nothing on the timetable, latency every few seconds."""
    tables = {
        "tenant": "bach-thong",
        "probe": "phu-thong-01",
        "site": {"commune_code": "01969", "office": "Trụ sở UBND xã Phủ Thông"},
        "lines": [
            {"id": "vnpt", "isp": "VNPT", "interface": "lo", "source_address": "127.0.0.1"},
            {"id": "viettel", "isp": "Viettel", "interface": "lo", "source_address": "127.0.0.2"},
        ],
        "servers": [{"name": "here", "host": "127.0.0.1"}],
        "broker": {"host": "127.0.0.1", "port": 1883, "tls": False, "reconnect_max_s": 2.0},
        "plan": {"throughput_share": 0.0, "http_share": 0.0},
        # Emulated, an answer takes a while; a look at the path of a bad minute is not wanted here.
        "latency": {"mean_gap_s": 0.5, "timeout_s": 3.0, "window_s": 6.0},
        "path": {"bad_loss_ratio": 1.0, "bad_rtt_ms": 60_000.0},
        "dns": {"names": []},
        "web": {"pages": []},
        "leds": leds,
    }
    return tomli_w.dumps(tables).encode()


def _give(trial: Trial, **leds: Any) -> Config:
    """Write the guest's configuration; returns it."""
    content = settings(**leds)
    trial.board.run("tee", _SETTINGS, stdin=content.decode())
    return probe_config.parse(content, _SETTINGS)


def _identity(trial: Trial) -> None:
    trial.part("The board")
    ended = trial.board.run(
        PYTHON, "-c",
        "import json, lgpio\n"
        "from gpiozero.pins.lgpio import LGPIOFactory\n"
        "factory = LGPIOFactory()\n"
        "info = factory.board_info\n"
        "chip = lgpio.gpio_get_chip_info(factory._handle)\n"
        "print(json.dumps([open('/proc/device-tree/model').read().strip(chr(0)), info.model,\n"
        "  info.revision, chip[3], chip[1]]))",
        cwd="/run",
    )  # fmt: skip
    try:
        model, short, revision, label, lines = json.loads(ended.text("out"))
    except ValueError:
        trial.check("gpiozero knows the board", False, ended.text()[-400:])
        return
    trial.check("the kernel names the board", model.startswith(MODEL), model)
    known = short == "3B" and revision == f"{REVISION:x}"
    trial.check("gpiozero knows the board", known, f"{short}, revision {revision}")
    trial.check(
        "lgpio has the kernel's own driver", label == "pinctrl-bcm2835", f"{label}, {lines} lines"
    )
    trial.released("before anything")


def _patterns(trial: Trial) -> None:
    trial.part("`tramdo-probe leds`, default pins")
    _rehearse(trial, _give(trial))


def _active_low(trial: Trial) -> None:
    trial.part("`tramdo-probe leds`, active_high = false")
    _rehearse(trial, _give(trial, active_high=False))


def _rehearse(trial: Trial, config: Config) -> None:
    """Every scene, from one sentence of the command to the next."""
    shown = list(scenes(config))
    begun_s: list[float] = []
    with trial.board.watched() as samples:
        command = trial.board.start("tramdo-probe", "leds", "--each", f"{_EACH_S:g}", cwd="/run")
        for scene in shown:
            sentence = f"{scene.vietnamese} / {scene.english}"
            line = command.wait_for(lambda one, text=sentence: one.text == text, 180)  # type: ignore[misc]
            if line is None:
                trial.check(scene.english, False, f"was not shown: {command.text()[-400:]}")
                return
            begun_s.append(line.at_s)
        code = command.wait(30)
    for number, (scene, at_s) in enumerate(zip(shown, begun_s, strict=True)):
        ends_s = begun_s[number + 1] if number + 1 < len(begun_s) else at_s + _EACH_S
        window = [
            one for one in samples if at_s + _AFTER_CHANGE_S < one.at_s < ends_s - _BEFORE_CHANGE_S
        ]
        ok, seen = _frame_seen(scene.frame, window, active_high=config.leds.active_high)
        trial.check(scene.english, ok, seen)
    trial.check("ends by itself", code == 0, f"exit code {code}")
    trial.released("after its end")


def _dimmed_and_ended(trial: Trial) -> None:
    trial.part("brightness = 0.3, ended by SIGTERM")
    _give(trial, brightness=0.3)
    with trial.board.watched() as samples:
        command = trial.board.start("tramdo-probe", "leds", "--each", "30", cwd="/run")
        line = command.wait_for(lambda one: one.stream == "out", 60)
        time.sleep(4)
    begun_s = line.at_s if line is not None else 0.0
    window = [one for one in samples if one.at_s > begun_s + _AFTER_CHANGE_S]
    ok, seen = _frame_seen({**DARK, "power": Pattern.STEADY}, window, brightness=0.3)
    trial.check("power alone, at three tenths", ok, seen)
    command.signal(signal.SIGTERM)
    code = command.wait(30)
    trial.check("ends when told", code == 0, f"exit code {code}")
    trial.released("after SIGTERM")


def _killed(trial: Trial) -> None:
    trial.part("killed")
    _give(trial)
    command = trial.board.start("tramdo-probe", "leds", "--each", "30", cwd="/run")
    command.wait_for(lambda one: one.stream == "out", 60)
    trial.frame("power alone", {**DARK, "power": Pattern.STEADY})
    command.signal(signal.SIGKILL)
    command.wait(30)
    trial.released("after SIGKILL")


def _held_by_another(trial: Trial) -> None:
    trial.part("Another program holds a pin")
    _give(trial)
    holder = trial.board.start(
        PYTHON, "-c",
        "import lgpio, time\n"
        "chip = lgpio.gpiochip_open(0)\n"
        "lgpio.gpio_claim_output(chip, 24)\n"
        "print('held', flush=True)\n"
        "time.sleep(600)",
        cwd="/run",
    )  # fmt: skip
    holder.wait_for(lambda one: one.text == "held", 60)
    debug = trial.board.run("cat", "/sys/kernel/debug/gpio").text("out").splitlines()
    held = [" ".join(line.split()) for line in debug if "|lg" in line]
    trial.check(
        "the kernel's own list has it (debugfs)",
        len(held) == 1 and "(GPIO24 " in held[0],
        "; ".join(held) or "nothing of lgpio",
    )
    trial.refused("`leds` names it", ["24"])
    driven = levels.driven(trial.board.pins(), list(PINS.values()))
    trial.check("no other pin stays driven", driven == [24], f"outputs: {driven}")
    trial.board.run("systemctl", "start", "tramdo-probe")
    status = _status(trial)
    fault = status.get("faults", {}).get("leds", "")
    trial.check("the daemon measures on and names the fault", "24" in fault, fault or str(status))
    doctor = trial.board.run("tramdo-probe", "doctor", cwd="/run").text("out")
    said = [line.strip() for line in doctor.splitlines() if "leds" in line]
    trial.check("`doctor` says so", any("BAD" in line for line in said), " | ".join(said))
    driven = levels.driven(trial.board.pins(), list(PINS.values()))
    trial.check("the daemon drives no pin", driven == [24], f"outputs: {driven}")
    trial.board.run("systemctl", "stop", "tramdo-probe")
    holder.signal(signal.SIGKILL)
    holder.wait(30)
    trial.released("after all")


def _refusals(trial: Trial) -> None:
    trial.part("Where there is nothing to drive")
    run = trial.board.run
    trial.refused("an account without the group gpio", ["group gpio"], user="guest")
    lgpio = run(PYTHON, "-c", "import lgpio; print(lgpio.__file__)", cwd="/run").text("out")
    run("mv", lgpio, "/root/")
    trial.refused("without lgpio", ["python3-lgpio"])
    run("mv", "/root/lgpio.py", lgpio)
    run("mv", "/dev/gpiochip0", "/root/")
    trial.refused("without the header's GPIO chip", ["header"])
    run("mv", "/root/gpiochip0", "/dev/")
    run("mkdir", "-p", "/run/empty")
    board = "/sys/firmware/devicetree/base/system"
    run("mount", "--bind", "/run/empty", board)
    trial.refused("on what is no Raspberry Pi", ["Raspberry Pi"])
    run("umount", board)
    # As by sudo from somebody's home.
    ended = run("tramdo-probe", "leds", "--each", "0.2", user="technician", cwd="/root")
    trial.check(
        "but with the group, even from a folder that is closed to it",
        ended.code == 0,
        f"exit code {ended.code} {ended.text('err')}",
    )
    trial.released("after all")


def _daemon(trial: Trial) -> None:
    trial.part("systemd/tramdo-probe.service in its sandbox")
    _give(trial)
    run = trial.board.run
    trial.board.run("systemctl", "start", "tramdo-probe")
    down = {"vnpt.red": Pattern.FAST_BLINK, "viettel.red": Pattern.FAST_BLINK}
    on: Frame = {**DARK, "power": Pattern.STEADY}
    trial.frame("neither STAMP nor ICMP: both lines down, no broker", {**on, **down})
    run("tee", "/proc/sys/net/ipv4/ping_group_range", stdin="0 2147483647")
    run("systemd-run", "--unit=reflector", "/opt/tramdo/venv/bin/tramdo-reflector",
        "--listen", "127.0.0.1", "--port", "862")  # fmt: skip
    good = {"vnpt.green": Pattern.STEADY, "viettel.green": Pattern.STEADY}
    trial.frame("both answer: both lines good", {**on, **good})
    run("tee", "/run/mosquitto.conf", stdin="listener 1883 127.0.0.1\nallow_anonymous true\n")
    run("systemd-run", "--unit=broker", "/usr/sbin/mosquitto", "-c", "/run/mosquitto.conf")
    waiting: Frame = {**on, **good, "centre": Pattern.SLOW_BLINK}
    trial.frame("a broker without a centre: results wait", waiting)
    everything = dict.fromkeys(PINS, Pattern.FAST_BLINK)
    ended = run("tramdo-probe", "identify", cwd="/run")
    said = f"exit code {ended.code}: {ended.text()}"
    trial.check("`identify` reaches the daemon", ended.code == 0, said)
    trial.frame("`identify`: all flash", everything, within_s=30)
    trial.refused("`leds` meanwhile", ["daemon"])
    trial.frame("after a minute: as before", waiting, within_s=90)
    run("systemctl", "stop", "reflector")
    degraded = dict.fromkeys([name for name in PINS if "." in name], Pattern.SLOW_BLINK)
    trial.frame("the reflector is gone: both lines degraded", {**waiting, **degraded})
    shown = run("systemctl", "show", "-p", "DevicePolicy", "-p", "NRestarts", "tramdo-probe")
    values = sorted(shown.text("out").split())
    sound = values == ["DevicePolicy=closed", "NRestarts=0"]
    trial.check("sandboxed, never restarted", sound, ", ".join(values))
    run("systemctl", "stop", "tramdo-probe")
    trial.released("after `systemctl stop`")
    journal = run("journalctl", "-u", "tramdo-probe", "-o", "cat", "--no-pager").text("out")
    traces = journal.count("Traceback")
    trial.check("nothing went wrong in its log", traces == 0, f"{traces} traces")


def _status(trial: Trial) -> dict[str, Any]:
    """The daemon's status, once it has one."""
    until_s = time.monotonic() + _SETTLE_S
    while True:
        ended = trial.board.run("tramdo-probe", "status", "--json", cwd="/run")
        if ended.code == 0:
            status: dict[str, Any] = json.loads(ended.text("out"))["status"]
            return status
        if time.monotonic() > until_s:
            return {"faults": {"status": ended.text()}}
        time.sleep(1)


def _frame_seen(
    frame: Frame,
    samples: Sequence[levels.Sample],
    *,
    active_high: bool = True,
    brightness: float = 1.0,
) -> tuple[bool, str]:
    """Whether every LED did what the frame says, and what was seen of those that are not dark."""
    told, ok = [], True
    for name, pattern in frame.items():
        seen = levels.judged(
            pattern, levels.points(samples, PINS[name], active_high=active_high), brightness
        )
        ok = ok and seen.ok
        if pattern is not Pattern.OFF or not seen.ok:
            told.append(f"{name} {seen.text}{'' if seen.ok else f' (wanted: {pattern})'}")
    return ok, "; ".join(told) or "all dark"
