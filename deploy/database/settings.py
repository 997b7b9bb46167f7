"""Floor 1. The settings of a PostgreSQL cluster: two databases under Patroni, and a witness.

Each member runs etcd, so that a majority remains when one is gone; the witness keeps the backups
(pgBackRest). There is no password: members have certificates of an authority that certifies nobody
else, collectors have one of the tenant's. Knows no file and no template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from runtime.broker import Port
from runtime.value_errors import RuleError

MemberName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,59}\Z")]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$")]
Network = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")]
AbsolutePath = Annotated[str, Meta(pattern=r"^/\S{1,1000}\Z")]
Word = Annotated[str, Meta(pattern=r"^\S{1,200}\Z")]
Seconds = Annotated[int, Meta(ge=1, le=600)]


class Member(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A machine, by the IPv4 address that the others and the collectors reach it by."""

    name: MemberName
    address: Host
    # For pgBackRest, which finds no address in a certificate (2.45): by default NAME.CLUSTER, which
    # the others' /etc/hosts has.
    host: Host | None = None
    role: Literal["database", "witness"] = "database"
    postgresql_port: Port = 5432
    patroni_port: Port = 8008
    etcd_client_port: Port = 2379
    etcd_peer_port: Port = 2380
    backup_port: Port = 8432
    # Debian's: PostgreSQL's data with its version and the cluster's name.
    data_directory: AbsolutePath | None = None
    socket_directory: AbsolutePath = "/run/postgresql"
    backup_configuration: AbsolutePath = "/etc/pgbackrest.conf"


class DatabaseSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings that the members' files are rendered from."""

    # Of the cluster for Patroni, the stanza of pgBackRest, the database and its owner.
    name: Name = "tramdo"
    members: Annotated[list[Member], Meta(min_length=3, max_length=5)]
    # Common names of the collectors' certificates, and where they come from.
    collectors: list[MemberName] = []
    collectors_from: list[Network] = []
    postgresql_version: Annotated[int, Meta(ge=15, le=99)] = 15
    # Of PostgreSQL, beside those that replication and backup need.
    parameters: dict[str, str | int | float | bool] = {}
    # A leader that has not renewed its key for `ttl_s` is followed by another one.
    ttl_s: Seconds = 15
    loop_wait_s: Seconds = 4
    retry_timeout_s: Seconds = 5
    # A primary that crashed alone may start again for so long, before the other one takes over.
    primary_start_timeout_s: Seconds = 10
    # A member that sends nothing for so long is dead for replication: commits wait for it no more.
    replication_timeout_s: Seconds = 10
    # WAL that waits for a replica which is away; with more it must be copied anew.
    slot_wal_mb: Annotated[int, Meta(ge=64)] = 16_384
    watchdog: Literal["off", "automatic", "required"] = "automatic"
    full_backups: Annotated[int, Meta(ge=1, le=52)] = 2
    certificate_file: AbsolutePath = "/etc/tramdo-database/server.pem"
    key_file: AbsolutePath = "/etc/tramdo-database/server.key"
    # The same key once more, for etcd, which runs as another user.
    etcd_key_file: AbsolutePath = "/etc/tramdo-database/etcd.key"
    ca_file: AbsolutePath = "/etc/tramdo-database/ca.pem"
    # PostgreSQL's: both authorities, the members' and the collectors'.
    clients_ca_file: AbsolutePath = "/etc/tramdo-database/clients.pem"
    bootstrap_script: AbsolutePath = "/etc/tramdo-database/create-database"
    programs: AbsolutePath | None = None
    etcd_directory: AbsolutePath = "/var/lib/etcd/tramdo"
    password_file: AbsolutePath = "/run/postgresql/patroni.pgpass"
    backup_directory: AbsolutePath = "/var/lib/pgbackrest"
    backup_log: AbsolutePath = "/var/log/pgbackrest"
    backup_lock: AbsolutePath = "/run/lock/pgbackrest"
    backup_spool: AbsolutePath = "/var/spool/pgbackrest"
    system_user: Word = "postgres"

    def __post_init__(self) -> None:
        """Refuse what cannot elect a leader, and names that stand for two."""
        _require_once([*(member.name for member in self.members), *self.collectors])
        if len(self.members) % 2 == 0:
            raise RuleError(
                f"{len(self.members)} máy không chịu được nhiều máy hỏng hơn "
                f"{len(self.members) - 1} máy: cần số lẻ",
                f"{len(self.members)} members outlive no more deaths than "
                f"{len(self.members) - 1}: take an odd number",
            )
        if len(self.databases) < 2 or len(self.databases) == len(self.members):
            raise RuleError(
                'cần ít nhất hai máy `role = "database"` và một máy `role = "witness"` giữ bản '
                "sao lưu",
                'two members of `role = "database"` are needed at least, and one of '
                '`role = "witness"`, which keeps the backups',
            )
        if self.loop_wait_s + 2 * self.retry_timeout_s > self.ttl_s:
            raise RuleError(
                "`loop_wait_s` + 2 × `retry_timeout_s` không được lớn hơn `ttl_s`",
                "`loop_wait_s` + 2 × `retry_timeout_s` must not be more than `ttl_s`",
            )

    @property
    def databases(self) -> list[Member]:
        """Members that may become the primary."""
        return [member for member in self.members if member.role == "database"]

    @property
    def backup_host(self) -> Member:
        """Who keeps the backups: the first witness."""
        return next(member for member in self.members if member.role == "witness")

    def data(self, member: Member) -> str:
        """A member's data directory; each major version has its own."""
        version = self.postgresql_version
        return member.data_directory or f"/var/lib/postgresql/{version}/{self.name}"

    @property
    def bin(self) -> str:
        """Where PostgreSQL's programs are."""
        return self.programs or f"/usr/lib/postgresql/{self.postgresql_version}/bin"

    def peers(self, member: Member) -> list[Member]:
        """The other members."""
        return [other for other in self.members if other.name != member.name]

    def common_name(self, member: Member) -> str:
        """Of a member's certificate: with the dot that no probe's and no collector's name has."""
        return f"{member.name}.{self.name.replace('_', '-')}"

    def certificate_hosts(self, member: Member) -> list[str]:
        """The names of a member's certificate; the first is its common name."""
        hosts = [self.common_name(member), self.host_name(member), member.address]
        return list(dict.fromkeys(hosts))

    def host_name(self, member: Member) -> str:
        """The name that a member has for pgBackRest."""
        return member.host or self.common_name(member)

    @property
    def conninfo(self) -> str:
        """The collector's `[store] postgresql`, but for the files of its certificate."""
        hosts = ",".join(member.address for member in self.databases)
        ports = ",".join(str(member.postgresql_port) for member in self.databases)
        return (
            f"host={hosts} port={ports} dbname={self.name} user={self.name} "
            "target_session_attrs=read-write sslmode=verify-full"
        )


def _require_once(names: Sequence[str]) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise RuleError(f"tên `{name}` có hai lần", f"`{name}` is there twice")
