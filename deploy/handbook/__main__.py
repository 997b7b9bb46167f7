"""Floor 3. `python -m deploy.handbook`: the wiring plan (SVG) and the office's card (PDF)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy.handbook import card, wiring
from probe import config_file
from probe.config import LedConfig
from runtime.settings import SettingsError

OK, BAD_INPUT = 0, 2


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.handbook",
        description="Draw the wiring plan of the LEDs, or the card that stays in an office.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    made = command("wiring", "Draw which LED goes to which pin, as SVG.")
    made.add_argument("-c", "--config", type=Path, help="a probe.toml (default: default pins)")
    made.add_argument("-o", "--out", type=Path, default=Path("wiring.svg"))
    made = command("card", "Print the office's card: PDF, A5, Vietnamese.")
    for name, text in (
        ("probe", "the probe's name"),
        ("office", "where it stands"),
        ("technician", "who comes"),
        ("phone", "and by which number"),
    ):
        made.add_argument(f"--{name}", default="", help=f"{text} (left out: a line to write on)")
    made.add_argument("-o", "--out", type=Path, default=Path("card.pdf"))
    options = parser.parse_args(argv)
    try:
        content = _card(options) if options.command == "card" else _wiring(options)
    except (SettingsError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    options.out.write_bytes(content)
    print(options.out)
    return OK


def _card(options: argparse.Namespace) -> bytes:
    return card.pdf(card.Contact(options.probe, options.office, options.technician, options.phone))


def _wiring(options: argparse.Namespace) -> bytes:
    if options.config is None:
        return wiring.picture(LedConfig(), ["Mạng 1", "Mạng 2"]).encode()
    config, _ = config_file.load(options.config)
    return wiring.picture(config.leds, [line.isp for line in config.lines]).encode()


if __name__ == "__main__":
    sys.exit(main())
