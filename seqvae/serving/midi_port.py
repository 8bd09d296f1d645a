"""A MIDI port of our own, to which a DAW listens: notes, and the clock that it follows."""

from typing import Any

from seqvae.errors import InputError

NAME = "seqvae"
MISSING = "--midi needs python-rtmidi: pip install python-rtmidi"
NOTE_OFF, NOTE_ON, CLOCK, START, STOP = 0x80, 0x90, 0xF8, 0xFA, 0xFC


class MidiPort:
    """An output of `Looper` that writes MIDI bytes to whatever has `send_message`."""

    def __init__(self, port: Any) -> None:
        """Use `opened` for a port of this machine."""
        self.port = port

    @classmethod
    def opened(cls) -> "MidiPort":
        """A new port by the name of this program; on Windows, one of that name has to be there.

        Raises:
            InputError: python-rtmidi is missing, or this machine has no such ports.
        """
        try:
            import rtmidi
        except ImportError:
            raise InputError(MISSING) from None
        try:
            port = rtmidi.MidiOut(name=NAME)
            names = [name for name in port.get_ports() if NAME in name]
            if names:
                port.open_port(port.get_ports().index(names[0]))
            else:
                port.open_virtual_port(NAME)
        except (rtmidi.SystemError, NotImplementedError) as error:
            raise InputError(
                f"no MIDI port: {error}; on Windows make one with loopMIDI and name it {NAME}"
            ) from error
        return cls(port)

    def note(self, pitch: int, velocity: int, channel: int) -> None:
        """A note begins or ends."""
        kind = NOTE_ON if velocity else NOTE_OFF
        self.port.send_message([kind | (channel - 1), pitch, velocity])

    def tick(self, number: int) -> None:
        """One of 24 a quarter."""
        self.port.send_message([CLOCK])

    def start(self) -> None:
        """From the beginning."""
        self.port.send_message([START])

    def stop(self) -> None:
        """Until the next start."""
        self.port.send_message([STOP])
