"""Floor 3. The command line of `tramdo-fleet`, for technicians, timers and the first boot."""

from __future__ import annotations

import argparse
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.authority import folder
from deploy.authority.cli import DEFAULT_FOLDER
from deploy.authority.rules import AuthorityError
from deploy.fleet import channel, fetcher, inventory, registry, releases, signature
from deploy.fleet.box import Box, load
from deploy.fleet.channel import Channel, ChannelError, Ring
from deploy.fleet.client import FleetError
from deploy.fleet.releases import ReleaseError
from deploy.fleet.signature import SignatureError
from deploy.fleet.tokens import TokenError
from runtime import secret_file, settings
from runtime.settings import SettingsError

OK, REFUSED, BAD_INPUT = 0, 1, 2
ROOT = Path(__file__).parents[2]
RELEASES = Path("/srv/tramdo/releases")
VARIABLES = Path("/srv/tramdo/boxes")
EXAMPLE = Path(__file__).parents[1] / "image" / "example.toml"
FIRST_BOOT = Path(__file__).parents[1] / "image" / "first-boot"
# 5 %, 25 %, all: two days for each, so that both a working day and a night have been seen.
_RINGS = (0.05, 0.25, 1.0)
_RING_DAYS = 2.0
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

    made = command(
        "publish", _publish, "At the centre, in a checkout: pack a release, sign that it shall run."
    )
    made.add_argument(
        "--wheelhouse", type=Path, default=ROOT / "out/wheelhouse",
        help="`make wheelhouse` made it; each cp3N-MACHINE/probe.tar in it (default: %(default)s)",
    )  # fmt: skip
    made.add_argument("--key", type=Path, required=True, help="the release key")
    made.add_argument("--releases", type=Path, default=RELEASES, help="(default: %(default)s)")
    made.add_argument(
        "--ring-days", type=float, metavar="D",
        help="days between rings of 5 %%, 25 %% and all (default: 2; 0: all at once). Of a release "
        "that is under way the rings go on, unless this is given",
    )  # fmt: skip
    made.add_argument(
        "--valid-days", type=float, default=90.0, metavar="D",
        help="how long it is valid for boxes; publish again before (default: %(default)s)",
    )  # fmt: skip

    made = command(
        "variables", _variables, "At the centre: what each box of an inventory shall be, as files."
    )
    made.add_argument("--inventory", type=Path, required=True)
    made.add_argument("--group", default="probes", help="whose hosts (default: %(default)s)")
    made.add_argument("--out", type=Path, default=VARIABLES, help="(default: %(default)s)")

    made = command(
        "registry", _registry, "At the centre: an inventory's probes as a registry for its reports."
    )
    made.add_argument("--inventory", type=Path, required=True)
    made.add_argument("--group", default="probes", help="whose hosts (default: %(default)s)")
    made.add_argument(
        "--out", type=Path, default=Path("registry.toml"),
        help="for `tramdo-collector registry apply`; a file that is there stays "
        "(default: %(default)s)",
    )  # fmt: skip

    made = with_authority(command("seed", _seed, "At the centre: the boot files of one new box."))
    made.add_argument("probe", help="its name")
    made.add_argument(
        "--settings", type=Path, required=True, help="TOML; see `tramdo-fleet example`"
    )
    made.add_argument("--release-key", type=Path, required=True, help="release.key.pub")
    made.add_argument(
        "--out", type=Path, required=True, help="folder, or the card's boot partition"
    )

    command("example", _example, "Print seed settings with every key (for `seed --settings`).")
    made = with_authority(command("serve", _serve, "At the centre: answer boxes over HTTPS."))
    made.add_argument("--passphrase-file", type=Path, help="of the authority's key")
    made.add_argument("--releases", type=Path, default=RELEASES, help="(default: %(default)s)")
    made.add_argument("--variables", type=Path, default=VARIABLES, help="(default: %(default)s)")
    made.add_argument("--host", default="0.0.0.0", help="(default: %(default)s)")
    made.add_argument("--port", type=int, default=8443, help="(default: %(default)s)")
    made.add_argument("--certificate", type=Path, required=True, help="PEM; its key is beside it")

    with_box(command("enrol", _enrol, "On the box, once: make its key, redeem the seed's token."))
    made = with_box(
        command("pull", _pull, "On the box, from a timer: certificate, roles, release.")
    )
    made.add_argument("--now", action="store_true", help="take the release before its ring's turn")
    command("fetch", _fetch, "On the box, by systemd: one request to the centre, for the pull.")
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


def _publish(options: argparse.Namespace) -> int:
    key = folder.read_secret(options.key)
    archives = sorted(options.wheelhouse.glob("cp3*/probe.tar"))
    if not archives:
        raise ReleaseError(f"no wheels in {options.wheelhouse}: run `make wheelhouse`")
    versions = {_version(archive) for archive in archives}
    if len(versions) != 1:
        raise ReleaseError(
            f"the wheelhouse holds different releases: {', '.join(sorted(versions))}"
        )
    (release,) = versions
    bundles = {}
    for archive in archives:
        kind = archive.parent.name
        bundles[kind] = releases.make_bundle(archive, ROOT, options.releases / "bundles")
        print(f"{kind}: {bundles[kind].size_bytes / 1e6:.1f} MB")
    path = options.releases / "channel.json"
    before = _published_channel(path)
    now = datetime.now(UTC).replace(microsecond=0)
    goes_on = before is not None and before.release == release and options.ring_days is None
    published = Channel(
        number=1 if before is None else before.number + 1,
        issued_at=now,
        expires_at=now + timedelta(days=options.valid_days),
        release=release,
        bundles=bundles,
        rings=before.rings if before is not None and goes_on else _rings(now, options.ring_days),
    )
    folder.write(path, signature.sign(channel.encode(published), key), folder.PUBLIC)
    for ring in published.rings:
        print(f"{ring.share:>6.0%} of boxes from {ring.begins_at:%Y-%m-%d %H:%M} UTC")
    until = f"{published.expires_at:%Y-%m-%d}"
    print(f"channel {published.number}: {published.release}; valid until {until}")
    return OK


def _version(archive: Path) -> str:
    """The version in `probe.tar.release` beside it: 0.2.0 of 0.2.0-4f0a…"""
    stamp = archive.with_name(f"{archive.name}.release")
    return stamp.read_text(encoding="utf-8").strip().rpartition("-")[0]


def _rings(now: datetime, days: float | None) -> list[Ring]:
    if days is None:
        days = _RING_DAYS
    if days <= 0:
        return [Ring(1.0, now)]
    return [Ring(share, now + timedelta(days=days * n)) for n, share in enumerate(_RINGS)]


def _published_channel(path: Path) -> Channel | None:
    """The channel that is published, whoever signed it; None where none is."""
    if not path.exists():
        return None
    return channel.decode(signature.payload_of(folder.read(path)))


def _of_inventory(options: argparse.Namespace) -> dict[str, bytes]:
    """The variables of the hosts of the inventory's group."""
    # Ansible of the environment that this runs in, or the machine's own.
    program = shutil.which("ansible-inventory", path=str(Path(sys.executable).parent))
    program = program or "ansible-inventory"
    done = subprocess.run(
        [program, "--inventory", options.inventory, "--list"],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode:
        raise FleetError(f"the inventory cannot be read: {done.stderr.strip()}")
    found = inventory.variables_of(done.stdout.encode(), options.group)
    if not found:
        raise FleetError(f"the inventory has no hosts in its group {options.group}")
    return found


def _registry(options: argparse.Namespace) -> int:
    text = registry.toml(_of_inventory(options))
    if options.out.exists():
        raise FleetError(f"{options.out} exists: what was filled in there stays")
    options.out.write_text(text, encoding="utf-8")
    print(
        f"{options.out}: fill in `contract_date` and `technology` where you know them, then "
        "`tramdo-collector registry apply`, or the page /registry"
    )
    return OK


def _variables(options: argparse.Namespace) -> int:
    found = _of_inventory(options)
    options.out.mkdir(parents=True, exist_ok=True)
    changed = 0
    for name, content in found.items():
        path = options.out / f"{name}.json"
        if not path.exists() or path.read_bytes() != content:
            folder.write(path, content, folder.SECRET)
            changed += 1
    # A box that left the inventory gets no more variables; it stays as it is.
    for path in options.out.glob("*.json"):
        if path.stem not in found:
            path.unlink()
    print(f"{len(found)} boxes, {changed} changed, in {options.out}")
    return OK


def _example(_options: argparse.Namespace) -> int:
    print(EXAMPLE.read_text(encoding="utf-8"), end="")
    return OK


def _seed(options: argparse.Namespace) -> int:
    # Imported here: a box has this command too, and neither YAML nor a web server.
    from deploy.fleet import seed, server  # noqa: PLC0415
    from deploy.fleet.seed import SeedSettings  # noqa: PLC0415

    source = settings.parse(options.settings.read_bytes(), SeedSettings, str(options.settings))
    if options.probe not in source.lines:
        raise ValueError(f"{options.settings}: lines.{options.probe} is missing")
    ca = folder.read(options.directory / "ca.pem").decode()
    public = folder.read(options.release_key).decode()
    token = server.new_token(options.directory, options.probe, datetime.now(UTC))
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
    import uvicorn  # noqa: PLC0415 (see _seed)

    from deploy.fleet import server  # noqa: PLC0415

    passphrase = None
    if options.passphrase_file is not None:
        passphrase = secret_file.read_text(options.passphrase_file).encode()
    app = server.FleetServer(
        options.directory, passphrase, options.releases, options.variables
    ).app()
    uvicorn.run(
        app, host=options.host, port=options.port, log_level="warning", server_header=False,
        ssl_certfile=options.certificate, ssl_keyfile=options.certificate.with_suffix(".key"),
    )  # fmt: skip
    return OK


def _enrol(options: argparse.Namespace) -> int:
    print(Box(load(options.config)).enrol())
    return OK


def _fetch(_options: argparse.Namespace) -> int:
    fetcher.serve(sys.stdin.buffer, sys.stdout.buffer)
    return OK


def _recover(options: argparse.Namespace) -> int:
    print(Box(load(options.config)).recover() or "no trial was interrupted")
    return OK


def _pull(options: argparse.Namespace) -> int:
    """All of it, each tried though another fails: a box must not miss a mend for a late mistake."""
    fleet = load(options.config)
    box = Box(fleet)
    failed = False
    acts: list[Callable[[], str | None]] = [
        box.renew,
        box.fetch_variables,
        lambda: box.pull(at_once=options.now),
        box.converge,
    ]
    for act in acts:
        try:
            if (sentence := act()) is not None:
                print(sentence)
        except FleetError as error:
            print(f"refused: {error}", file=sys.stderr)
            failed = True
    return REFUSED if failed else OK


if __name__ == "__main__":
    sys.exit(main())
