"""Codes in and notes out by OSC: the model as an instrument of Max, Pure Data or SuperCollider.

The ports are those of Wekinator, whose messages are understood, too. Whatever is no OSC message of
ours is ignored: anything may send to a UDP port.
"""

import logging
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from seqvae.errors import InputError
from seqvae.inference.trained import TrainedVAE
from seqvae.music.notes import Piece, join
from seqvae.pages.plane import principal_axes
from seqvae.serving.loop import TICKS, Looper, Output, notes_of
from seqvae.serving.midi_port import MidiPort
from seqvae.serving.ports import refused_port

MISSING = (
    "seqvae serve needs python-osc: pip install 'seqvae[osc]', in a checkout pip install '.[osc]'"
)
LARGEST = 65536  # bytes of a datagram
MOST_AT_ONCE = 1000  # datagrams that are read before any is obeyed
SWITCH_SECONDS = 0.0005  # after which a thread that decodes lets the one that plays go on
NUM_CODES = 400  # of the prior, through which the plane of two numbers is laid
REACH = 2.0  # standard deviations from its middle to its edge
CODES = ("/seqvae/code", "/wek/inputs")

logger = logging.getLogger(__name__)


class Messages:
    """An output of `Looper` that sends OSC messages to one address."""

    def __init__(self, there: socket.socket, address: tuple[str, int]) -> None:
        """`there` is a UDP socket."""
        self.there, self.address = there, address

    def send(self, name: str, *values: Any) -> None:
        """Send a message; whether somebody listens is not known."""
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address=f"/seqvae/{name}")
        for value in values:
            builder.add_arg(value)
        try:
            self.there.sendto(builder.build().dgram, self.address)
        except OSError as error:  # the receiver is gone, or its network is
            logger.debug("%s", error)

    def note(self, pitch: int, velocity: int, channel: int) -> None:
        """`/seqvae/note pitch velocity channel`."""
        self.send("note", pitch, velocity, channel)

    def tick(self, number: int) -> None:
        """`/seqvae/beat number` once a quarter."""
        if number % TICKS == 0:
            self.send("beat", number // TICKS)

    def start(self) -> None:
        """`/seqvae/start`."""
        self.send("start")

    def stop(self) -> None:
        """`/seqvae/stop`."""
        self.send("stop")


class Instrument:
    """A model that plays the code that came last."""

    def __init__(self, vae: TrainedVAE, looper: Looper, messages: Messages) -> None:
        """Begins with a sample of the prior."""
        self.vae, self.looper, self.messages = vae, looper, messages
        self.temperature = 0.0
        self.plane = plane_through(vae.prior.sample(NUM_CODES, vae.codec.generator(0)).cpu())

    def receive(self, name: str, values: Sequence[Any]) -> None:
        """Do what a message asks for; an unknown one asks for nothing.

        Raises:
            InputError: it asks for something impossible.
        """
        if name in CODES:
            self._play(self._code(_numbers(name, values)))
        elif name == "/seqvae/sample":
            seed = [int(number) for number in _numbers(name, values[:1])]
            generator = self.vae.codec.generator(seed[0] if seed else None)
            self._play(self.vae.prior.sample(1, generator))
        elif name == "/seqvae/temperature":
            (temperature,) = _numbers(name, values, 1)
            self.temperature = max(0.0, temperature)
        elif name == "/seqvae/qpm":
            (qpm,) = _numbers(name, values, 1)
            self.looper.set_tempo(qpm)
        elif name == "/seqvae/play":
            self.looper.play()
        elif name == "/seqvae/stop":
            self.looper.stop()

    def _code(self, numbers: list[float]) -> Float[Tensor, "1 Z"]:
        """A code itself, or where two numbers from 0 to 1 lie on the plane."""
        latent_dim = self.vae.model.config.latent_dim
        if len(numbers) == latent_dim:
            return torch.tensor([numbers])
        if len(numbers) == 2:
            middle, axes = self.plane
            return middle + (2 * torch.tensor([numbers]) - 1) @ axes
        raise InputError(
            f"{len(numbers)} numbers; send {latent_dim} for a code, or 2 for a point of the plane"
        )

    def _play(self, code: Float[Tensor, "1 Z"]) -> None:
        bars = self.vae.stream(code, temperature=self.temperature)
        piece = join([bar for bar in bars if isinstance(bar, Piece)])
        notes, length = notes_of(piece)
        self.looper.take(notes, length)
        self.messages.send("clip", len(notes), piece.end_step)
        if not self.looper.is_playing:
            self.looper.play()


def plane_through(codes: Float[Tensor, "N Z"]) -> tuple[Float[Tensor, " Z"], Float[Tensor, "2 Z"]]:
    """The middle of codes, and along their two principal axes the way to the edge of a plane."""
    middle, axes, variances = principal_axes(codes)
    return middle, (REACH * variances.sqrt() * axes).T


def messages_in(datagram: bytes) -> Iterator[tuple[str, list[Any]]]:
    """The names and values of the OSC messages of a datagram; of junk there are none."""
    from pythonosc.osc_packet import OscPacket

    try:
        messages = [each.message for each in OscPacket(datagram).messages]
        found = [(message.address, [*message.params]) for message in messages]
    except Exception as error:  # the library raises whatever reading the junk raises
        logger.debug("no OSC: %s", error)
        return
    yield from found


def serve(
    model: Path, *, host: str, receive: int, to: str, send: int, midi: bool, qpm: float
) -> None:
    """Play what is asked for by OSC until the program is interrupted.

    Raises:
        InputError: python-osc is not installed, the model has no music or no code, the port is
            taken, or there is no MIDI port.
    """
    try:
        import pythonosc  # noqa: F401  # its absence is told before the model is loaded
    except ImportError:
        raise InputError(MISSING) from None
    vae = TrainedVAE.load(model)
    if vae.tokenizer.modality == "text" or vae.model.config.latent_dim == 0:
        raise InputError(f"{model}: OSC plays models of music that have a code")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        try:
            here.bind((host, receive))
        except (OSError, OverflowError) as error:
            raise refused_port(host, receive, error, "--receive") from error
        messages = Messages(here, (to, send))
        outputs: list[Output] = [messages, *([MidiPort.opened()] if midi else [])]
        looper = Looper(outputs)
        looper.set_tempo(qpm)
        print(f"OSC comes in at {host}:{receive}, and goes out to {to}:{send}", flush=True)
        play(here, Instrument(vae, looper, messages))


def play(here: socket.socket, instrument: Instrument) -> None:
    """Receive and play until the looper is closed or the program is interrupted."""
    sys.setswitchinterval(SWITCH_SECONDS)
    looper = instrument.looper
    thread = threading.Thread(target=looper.run, daemon=True)
    thread.start()
    try:
        while not looper.is_closed:
            for name, values in latest(here):
                try:
                    instrument.receive(name, values)
                except InputError as error:
                    instrument.messages.send("error", str(error))
    finally:
        looper.close()
        thread.join()


def latest(here: socket.socket) -> list[tuple[str, list[Any]]]:
    """The messages that have come. Of codes the last alone counts: hands are faster than models."""
    messages = [*messages_in(here.recv(LARGEST))]
    patience = here.gettimeout()
    here.setblocking(False)
    try:
        for _ in range(MOST_AT_ONCE):
            messages += messages_in(here.recv(LARGEST))
    except BlockingIOError:
        pass
    finally:
        here.settimeout(patience)
    codes = [i for i, (name, _) in enumerate(messages) if name in CODES]
    return [each for i, each in enumerate(messages) if i not in codes[:-1]]


def _numbers(name: str, values: Sequence[Any], count: int | None = None) -> list[float]:
    """The values of a message as numbers.

    Raises:
        InputError: one of them is none, or there are not as many as there should be.
    """
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} takes numbers") from None
    if not all(abs(number) < 1e9 for number in numbers):
        raise InputError(f"{name} takes finite numbers")
    if count is not None and len(numbers) != count:
        raise InputError(f"{name} takes {count} number; there are {len(numbers)}")
    return numbers
