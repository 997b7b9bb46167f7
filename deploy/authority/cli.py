"""Floor 3. The command line of `tramdo-authority`, and its exit codes."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from deploy.authority import authority, folder, rules
from deploy.authority.register import CertificateRow, CertificateStatus, Reason
from deploy.authority.rules import AuthorityError
from runtime import secret_file

OK, REFUSED, WRONG_USAGE, ENDING = 0, 1, 2, 3
_MOST_DAYS = 36_500
DEFAULT_FOLDER = Path("/etc/tramdo/authority")
_EPILOG = """exit codes:
  0  done
  1  refused, with the reason on standard error; nothing was changed
  2  the command line is wrong
  3  (list --within) something ends within that many days
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    now = datetime.now(UTC)
    try:
        match options.command:
            case "request":
                return _request(options)
            case "init":
                return _init(options, now)
            case "list":
                return _list(options, now)
            case _:
                return _at_the_centre(options, now)
    except AuthorityError as error:
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-authority",
        description="Certifies probes and brokers: keys, certificates, revocation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *, at_the_centre: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if at_the_centre:
            made.add_argument(
                "-d",
                "--directory",
                type=Path,
                default=DEFAULT_FOLDER,
                help="the authority's folder (default: %(default)s)",
            )
        return made

    def with_key(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="holds the passphrase of the authority's key (mode 0600)",
        )
        return made

    def lasting(made: argparse.ArgumentParser, usual: timedelta) -> None:
        made.add_argument(
            "--days",
            type=_days,
            default=usual,
            help=f"how long it holds (default: {usual.days}; never past the authority's own end)",
        )

    made = with_key(command("init", "Make an authority: once, on a machine that is kept safe."))
    made.add_argument("--name", default="Tramdo", help="its name (default: %(default)s)")

    made = command(
        "request",
        "On the probe: make its key, unless it has one, and a signing request. The key stays.",
        at_the_centre=False,
    )
    made.add_argument("name", metavar="NAME", help="the probe's name")
    made.add_argument("--key", type=Path, default=Path("/etc/tramdo/probe.key"))
    made.add_argument("--csr", type=Path, default=Path("/etc/tramdo/probe.csr"))
    made.add_argument("--group", help="a group that may read a new key: the probe's service's")

    for name, text in (
        ("sign", "Sign a new probe's request."),
        ("renew", "Sign the request of a probe that has a certificate; that one holds on."),
    ):
        made = with_key(command(name, text))
        made.add_argument("csr", type=Path, metavar="CSR", help="the probe's signing request")
        lasting(made, rules.PROBE_LIFETIME)

    made = with_key(command("revoke", "Take certificates back, and make the revocation list."))
    made.add_argument("which", metavar="NAME|SERIAL", help="a name's every one, or a single one")
    made.add_argument(
        "--reason", type=Reason, choices=list(Reason), default=Reason.UNSPECIFIED, metavar="REASON",
        help=f"one of: {', '.join(Reason)} (default: %(default)s)",
    )  # fmt: skip

    with_key(command("crl", "Make the revocation list anew: weekly, or everybody is shut out."))

    made = command("list", "Show every certificate and when it ends.")
    made.add_argument("--json", action="store_true", help="print a JSON array")
    made.add_argument(
        "--within", type=_days, metavar="DAYS", help="only what ends within; exit 3 if there is any"
    )

    made = with_key(command("server-cert", "Make a broker's key and certificate."))
    made.add_argument("host", nargs="+", metavar="HOST", help="its names and addresses")
    made.add_argument(
        "--peer", action="store_true", help="of a cluster's node, which is its peers' client too"
    )
    lasting(made, rules.SERVER_LIFETIME)
    return parser


def _days(text: str) -> timedelta:
    days = int(text)
    if not 1 <= days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"1 to {_MOST_DAYS} days")
    return timedelta(days=days)


def _passphrase(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        text = secret_file.read_text(path)
    except (OSError, ValueError) as error:
        raise AuthorityError(f"the passphrase file: {error}") from error
    if not text:
        raise AuthorityError(f"the passphrase file {path} is empty")
    return text.encode()


def _init(options: argparse.Namespace, now: datetime) -> int:
    authority.init(options.directory, options.name, _passphrase(options.passphrase_file), now)
    print(f"the authority is in {options.directory}: give its ca.pem to probes and brokers")
    if options.passphrase_file is None:
        print("its key has no passphrase: the folder's mode is all that guards it")
    return OK


def _request(options: argparse.Namespace) -> int:
    is_new = authority.request(options.key, options.csr, options.name, options.group)
    print(f"{'made' if is_new else 'used'} the key {options.key}; it stays on this machine")
    print(f"{options.csr} goes to the centre: tramdo-authority sign (or renew)")
    return OK


def _at_the_centre(options: argparse.Namespace, now: datetime) -> int:
    opened = authority.Authority(options.directory, _passphrase(options.passphrase_file))
    match options.command:
        case "sign":
            print(opened.sign(folder.read(options.csr), now, options.days))
        case "renew":
            print(opened.renew(folder.read(options.csr), now, options.days))
        case "server-cert":
            print(opened.server(options.host, now, options.days, peer=options.peer))
        case "crl":
            print(opened.make_list(now))
        case "revoke":
            count = opened.revoke(options.which, options.reason, now)
            print(f"revoked {count}; give {options.directory / 'crl.pem'} to the broker")
    return OK


def _list(options: argparse.Namespace, now: datetime) -> int:
    rows = authority.rows(options.directory, now)
    if options.within is not None:
        rows = [
            row for row in rows
            if row.standing is CertificateStatus.VALID and row.not_after - now <= options.within
        ]  # fmt: skip
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    else:
        _print_table(rows)
    return ENDING if options.within is not None and rows else OK


def _print_table(rows: list[CertificateRow]) -> None:
    print(f"{'name':<24} {'purpose':<16} {'standing':<9} {'ends':<10} {'days':>5}  serial")
    for row in rows:
        print(
            f"{row.name:<24} {row.purpose:<16} {row.standing:<9} {row.not_after:%Y-%m-%d} "
            f"{row.days_left:>5}  {row.serial or ''}"
        )


if __name__ == "__main__":
    sys.exit(main())
