"""What deploy/database renders for Patroni, etcd and pgBackRest; mistakes with their sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.database import __main__ as command
from deploy.database.render import render
from deploy.database.settings import DatabaseSettings, Member
from runtime import settings_file
from runtime.settings import SettingsError, parse

EXAMPLE = Path(command.__file__).with_name("example.toml")


def example(**changes: str) -> DatabaseSettings:
    text = settings_file.content(EXAMPLE).decode()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse(text.encode(), DatabaseSettings, "database.toml")


def patroni(settings: DatabaseSettings, member: Member) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(render(settings, member)["patroni.yml"])
    return read


def test_the_command_writes_a_folder_for_each_member(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(EXAMPLE), str(tmp_path)]) == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == [
        "db-1/patroni.yml", "db-1/pgbackrest.conf", "db-2/patroni.yml", "db-2/pgbackrest.conf",
        "witness-1/pgbackrest.conf",
    ]  # fmt: skip
    assert len(list(tmp_path.glob("*/etcd"))) == 3
    assert capsys.readouterr().out.startswith("host=10.0.0.21,10.0.0.22 port=5432,5432 ")


def test_what_the_example_shows_as_defaults_are_the_defaults() -> None:
    shown = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", settings_file.content(EXAMPLE).decode())
    read = parse(shown.encode(), DatabaseSettings, "database.toml")
    plain = example()
    assert read.members[1:] == plain.members[1:]
    for member in (read.members[0], plain.members[0]):
        assert read.data(member) == "/var/lib/postgresql/15/tramdo"
        assert read.host_name(member) == "db-1.tramdo"
    assert read.bin == plain.bin
    for name in DatabaseSettings.__struct_fields__:
        if name not in ("members", "programs"):
            assert getattr(read, name) == getattr(plain, name), name


def test_each_commit_is_on_two_disks_and_nobody_has_a_password() -> None:
    settings = example()
    read = patroni(settings, settings.members[0])
    assert read["bootstrap"]["dcs"]["synchronous_mode"] is True
    assert read["etcd3"]["hosts"] == ["10.0.0.21:2379", "10.0.0.22:2379", "10.0.0.23:2379"]
    assert read["restapi"]["verify_client"] == "required"
    assert read["postgresql"]["parameters"]["shared_buffers"] == "2GB"
    for who in read["postgresql"]["authentication"].values():
        assert "password" not in who
        assert who["sslmode"] == "verify-full"
    # On the machine its own user, from elsewhere a certificate of the map.
    for rule in read["postgresql"]["pg_hba"]:
        words = rule.split()
        assert words[0] in {"local", "hostssl"}
        assert words[3 if words[0] == "local" else 4] == {"local": "peer"}.get(words[0], "cert")
        assert "all all" not in rule


def test_a_collector_s_name_is_no_member_s() -> None:
    settings = example()
    identities = patroni(settings, settings.members[1])["postgresql"]["pg_ident"]
    assert [row for row in identities if row.startswith("members ")] == [
        f"members {name}.tramdo {role}"
        for name in ("db-1", "db-2")
        for role in ("replicator", "rewind")
    ]
    assert [row for row in identities if row.startswith("collectors ")] == [
        "collectors collector-1 tramdo",
        "collectors collector-2 tramdo",
    ]


def test_the_witness_keeps_the_backups_and_runs_no_database() -> None:
    settings = example()
    files = render(settings, settings.backup_host)
    assert set(files) == {"etcd", "pgbackrest.conf"}
    assert "repo1-path=/var/lib/pgbackrest" in files["pgbackrest.conf"]
    assert re.findall(r"pg\d-host=(.+)", files["pgbackrest.conf"]) == ["db-1.tramdo", "db-2.tramdo"]
    of_a_database = render(settings, settings.members[0])["pgbackrest.conf"]
    assert "repo1-host=witness-1.tramdo" in of_a_database
    assert "tls-server-auth=witness-1.tramdo=tramdo" in of_a_database


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name = "db-2"', 'name = "db-1"', "`db-1` is there twice"),
        ('role = "witness"', 'role = "database"', 'one of `role = "witness"`'),
        ("# ttl_s = 15", "ttl_s = 10", "must not be more than `ttl_s`"),
        (
            '[[members]]\nname = "db-2"\naddress = "10.0.0.22"\n', "",
            "members: expected `array` of length >= 3",
        ),
    ],
)  # fmt: skip
def test_what_cannot_elect_a_leader_is_refused(old: str, new: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        example(**{old: new})
    assert sentence in str(caught.value)


def test_an_even_number_of_members_is_refused() -> None:
    fourth = '[[members]]\nname = "w-2"\naddress = "10.0.0.24"\nrole = "witness"\n\n[[members]]'
    with pytest.raises(SettingsError, match="take an odd number"):
        example(**{'[[members]]\nname = "db-2"': f'{fourth}\nname = "db-2"'})
