"""Ports that cannot be listened at, in one line."""

import errno
import socket

from seqvae.errors import InputError


def check_port(host: str, port: int, flag: str) -> None:
    """Refuse a TCP port that cannot be listened at, before a model is loaded; 0 is any.

    Raises:
        InputError: it cannot; the message names the flag.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of a server that has ended
        try:
            probe.bind((host.strip("[]"), port))
        except (OSError, OverflowError) as error:
            raise refused_port(host, port, error, flag) from error


def refused_port(host: str, port: int, error: Exception, flag: str) -> InputError:
    """What to say of a port that the system refused."""
    if isinstance(error, OverflowError):
        return InputError(f"port is {port}; it must lie in [0, 65535]: name another with {flag}")
    assert isinstance(error, OSError)
    if error.errno == errno.EADDRINUSE:
        return InputError(f"port {port} is in use; name another with {flag}")
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return InputError(
            f"{host}: no address of this machine ({reason}); name another with --host"
        )
    return InputError(f"port {port} cannot be listened at ({reason}); name another with {flag}")
