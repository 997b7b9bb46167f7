"""Fixtures of the lab: they skip, with the reason, where no lab can be had."""

import shutil

import pytest

from tests.lab.namespace import why_not


@pytest.fixture(scope="session")
def _namespaces() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _tun_devices() -> None:
    reason = why_not(tun=True)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def _iperf3() -> None:
    if shutil.which("iperf3") is None:
        pytest.skip("the command iperf3 is not installed (package iperf3)")


@pytest.fixture(scope="session")
def _ping() -> None:
    if shutil.which("ping") is None:
        pytest.skip("the command ping is not installed (package iputils-ping)")
