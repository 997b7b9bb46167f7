"""Floor 2. What Ansible's roles write, rendered by Ansible itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

BASE = Path(__file__).parents[1] / "ansible/roles/base"


@cache
def loader() -> DataLoader:
    """Ansible's own loader, its plugins found once."""
    init_plugin_loader([])
    return DataLoader()


def rendered(text: str, **variables: Any) -> str:
    """A text with the variables of role `base` and these; the line is the office's first."""
    known = yaml.safe_load((BASE / "vars/main.yml").read_text(encoding="utf-8"))
    known |= {"ansible_managed": "Ansible", "line_number": 0} | variables
    told = Templar(loader(), variables=known).template(trust_as_template(text))
    assert isinstance(told, str)
    return told


def template(name: str, **variables: Any) -> str:
    """A template of role `base`."""
    return rendered((BASE / "templates" / name).read_text(encoding="utf-8"), **variables)
