"""What a probe does not use is not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runtime import lean_import

_LOADED = "import sys, probe.daemon; print(*sys.modules)"


def test_the_daemon_loads_no_resolver_of_pahos() -> None:
    shown = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, check=True)
    loaded = shown.stdout.decode().split()
    assert "paho.mqtt.client" in loaded
    assert "dns.message" in loaded
    assert "dns.resolver" not in loaded


def test_a_module_is_missing_only_within() -> None:
    name = "this"
    assert name not in sys.modules
    with lean_import.without(name), pytest.raises(ImportError):
        __import__(name)
    assert name not in sys.modules
    with lean_import.without("json"):
        assert __import__("json").loads("1") == 1
