"""Floor 2. Renders the files of a PostgreSQL cluster's members from Jinja2 templates."""

from __future__ import annotations

from pathlib import Path

import jinja2

from deploy.database.settings import DatabaseSettings, Member

TEMPLATES = Path(__file__).parent
_OF_EVERY_MEMBER = ("etcd", "pgbackrest.conf")
_OF_A_DATABASE = ("patroni.yml", "create-database")


def render(settings: DatabaseSettings, member: Member) -> dict[str, str]:
    """A member's files by name.

    Raises:
        jinja2.UndefinedError: a template asks for a setting that there is not.
    """
    names = _OF_EVERY_MEMBER + (_OF_A_DATABASE if member.role == "database" else ())
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return {
        name: environment.get_template(f"{name}.j2").render(settings=settings, member=member)
        for name in names
    }
