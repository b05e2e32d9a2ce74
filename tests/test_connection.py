"""A listening socket is found, a closed one is not."""

import socket

import pytest

from cvlab.connection import online


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_listening_host_is_found(listening, monkeypatch):
    monkeypatch.delenv("CVLAB_OFFLINE", raising=False)
    assert online("127.0.0.1", listening)


def test_the_environment_can_say_no(listening, monkeypatch):
    monkeypatch.setenv("CVLAB_OFFLINE", "1")
    assert not online("127.0.0.1", listening)


def test_a_closed_port_is_not_found(monkeypatch):
    monkeypatch.delenv("CVLAB_OFFLINE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not online("127.0.0.1", port)


@pytest.mark.parametrize("timeout", [0, -1, None])
def test_the_time_must_be_positive(timeout):
    with pytest.raises(ValueError, match="timeout must be a positive number of seconds"):
        online(timeout=timeout)
