"""Floor 3. The command `tramdo-fleet`: what a technician, a timer and a first boot run."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.authority import certificates, folder
from deploy.authority.cli import DEFAULT_FOLDER
from deploy.authority.rules import AuthorityError, whole_days
from deploy.fleet import centre, channel, releases, seed, signature
from deploy.fleet.box import Box, Fleet, FleetError, load
from deploy.fleet.channel import Channel, ChannelError, Ring
from deploy.fleet.releases import ReleaseError
from deploy.fleet.seed import SeedSettings
from deploy.fleet.signature import SignatureError
from deploy.fleet.tokens import TokenError
from runtime import secret_file, settings
from runtime.settings import SettingsError

OK, REFUSED, BAD_INPUT = 0, 1, 2
RELEASES = Path("/srv/tramdo/releases")
FIRST_BOOT = Path(__file__).parents[1] / "image" / "first-boot"
# 5 %, 25 %, all: two days for each, so that both a working day and a night have been seen.
_RINGS = (0.05, 0.25, 1.0)
_EPILOG = """exit codes:
  0  done, or nothing to do
  1  refused or failed, with the reason on standard error; the box is as it was before
  2  the command line or a settings file is wrong
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        return int(options.act(options))
    except (
        AuthorityError, ChannelError, FleetError, ReleaseError, SignatureError, TokenError,
    ) as error:  # fmt: skip
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED
    except (SettingsError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-fleet",
        description="Seeds, enrolment and releases of boxes behind NAT: they ask, nobody calls.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, act: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=text, description=text, epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        made.set_defaults(act=act)
        return made

    def with_authority(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument(
            "-d", "--directory", type=Path, default=DEFAULT_FOLDER,
            help="the authority's folder (default: %(default)s)",
        )  # fmt: skip
        return made

    def with_box(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument(
            "-c", "--config", type=Path, default=Path("/etc/tramdo/fleet.toml"),
            help="the box's fleet settings (default: %(default)s)",
        )  # fmt: skip
        return made

    made = command("key", _key, "At the centre, once: make the key that signs releases.")
    made.add_argument(
        "--out", type=Path, default=Path("release.key"), help="(default: %(default)s)"
    )

    made = command("bundle", _bundle, "At the centre: pack a wheelhouse as a release's bundle.")
    made.add_argument("--wheels", type=Path, required=True, help="the wheelhouse")
    made.add_argument("--requirements", type=Path, default=Path("requirements/fleet.txt"))
    made.add_argument("--releases", type=Path, default=RELEASES, help="(default: %(default)s)")

    made = command("channel", _channel, "At the centre: sign which release the fleet shall run.")
    made.add_argument("release", help="its version, as `tramdo-probe --version` tells it")
    made.add_argument("bundle", help="the bundle's SHA-256, as `bundle` printed it")
    made.add_argument("--key", type=Path, required=True, help="the release key")
    made.add_argument("--releases", type=Path, default=RELEASES, help="(default: %(default)s)")
    made.add_argument(
        "--ring-days", type=float, default=2.0, metavar="D",
        help="days between rings of 5 %%, 25 %% and all (default: %(default)s; 0: all at once)",
    )  # fmt: skip
    made.add_argument(
        "--valid-days", type=float, default=90.0, metavar="D",
        help="how long boxes believe it; sign again before (default: %(default)s)",
    )  # fmt: skip

    made = with_authority(command("seed", _seed, "At the centre: the boot files of one new box."))
    made.add_argument("probe", help="its name")
    made.add_argument(
        "--settings", type=Path, required=True, help="TOML; deploy/image/example.toml"
    )
    made.add_argument("--release-key", type=Path, required=True, help="release.key.pub")
    made.add_argument(
        "--out", type=Path, required=True, help="folder, or the card's boot partition"
    )

    made = with_authority(command("serve", _serve, "At the centre: answer boxes over HTTPS."))
    made.add_argument("--passphrase-file", type=Path, help="of the authority's key")
    made.add_argument("--releases", type=Path, default=RELEASES, help="(default: %(default)s)")
    made.add_argument("--settings", type=Path, default=Path("/srv/tramdo/probes"),
                      help="holds PROBE.toml for each box (default: %(default)s)")  # fmt: skip
    made.add_argument("--host", default="0.0.0.0", help="(default: %(default)s)")
    made.add_argument("--port", type=int, default=8443, help="(default: %(default)s)")
    made.add_argument("--certificate", type=Path, required=True, help="PEM; its key is beside it")

    with_box(command("enrol", _enrol, "On the box, once: make its key, redeem the seed's token."))
    made = with_box(
        command("pull", _pull, "On the box, from a timer: certificate, settings, release.")
    )
    made.add_argument("--now", action="store_true", help="take the release before its ring's turn")
    with_box(command("recover", _recover, "On the box, at boot: return from an interrupted trial."))
    return parser


def _key(options: argparse.Namespace) -> int:
    if options.out.exists():
        raise FleetError(f"{options.out} exists: every box trusts it, so it stays")
    private, public = signature.new_key()
    folder.write(options.out, private, folder.SECRET)
    public_path = options.out.with_suffix(options.out.suffix + ".pub")
    folder.write(public_path, public, folder.PUBLIC)
    print(f"{options.out} signs releases: keep it offline; {public_path} goes into seeds")
    return OK


def _bundle(options: argparse.Namespace) -> int:
    digest, size = releases.make_bundle(
        options.wheels, options.requirements, options.releases / "bundles"
    )
    print(digest)
    print(f"{size} bytes in {options.releases / 'bundles' / digest}", file=sys.stderr)
    return OK


def _channel(options: argparse.Namespace) -> int:
    bundle = options.releases / "bundles" / options.bundle
    if not bundle.is_file() or releases.sha256_of(bundle) != options.bundle:
        raise FleetError(f"{bundle} is not there, or not what its name says")
    path = options.releases / "channel.json"
    key = folder.read_secret(options.key)
    now = datetime.now(UTC).replace(microsecond=0)
    said = Channel(
        number=_last_number(path) + 1,
        issued_at=now,
        expires_at=now + timedelta(days=options.valid_days),
        release=options.release,
        bundle_sha256=options.bundle,
        bundle_bytes=bundle.stat().st_size,
        rings=_rings(now, options.ring_days),
    )
    folder.write(path, signature.sign(channel.encode(said), key), folder.PUBLIC)
    for ring in said.rings:
        print(f"{ring.share:>6.0%} of boxes from {ring.begins_at:%Y-%m-%d %H:%M} UTC")
    print(f"channel {said.number}: {said.release}; believed until {said.expires_at:%Y-%m-%d}")
    return OK


def _rings(now: datetime, days: float) -> list[Ring]:
    if days <= 0:
        return [Ring(1.0, now)]
    return [Ring(share, now + timedelta(days=days * n)) for n, share in enumerate(_RINGS)]


def _last_number(path: Path) -> int:
    """Of the channel that stands there, whoever signed it; 0 where none does."""
    if not path.exists():
        return 0
    return channel.decode(signature.payload_of(folder.read(path))).number


def _seed(options: argparse.Namespace) -> int:
    source = settings.parse(options.settings.read_bytes(), SeedSettings, str(options.settings))
    if options.probe not in source.lines:
        raise ValueError(f"{options.settings}: lines.{options.probe} is missing")
    ca = folder.read(options.directory / "ca.pem").decode()
    public = folder.read(options.release_key).decode()
    token = centre.new_token(options.directory, options.probe, datetime.now(UTC))
    made = seed.make(
        source, options.probe, token, ca, public, FIRST_BOOT.read_text(encoding="utf-8")
    )
    options.out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("user-data", made.user_data),
        ("network-config", made.network_config),
        ("meta-data", made.meta_data),
    ):
        (options.out / name).write_text(text, encoding="utf-8")
    print(f"{options.out}: user-data, network-config, meta-data of {options.probe}")
    print("the token in it opens the door once, within 14 days; earlier unused ones are void")
    return OK


def _serve(options: argparse.Namespace) -> int:
    # Imported here: a box has this command too, and no web server.
    import uvicorn  # noqa: PLC0415

    passphrase = None
    if options.passphrase_file is not None:
        passphrase = secret_file.read_text(options.passphrase_file).encode()
    app = centre.Centre(options.directory, passphrase, options.releases, options.settings).app()
    uvicorn.run(
        app, host=options.host, port=options.port, log_level="warning", server_header=False,
        ssl_certfile=options.certificate, ssl_keyfile=options.certificate.with_suffix(".key"),
    )  # fmt: skip
    return OK


def _enrol(options: argparse.Namespace) -> int:
    print(Box(load(options.config)).enrol())
    return OK


def _recover(options: argparse.Namespace) -> int:
    print(Box(load(options.config)).recover() or "no trial was interrupted")
    return OK


def _pull(options: argparse.Namespace) -> int:
    """All three, each tried though another fails: a box must not miss a mend for a late mistake."""
    fleet = load(options.config)
    box = Box(fleet)
    failed = False
    acts: list[Callable[[], str | None]] = [
        lambda: box.renew(days_left=_days_left(fleet)),
        lambda: box.settings(lambda path: _check(fleet, path)),
        lambda: box.pull(at_once=options.now),
    ]
    for act in acts:
        try:
            if (sentence := act()) is not None:
                print(sentence)
        except FleetError as error:
            print(f"refused: {error}", file=sys.stderr)
            failed = True
    return REFUSED if failed else OK


def _days_left(fleet: Fleet) -> int:
    content = folder.read(Path(fleet.certificate_file))
    return whole_days(certificates.load_certificate(content).not_valid_after_utc, datetime.now(UTC))


def _check(fleet: Fleet, path: Path) -> str | None:
    """What `tramdo-probe check` finds wrong with the file; what the machine lacks is not that."""
    command: Sequence[str | os.PathLike[str]] = (
        Path(fleet.root) / "venv/bin/tramdo-probe", "check", "--config", path,
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.stderr.strip() if done.returncode == BAD_INPUT else None


if __name__ == "__main__":
    sys.exit(main())
