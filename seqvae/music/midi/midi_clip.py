"""PrettyMIDI objects whose files say where a clip ends, and keep as many programs as MIDI can.

`pretty_midi` ends a file with its last note, so that a loop comes out too short. It also gives the
sixteenth instrument the channel of the first, which then plays with the program of the other.
"""

import copy
import io
import logging
from typing import Any

import mido
import pretty_midi

logger = logging.getLogger(__name__)

DRUM_CHANNEL = 9  # counted from 0
PITCHED_CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]
MARK = "seqvae"  # a text event of every file that seqvae writes


class MidiClip(pretty_midi.PrettyMIDI):
    """A `pretty_midi.PrettyMIDI` with an end of its own."""

    end_time = 0.0
    """Where the clip ends, in seconds; never before its last note."""

    def get_end_time(self) -> float:
        """The end of the clip in seconds."""
        return max(float(super().get_end_time()), self.end_time)

    def write(self, filename: Any) -> None:
        """Write a MIDI file whose tracks all end with the clip.

        Args:
            filename: A path, or a file that is open for writing bytes.
        """
        file = self._as_pretty_midi_writes()
        end = self.time_to_tick(self.get_end_time())
        for track in file.tracks:
            track[-1].time = max(end - sum(event.time for event in track[:-1]), 0)
        for track, channel in zip(file.tracks[1:], self._channels(), strict=True):
            for event in track:
                if not event.is_meta:
                    event.channel = channel
        file.save(file=filename) if hasattr(filename, "write") else file.save(filename)

    def _as_pretty_midi_writes(self) -> mido.MidiFile:
        """The file as pretty_midi makes it. Names, which it takes for Latin-1, are in UTF-8."""
        plain = copy.copy(self)
        plain.instruments = [copy.copy(instrument) for instrument in self.instruments]
        for instrument in plain.instruments:
            instrument.name = instrument.name.encode().decode("latin-1")
        plain.text_events = [*self.text_events, pretty_midi.Text(MARK, 0.0)]
        written = io.BytesIO()
        pretty_midi.PrettyMIDI.write(plain, written)
        written.seek(0)
        return mido.MidiFile(file=written)

    def _channels(self) -> list[int]:
        """A channel for each instrument; one for each program where there are too few."""
        pitched = [instrument for instrument in self.instruments if not instrument.is_drum]
        kinds: list[Any] = [id(instrument) for instrument in pitched]
        if len(pitched) > len(PITCHED_CHANNELS):
            kinds = [instrument.program for instrument in pitched]
        numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        if len(numbers) > len(PITCHED_CHANNELS):
            logger.warning(
                "%d programs share the %d channels that MIDI has beside that of drums: "
                "some instruments sound as others",
                len(numbers), len(PITCHED_CHANNELS),
            )  # fmt: skip
        kind_of = iter(kinds)
        return [
            DRUM_CHANNEL
            if instrument.is_drum
            else PITCHED_CHANNELS[numbers[next(kind_of)] % len(PITCHED_CHANNELS)]
            for instrument in self.instruments
        ]
