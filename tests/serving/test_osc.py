"""Codes in and notes out by OSC, over the loopback."""

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import Trained

from seqvae.errors import InputError
from seqvae.music.notes import join
from seqvae.serving import osc
from seqvae.serving.loop import Looper, notes_of
from seqvae.serving.midi_port import MidiPort
from seqvae.serving.osc import Instrument, Messages, latest, messages_in, plane_through

builder = pytest.importorskip("pythonosc.osc_message_builder", reason="python-osc is not installed")

JUNK = [
    b"", b"\0", b"#bundle\0", b"/seqvae/code", b"/seqvae/code\0\0\0,ff\0\1", b"\xff" * 200,
    b"#bundle\0" + b"\0" * 8 + b"\xff" * 8, b"/\xc3\x28\0,s\0\0abc\0", b"x" * 60000,
]  # fmt: skip


def message(name: str, *values: Any) -> bytes:
    made = builder.OscMessageBuilder(address=name)
    for value in values:
        made.add_arg(value)
    datagram: bytes = made.build().dgram
    return datagram


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The model's socket, and that of whoever plays it."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
    ):
        for each in (here, there):
            each.bind(("127.0.0.1", 0))
            each.settimeout(20)
        yield here, there


@pytest.fixture
def instrument(melodies: Trained, pair: tuple[socket.socket, socket.socket]) -> Instrument:
    here, there = pair
    messages = Messages(here, there.getsockname())
    return Instrument(melodies.vae, Looper([messages]), messages)


def answer(there: socket.socket, wanted: str) -> list[Any]:
    """The values of the next message of a name."""
    while True:
        for name, values in messages_in(there.recv(65536)):
            if name == f"/seqvae/{wanted}":
                return values


def test_codes_come_in_and_notes_go_out(
    melodies: Trained, pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    messages = Messages(here, there.getsockname())
    looper = Looper([messages])
    instrument = Instrument(melodies.vae, looper, messages)

    thread = threading.Thread(target=osc.play, args=(here, instrument))
    thread.start()
    try:
        place = here.getsockname()
        for junk in JUNK:
            there.sendto(junk, place)
        there.sendto(message("/seqvae/unknown", 1), place)
        there.sendto(message("/seqvae/code", 1.0, 2.0, 3.0), place)
        (told,) = answer(there, "error")
        assert told == "3 numbers; send 4 for a code, or 2 for a point of the plane"
        there.sendto(message("/seqvae/qpm", 400.0), place)
        there.sendto(message("/wek/inputs", 0.5, -1.0, 2.0, 0.25), place)
        piece = join([*melodies.vae.stream(torch.tensor([[0.5, -1.0, 2.0, 0.25]]))])
        notes, _ = notes_of(piece)
        assert answer(there, "clip") == [len(notes), 32]
        if notes:
            first = notes[0]
            assert answer(there, "note") == [first.pitch, first.velocity, first.channel]
        assert answer(there, "beat")
        there.sendto(message("/seqvae/stop"), place)
        answer(there, "stop")
        assert looper.sounding == {}
    finally:
        looper.close()
        there.sendto(b"", here.getsockname())  # which wakes it
        thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("junk", JUNK)
def test_junk_holds_no_messages(junk: bytes) -> None:
    assert [*messages_in(junk)] == []


def test_of_several_codes_the_last_counts(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    for each in (("/seqvae/code", 1.0), ("/seqvae/qpm", 90.0), ("/seqvae/code", 2.0)):
        there.sendto(message(*each), here.getsockname())
    assert latest(here) == [("/seqvae/qpm", [90.0]), ("/seqvae/code", [2.0])]


def test_two_numbers_are_a_point_of_the_plane_of_the_prior(instrument: Instrument) -> None:
    middle, axes = instrument.plane
    assert torch.allclose(instrument._code([0.5, 0.5])[0], middle)
    assert torch.allclose(instrument._code([1.0, 0.5])[0], middle + axes[0])
    codes = torch.tensor([[3.0, 1, 0], [-3, 1, 0], [0, 2, 0], [0, 0, 0]])
    middle, axes = plane_through(codes)
    assert middle.tolist() == [0, 1, 0]
    expected = torch.tensor([[4.89898, 0, 0], [0, 1.63299, 0]])
    assert torch.allclose(axes.abs(), expected, atol=1e-4)
    line_middle, line = plane_through(torch.tensor([[1.0], [3.0]]))
    assert (line_middle.tolist(), line.shape, line[1].tolist()) == ([2.0], (2, 1), [0.0])


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("/seqvae/qpm", [], "takes 1 number; there are 0"),
        ("/seqvae/qpm", ["fast"], "takes numbers"),
        ("/seqvae/temperature", [float("nan")], "takes finite numbers"),
        ("/seqvae/sample", [-1], "seed is -1"),
    ],
)
def test_what_is_impossible_is_told(
    instrument: Instrument, name: str, values: list[Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        instrument.receive(name, values)


def test_a_taken_port_and_a_model_of_text_are_told(
    melodies: Trained, sentences: Trained, pair: tuple[socket.socket, socket.socket]
) -> None:
    asked = {"host": "127.0.0.1", "to": "127.0.0.1", "send": 9, "midi": False, "qpm": 120.0}
    with pytest.raises(InputError, match="models of music"):
        osc.serve(sentences.run, receive=0, **asked)
    taken = pair[0].getsockname()[1]
    with pytest.raises(InputError, match=f"^port {taken} is in use; name another with --receive$"):
        osc.serve(melodies.run, receive=taken, **asked)


def test_a_port_gets_the_bytes_of_midi() -> None:
    sent: list[list[int]] = []

    class Port:
        def send_message(self, message: list[int]) -> None:
            sent.append(message)

    port = MidiPort(Port())
    port.start()
    port.tick(7)
    port.note(36, 90, 10)
    port.note(36, 0, 10)
    port.stop()
    assert sent == [[0xFA], [0xF8], [0x99, 36, 90], [0x89, 36, 0], [0xFC]]


def test_without_rtmidi_or_ports_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(InputError, match="pip install python-rtmidi"):
        MidiPort.opened()


def test_serve_is_called_with_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqvae import cli

    called: list[Any] = []
    monkeypatch.setattr(osc, "serve", lambda *given, **flags: called.append((given, flags)))
    cli.serve(["drums_2bar", "--osc", "--send", "57120", "--midi"])
    assert called == [
        (
            (Path("drums_2bar"),),
            {
                "midi": True, "qpm": 120.0, "host": "127.0.0.1", "receive": 6448,
                "to": "127.0.0.1", "send": 57120,
            },
        )
    ]  # fmt: skip
