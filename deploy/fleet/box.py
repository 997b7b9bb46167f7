"""Floor 3. The agent on a box: enrols once, then pulls releases, tries each, and rolls back.

Configured by /etc/tramdo/fleet.toml, which the seed brought. All connections are outgoing HTTPS to
one address, whose certificate the authority of the seed has signed.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from deploy.authority import authority, certificates, folder
from deploy.authority.rules import AuthorityError, whole_days
from deploy.fleet import channel, client, releases, signature, update, variables
from deploy.fleet.channel import Channel, ChannelError
from deploy.fleet.client import FleetClient, FleetError
from deploy.fleet.releases import ReleaseError
from deploy.fleet.signature import SignatureError
from deploy.fleet.update import BoxState
from deploy.fleet.variables import VariablesError
from runtime import secret_file, settings
from wire.decoding import decode_json
from wire.record import Name

log = logging.getLogger(__name__)

# A playbook on a Zero 2 W that installs packages over a slow line.
_COMMAND_LIMIT_S = 1800
# What a person with a stopwatch calls at once; the daemon writes its status every 5 s.
_POLL_INTERVAL_S = 5.0


class BoxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """/etc/tramdo/fleet.toml.

    `url` is the centre's. `converge`, `restart` and `status` are the commands that bring the box to
    what roles and variables say, start the probe anew, and ask it how it is; `{release}`,
    `{variables}` and `{probe}` stand for the release's folder, the file of variables as Ansible
    gets them (no string of them is a template), and the name.
    `healthy_within_s` is how long a new release may take to publish.
    """

    probe: Name
    url: Annotated[str, Meta(pattern=r"^https://[^\s/]+$")]
    ca_file: str = "/etc/tramdo/ca.pem"
    # systemd/tramdo-fleet-fetch.socket: a process without rights asks the centre. Empty: this one.
    fetch_socket: str = "/run/tramdo-fleet-fetch.sock"
    release_key_file: str = "/etc/tramdo/release.pub"
    token_file: str = "/etc/tramdo/enrol.token"
    key_file: str = "/etc/tramdo/probe.key"
    certificate_file: str = "/etc/tramdo/probe.pem"
    variables_file: str = "/etc/tramdo/box.json"
    # Who else may read the key: the probe's service. Empty: nobody.
    key_group: str = "tramdo"
    root: str = "/opt/tramdo"
    state_dir: str = "/var/lib/tramdo-fleet"
    converge: tuple[str, ...] = (
        # Its settings are the release's too: with them no module passes by way of the card.
        "env", "ANSIBLE_CONFIG={release}/ansible/ansible.cfg",
        "ansible-playbook", "--connection=local", "--inventory={probe},",
        "--extra-vars=@{variables}", "{release}/ansible/box.yml",
    )  # fmt: skip
    restart: tuple[str, ...] = ("systemctl", "restart", "tramdo-probe.service")
    status: tuple[str, ...] = ("/opt/tramdo/venv/bin/tramdo-probe", "status", "--json")
    healthy_within_s: Annotated[float, Meta(gt=0, le=3600)] = 600.0
    # Renewed when less than this is left: a box may lie in a cupboard for a while.
    renew_days: Annotated[int, Meta(ge=1, le=700)] = 60


def load(path: Path) -> BoxSettings:
    """The settings.

    Raises:
        SettingsError: every mistake in them.
        OSError: the file cannot be read.
    """
    return settings.parse(path.read_bytes(), BoxSettings, str(path))


class Box:
    """One box. Every method raises FleetError when it cannot, and has then changed nothing."""

    def __init__(self, fleet: BoxSettings) -> None:
        self._fleet = fleet
        self._centre = FleetClient(fleet.url, fleet.ca_file, fleet.fetch_socket)
        # The release whose roles have just been run, so that a pull does not run them twice.
        self._converged: str | None = None
        self._state_path = Path(fleet.state_dir) / "state.json"
        self._before = Path(f"{fleet.variables_file}.before")

    def enrol(self) -> str:
        """Create the box's key, exchange the seed's token for a certificate, delete the token.

        Returns:
            What was done, in a sentence. A box that is enrolled already is left alone.
        """
        fleet = self._fleet
        token_path = Path(fleet.token_file)
        if not token_path.exists() and Path(fleet.certificate_file).exists():
            return f"{fleet.probe} is enrolled already"
        try:
            token = secret_file.read_text(token_path).strip()
        except (OSError, ValueError) as error:
            raise FleetError(f"no enrolment token: {error}") from error
        csr = self._csr_by_any_key()
        response = self._centre.post("enrol", {"probe": fleet.probe, "token": token, "csr": csr})
        self._store_certificate(response.content)
        token_path.unlink()
        return f"{fleet.probe} is enrolled; its key has never left this box"

    def renew(self) -> str | None:
        """Renew the certificate when its end is near or its file is lost or damaged.

        Returns:
            A sentence, or None where there was nothing to do.
        """
        if self._days_left() > self._fleet.renew_days:
            return None
        self._store_certificate(self._centre.post("renew", {"csr": self._csr()}).content)
        return "the certificate is renewed; the probe takes it at its next connection"

    def _days_left(self) -> int:
        """Whole days until the certificate ends; 0 where the file cannot be read."""
        try:
            content = folder.read(Path(self._fleet.certificate_file))
            ends = certificates.load_certificate(content).not_valid_after_utc
        except AuthorityError:
            return 0
        return whole_days(ends, datetime.now(UTC))

    def fetch_variables(self) -> str | None:
        """Fetch this box's variables from the centre.

        Returns:
            None, or a sentence where the centre has no variables for this box.
        """
        response = self._centre.ask("POST", "variables", {"csr": self._csr()})
        if response.status_code == 404:
            return "the centre has no variables for this box: it stays as it is set up"
        content = client.require_success(response, "variables").content
        try:
            variables.decode(content, self._fleet.probe)
        except VariablesError as error:
            raise FleetError(f"the centre's variables for this box are refused: {error}") from error
        path = Path(self._fleet.variables_file)
        # Those that the centre was last reached with, until it is reached with the new ones.
        if path.exists() and not self._before.exists() and path.read_bytes() != content:
            self._write(self._before, path.read_bytes())
        self._write(path, content)
        return None

    def converge(self) -> str | None:
        """Run the roles with the box's variables, unless a release that was tried just now did.

        The roles are those of the release in use; they check settings before they install them.
        Other variables than before are given up where the centre is not reached with them.

        Returns:
            A sentence, or None where there was nothing to do.
        """
        release = releases.in_use(Path(self._fleet.root))
        if release is None or not Path(self._fleet.variables_file).exists():
            return None
        if not self._roles(release).is_dir():
            return f"{release} was set up by a playbook and brought no roles: a release will"
        done_already = release == self._converged
        fault = None if done_already else self._converge(release)
        if self._before.exists():
            self._roll_back_unless_reachable(release)
        if fault is not None:
            raise FleetError(f"the box is not what it should be: {fault}")
        return None if done_already else "the box is what its variables say"

    def _roll_back_unless_reachable(self, release: str) -> None:
        """Restore the previous variables where the centre is not reached with the new ones.

        A wrong line or gateway would otherwise cut the box off for good.
        """
        # An address that goes is gone a moment later.
        time.sleep(min(_POLL_INTERVAL_S, self._fleet.healthy_within_s))
        if (away := self._fault_at_deadline(self._why_not_reachable)) is None:
            self._before.unlink()
            return
        self._before.replace(self._fleet.variables_file)
        fault = self._converge(release)
        raise FleetError(
            f"the centre's variables are given up, back on those before: {away}"
            + (f"; and the box is not what those say: {fault}" if fault else "")
        )

    def _why_not_reachable(self) -> str | None:
        """Why the centre is not reached; None when it is."""
        try:
            self._centre.ask("GET", "channel")
        except FleetError as error:
            return str(error)
        return None

    def _fault_at_deadline(self, fault_now: Callable[[], str | None]) -> str | None:
        """The fault that is there still when the time that a release has to publish is over.

        Args:
            fault_now: what is wrong at this moment; None ends the wait.
        """
        deadline_s = time.monotonic() + self._fleet.healthy_within_s
        while (fault := fault_now()) is not None:
            if time.monotonic() >= deadline_s:
                return f"after {self._fleet.healthy_within_s:.0f} s: {fault}"
            time.sleep(_POLL_INTERVAL_S)
        return None

    def pull(self, *, at_once: bool = False) -> str:
        """Follow the channel: keep the release, try another, or roll back.

        Args:
            at_once: take the release even if this box's turn has not come.

        Returns:
            What was done, in a sentence.
        """
        state = self._with_installed_release(self._read_state())
        published = self._read_channel(state)
        state = update.with_channel(state, published)
        self._save_state(state)
        step = update.next_step(state, published, self._fleet.probe, datetime.now(UTC))
        if at_once and isinstance(step, update.Stay) and state.good != published.release:
            step = update.Try(published.release)
        match step:
            case update.Stay(because):
                return because
            case update.RollBack(given_up, to):
                raise self._rolled_back(state, given_up, to, "it was interrupted")
            case update.Try(release):
                return self._try(state, published, release)

    def recover(self) -> str | None:
        """Roll back a trial that a power cut interrupted, without the centre. None: there was none.

        Run at every boot, before the line is up.
        """
        state = self._read_state()
        if state.trying is None:
            return None
        if state.good is not None:
            # The probe is not up yet: systemd starts it after this, on what the link says.
            releases.switch(Path(self._fleet.root), state.good)
        self._save_state(update.rolled_back(state, datetime.now(UTC)))
        return _rollback_message(state.trying, state.good, "the box was switched off meanwhile")

    def _with_installed_release(self, state: BoxState) -> BoxState:
        """Take what a playbook or the first boot installed as the first good release."""
        installed = releases.in_use(Path(self._fleet.root))
        if state.good is not None or installed is None:
            return state
        state = structs.replace(state, good=installed)
        self._save_state(state)
        return state

    def _try(self, state: BoxState, published: Channel, release: str) -> str:
        root = Path(self._fleet.root)
        try:
            bundle = self._fetch_bundle(published)
            releases.install(bundle, root, release)
            bundle.unlink()
        except ReleaseError as error:
            raise FleetError(str(error)) from error
        state = update.trying(state, release)
        self._save_state(state)
        releases.switch(root, release)
        fault = self._converge(release) or self._restart() or self._wait_until_it_publishes(release)
        if fault is not None:
            raise self._rolled_back(state, release, state.good, fault)
        state = update.succeeded(state)
        self._save_state(state)
        releases.tidy(root, release)
        return f"runs {release}: it measures, and the centre has its results"

    def _rolled_back(self, state: BoxState, given_up: str, to: str | None, why: str) -> FleetError:
        """Roll back to the last good release; returns the error that names cause and release."""
        fault = None
        if to is not None:
            releases.switch(Path(self._fleet.root), to)
            # Any version of the daemon: a playbook names a release with the hash of its wheels.
            fault = (
                self._converge(to) or self._restart() or self._wait_until_it_publishes(version=None)
            )
        self._save_state(update.rolled_back(state, datetime.now(UTC), to_blame=fault is None))
        if fault is not None:
            why = f"{why}; it is not to blame, for {to} does not publish now either: {fault}"
        return FleetError(_rollback_message(given_up, to, why))

    def _wait_until_it_publishes(self, version: str | None) -> str | None:
        return self._fault_at_deadline(lambda: self._why_not_publishing(version))

    def _why_not_publishing(self, version: str | None) -> str | None:
        try:
            done = subprocess.run(self._fleet.status, capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"its status cannot be asked: {error}"
        if done.returncode:
            return done.stderr.decode(errors="replace").strip() or "its status cannot be asked"
        return update.why_not_publishing(done.stdout, version)

    def _roles(self, release: str) -> Path:
        return Path(self._fleet.root) / "releases" / release / "ansible"

    def _converge(self, release: str) -> str | None:
        """Run a release's roles; nothing where there are no variables or no roles."""
        roles = self._roles(release)
        if not (Path(self._fleet.variables_file).exists() and roles.is_dir()):
            return None
        self._converged = release
        try:
            taken = self._untemplated()
        except (VariablesError, AuthorityError) as error:
            return f"its variables are refused: {error}"
        words = {
            "release": str(roles.parent),
            "variables": str(taken),
            # By its own name: what a role draws by lot for each host is not the same for all.
            "probe": self._fleet.probe,
        }
        return _run([part.format(**words) for part in self._fleet.converge])

    def _untemplated(self) -> Path:
        """The file of variables for Ansible, in which no string is a template."""
        content = folder.read(Path(self._fleet.variables_file))
        own = variables.decode(content, self._fleet.probe)
        path = Path(self._fleet.state_dir) / "variables.yml"
        folder.make(path.parent)
        folder.write(path, variables.to_ansible(own), folder.PUBLIC)
        return path

    def _restart(self) -> str | None:
        return _run(self._fleet.restart)

    def _read_channel(self, state: BoxState) -> Channel:
        document = client.require_success(self._centre.ask("GET", "channel"), "channel").content
        try:
            key = folder.read(Path(self._fleet.release_key_file))
            published = channel.decode(signature.verified(document, key))
            channel.refuse_stale(published, state.channel_number, datetime.now(UTC))
        except (SignatureError, ChannelError, AuthorityError) as error:
            raise FleetError(f"the channel is refused: {error}") from error
        return published

    def _fetch_bundle(self, published: Channel) -> Path:
        folder.make(Path(self._fleet.state_dir))
        target = Path(self._fleet.state_dir) / "bundle"
        try:
            bundle = channel.bundle_for(published, releases.machine())
        except ChannelError as error:
            raise FleetError(str(error)) from error
        try:
            size_bytes = self._centre.download(
                f"bundles/{bundle.sha256}", target, bundle.size_bytes
            )
        except FleetError as error:
            raise FleetError(f"the bundle of {published.release} did not come: {error}") from error
        if size_bytes != bundle.size_bytes or releases.sha256_of(target) != bundle.sha256:
            raise FleetError(f"the bundle of {published.release} is not the one that was signed")
        return target

    def _csr(self) -> str:
        """A signing request by the box's key, which only `enrol` creates."""
        if not Path(self._fleet.key_file).exists():
            raise FleetError("the box's key is lost: enrol it anew, with a new token")
        return self._csr_by_any_key()

    def _csr_by_any_key(self) -> str:
        """A signing request; the key is created where there is none."""
        fleet = self._fleet
        path = Path(fleet.key_file).with_suffix(".csr")
        try:
            authority.request(Path(fleet.key_file), path, fleet.probe, fleet.key_group or None)
            return folder.read(path).decode()
        except AuthorityError as error:
            raise FleetError(str(error)) from error

    def _store_certificate(self, content: bytes) -> None:
        class CertificateResponse(Struct):
            certificate: str
            authority: str

        try:
            response = decode_json(content, CertificateResponse)
        except msgspec.MsgspecError as error:
            raise FleetError(f"the centre's answer cannot be read: {error}") from error
        own = response.certificate.encode()
        try:
            ca, key = (folder.read(Path(p)) for p in (self._fleet.ca_file, self._fleet.key_file))
            certificates.require_own(own, ca, key)
        except AuthorityError as error:
            raise FleetError(f"the centre's certificate is refused: {error}") from error
        self._write(Path(self._fleet.certificate_file), own)

    def _write(self, path: Path, content: bytes) -> None:
        try:
            folder.write(path, content, folder.PUBLIC)
        except AuthorityError as error:
            raise FleetError(str(error)) from error

    def _read_state(self) -> BoxState:
        """The state; an empty one where there is none, or where the card has damaged it.

        Nobody stands beside a box to delete a file. What a new state costs: which releases were
        given up, and the highest channel number, so that until the next pull a channel that was
        seen before is accepted if its word has not ended.
        """
        if not self._state_path.exists():
            return BoxState()
        try:
            content = folder.read(self._state_path)
        except AuthorityError as error:
            raise FleetError(str(error)) from error
        try:
            return decode_json(content, BoxState)
        except msgspec.MsgspecError as error:
            aside = self._state_path.with_name("state.json.damaged")
            log.warning(
                "begins a new state: %s is damaged (%s), see %s", self._state_path, error, aside
            )
            self._write(aside, content)
            self._state_path.unlink()
            return BoxState()

    def _save_state(self, state: BoxState) -> None:
        try:
            releases.save(self._state_path, msgspec.json.encode(state))
        except AuthorityError as error:
            raise FleetError(str(error)) from error


def _rollback_message(release: str, to: str | None, why: str) -> str:
    back = f"back on {to}" if to else "and there is none to return to"
    return f"{release} is given up, {back}: {why}"


def _run(command: Sequence[str]) -> str | None:
    """Run a command of the settings; the end of its output where it failed, else None."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMMAND_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    if done.returncode == 0:
        return None
    last = (done.stdout + done.stderr).strip().splitlines()[-5:]
    return f"{command[0]} failed: {' / '.join(last)}"
