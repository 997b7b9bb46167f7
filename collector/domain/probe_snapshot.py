"""Floor 1. A snapshot of every probe at one revision of the store, shared by all readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from types import MappingProxyType

from collector.domain.lines import presence_of
from collector.store.records import StoredProbe
from wire.messages import Presence

ProbeKey = tuple[str, str]


class ProbeSnapshot:
    """Every probe by (tenant, name) at a revision; never changed after it is made."""

    def __init__(
        self, revision: int = 0, probes: Mapping[ProbeKey, StoredProbe] | None = None
    ) -> None:
        self.revision = revision
        self.probes: Mapping[ProbeKey, StoredProbe] = MappingProxyType(dict(probes or {}))

    def with_changes(self, revision: int, changed: Iterable[StoredProbe]) -> ProbeSnapshot:
        """The snapshot of a later revision; probes that have not changed are shared."""
        later = {(probe.tenant, probe.probe): probe for probe in changed}
        return ProbeSnapshot(revision, {**self.probes, **later})

    @cached_property
    def latest(self) -> Sequence[StoredProbe]:
        """Every probe, the last one to change first."""
        return sorted(self.probes.values(), key=lambda probe: -probe.revision)

    @cached_property
    def names(self) -> Sequence[ProbeKey]:
        """The (tenant, name) of every probe, ascending."""
        return sorted(self.probes)

    @cached_property
    def online(self) -> int:
        """How many probes are online."""
        return sum(presence_of(probe) is Presence.ONLINE for probe in self.probes.values())

    def changed_after(self, revision: int) -> Sequence[StoredProbe]:
        """The probes that changed after a revision, the last one to change first."""
        return list(takewhile(lambda probe: probe.revision > revision, self.latest))
