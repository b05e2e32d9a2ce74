"""A listening socket is found, a closed one is not."""

import socket

import pytest

from cvlab.connection import online


@pytest.fixture(autouse=True)
def nobody_says_no(monkeypatch):
    for name in ("CVLAB_OFFLINE", "CVLAB_STRICT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_listening_host_is_found(listening):
    assert online("127.0.0.1", listening)


@pytest.mark.parametrize("name", ["CVLAB_OFFLINE", "CVLAB_STRICT"])
def test_the_environment_can_say_no(name, listening, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert not online("127.0.0.1", listening)


def test_a_closed_port_is_not_found():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not online("127.0.0.1", port)


@pytest.mark.parametrize("timeout", [0, -1, None])
def test_the_time_must_be_positive(timeout):
    with pytest.raises(ValueError, match="timeout must be a positive number of seconds"):
        online(timeout=timeout)
