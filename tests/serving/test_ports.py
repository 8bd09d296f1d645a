"""Ports that cannot be listened at."""

import errno
import socket

import pytest

from seqvae.errors import InputError
from seqvae.serving.ports import check_port, refused_port


def test_free_ports_pass() -> None:
    check_port("127.0.0.1", 0, "--port")


def test_a_port_that_is_in_use_and_one_that_is_none_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"^port {port} is in use; name another with --port$"):
            check_port("127.0.0.1", port, "--port")
    with pytest.raises(
        InputError, match=r"^port is 99999; it must lie in \[0, 65535\]: .* --port$"
    ):
        check_port("127.0.0.1", 99999, "--port")


def test_an_address_of_another_machine_names_the_host() -> None:
    with pytest.raises(InputError, match=r"^192\.0\.2\.1: no address of .*; .* with --host$"):
        check_port("192.0.2.1", 0, "--port")
    unknown = socket.gaierror(-2, "Name or service not known")
    assert str(refused_port("nowhere", 1, unknown, "--port")).startswith("nowhere: no address")


def test_another_reason_is_told() -> None:
    error = PermissionError(errno.EACCES, "Permission denied")
    assert str(refused_port("127.0.0.1", 80, error, "--port")) == (
        "port 80 cannot be listened at (Permission denied); name another with --port"
    )
