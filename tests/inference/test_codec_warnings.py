"""What a verb says of a clip that is not what it should be."""

import logging
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from tiny import tiny_vae

from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.inputs import read_clip
from seqvae.inference.options import Reading
from seqvae.music.midi.read import IMPOSSIBLE_TEMPO
from seqvae.music.timing import NO_GRID, OTHER_BEATS, SHORT_NOTES, TRIPLETS
from seqvae.tokenizers.melody import MelodyTokenizer

TOKENIZER = MelodyTokenizer(num_bars=1)
CODEC = Codec(tiny_vae(vocab_sizes=(90,), max_steps=16), TOKENIZER)


def write_performance(path: Path) -> np.ndarray:
    """A note on each of 1200 beats of no tempo; the beats in seconds."""
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0))
    times = np.random.default_rng(0).uniform(0.3, 0.7, 1200).cumsum()
    song.instruments[0].notes = [pretty_midi.Note(80, 60, t, t + 0.1) for t in times]
    song.write(str(path))
    return times


def write_beats(path: Path, times: np.ndarray) -> None:
    path.write_text("".join(f"{t:.4f}\n" for t in times), encoding="utf-8")


def test_a_clip_without_a_grid_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mid"
    times = write_performance(path)
    with caplog.at_level(logging.WARNING):
        CODEC.windows(path)
    assert caplog.messages == [f"{path}: {NO_GRID.text}; name its beat file with --beats"]
    caplog.clear()
    (tmp_path / "a.beats").write_text("".join(f"{t} {i % 4 + 1}\n" for i, t in enumerate(times)))
    with caplog.at_level(logging.WARNING):
        CODEC.windows(path)
    assert caplog.messages == [
        f"{path}: {NO_GRID.text}; beats lie beside: --beats '{{stem}}.beats'"
    ]
    caplog.clear()
    write_beats(tmp_path / "a.txt", times)
    beats = Reading(beats="{stem}.txt", beats_metre="4/4")
    assert len(CODEC.windows(path, beats)) == 300
    assert not caplog.messages
    write_beats(tmp_path / "a.txt", np.arange(1200) * 0.5)
    CODEC.windows(path, beats)
    assert caplog.messages == [f"{path}: {OTHER_BEATS.text}"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (1 / 3, f"{TRIPLETS.text}; a model trained with {TRIPLETS.remedy} does"),
        (1 / 8, f"{SHORT_NOTES.text}; a model trained with {SHORT_NOTES.remedy} does"),
        (0.25, None),
        (0.25 - 0.05, None),  # as played by hand
    ],
)
def test_steps_that_cannot_hold_a_clip_are_said(
    place: float, reason: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mid"
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0))
    onsets = [0.5 * (beat + place * part) for beat in range(64) for part in (0, 1)]
    song.instruments[0].notes = [pretty_midi.Note(80, 60, t, t + 0.05) for t in onsets]
    song.write(str(path))
    expected = [] if reason is None else [f"{path}: {reason}"]
    CODEC.windows(path)
    assert caplog.messages == expected
    caplog.clear()
    read_clip(TOKENIZER, path, Reading())
    assert caplog.messages == expected


def test_what_of_a_clip_could_not_be_taken_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes = [pretty_midi.Note(80, 60 + i, i / 2, i / 2 + 0.5) for i in range(8)]
    song.write(str(tmp_path / "a.mid"))
    data = (tmp_path / "a.mid").read_bytes()
    tempo = b"\xff\x51\x03" + (500_000).to_bytes(3, "big")
    assert tempo in data
    (tmp_path / "a.mid").write_bytes(data.replace(tempo, b"\xff\x51\x03\0\0\0"))
    with caplog.at_level(logging.WARNING):
        CODEC.windows(tmp_path / "a.mid")
    (message,) = caplog.messages
    assert message == f"{tmp_path / 'a.mid'}: {IMPOSSIBLE_TEMPO.text}"


def test_a_clip_that_is_refused_is_told_of_its_beats(tmp_path: Path) -> None:
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes = [pretty_midi.Note(80, 60 + i, i / 2, i / 2 + 0.5) for i in range(8)]
    song.time_signature_changes = [pretty_midi.TimeSignature(5, 8, 0.0)]
    song.write(str(tmp_path / "a.mid"))
    with pytest.raises(InputError) as caught:
        CODEC.windows(tmp_path / "a.mid")
    assert "--beats" not in str(caught.value)
    (tmp_path / "beat_midi.txt").write_text("0 1\n.5 2\n1 3\n1.5 4\n2 1\n")
    with pytest.raises(InputError, match=r"; beats lie beside: --beats 'beat_midi\.txt'"):
        CODEC.windows(tmp_path / "a.mid")
    assert CODEC.windows(tmp_path / "a.mid", Reading(beats="beat_midi.txt"))


def write_melody(path: Path, numerator: int = 4) -> None:
    song = pretty_midi.PrettyMIDI(resolution=480)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes = [pretty_midi.Note(80, 60 + i, i / 2, i / 2 + 0.5) for i in range(8)]
    song.time_signature_changes = [pretty_midi.TimeSignature(numerator, 4, 0.0)]
    path.parent.mkdir(exist_ok=True)
    song.write(str(path))


def test_files_of_a_folder_that_do_not_fit_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = tmp_path / "clips"
    for number in range(3):
        write_melody(clips / f"{number}.mid", numerator=5)
    write_melody(clips / "good.mid")
    (clips / "text.mid").write_text("no MIDI", encoding="utf-8")
    first = str(clips / "0.mid")
    with pytest.raises(InputError, match=r"0\.mid: no usable window: metre 5/4"):
        CODEC.opened(first)
    with caplog.at_level(logging.WARNING):
        opened = CODEC.opened([clips, str(clips / "good.mid")])
    assert len(CODEC.sources(clips)) == 5
    assert [each.source for each in opened] == [clips / "good.mid", str(clips / "good.mid")]
    told, *reasons = caplog.messages
    assert told == f"{clips}: 4 of 5 files left out"
    assert [reason.split(": ")[0] for reason in reasons] == [
        f"  {clips / name}" for name in ("0.mid", "1.mid", "2.mid", "text.mid")
    ]
    assert [len(clip.windows) for clip in CODEC.read(opened)] == [2, 2]
    assert CODEC.windows(opened[0]) is opened[0].windows


def test_of_many_files_that_do_not_fit_some_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(15):
        write_melody(tmp_path / f"clips/{number:02d}.mid", numerator=5)
    with pytest.raises(
        InputError, match=r"none of 15 files fits: .*no usable window: metre 5/4; the model"
    ):
        CODEC.opened(tmp_path / "clips")
    write_melody(tmp_path / "clips/good.mid")
    with caplog.at_level(logging.WARNING):
        assert len(CODEC.opened(tmp_path / "clips")) == 1
    assert len(caplog.messages) == 12
    assert caplog.messages[-1] == "  and 5 others"


def test_a_rule_that_fits_no_track_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mid"
    write_melody(path)
    rules = "bass: track=9; drums: name=k*; melody: track=1; none: file=b*; melody: highest"
    told = [
        f"{path}: no track fits '{rule}'; seqvae look shows the tracks of a file"
        for rule in ("bass: track=9", "drums: name=k*")
    ]
    with caplog.at_level(logging.WARNING):
        CODEC.windows(path, Reading(tracks=rules))
    assert caplog.messages == told
    caplog.clear()
    read_clip(TOKENIZER, str(path), Reading(tracks=rules))
    assert caplog.messages == told
    caplog.clear()
    CODEC.windows(path)
    assert not caplog.messages


def test_a_folder_or_nothing_is_no_single_clip(tmp_path: Path) -> None:
    path = str(tmp_path / "a.mid")
    write_melody(tmp_path / "a.mid")
    with pytest.raises(InputError, match=r"a folder; name one MIDI file of it"):
        CODEC.read_singles([path, tmp_path])
    with pytest.raises(InputError, match=r"a folder; name one MIDI file of it"):
        read_clip(TOKENIZER, tmp_path, Reading())
    for read in (CODEC.read, CODEC.read_singles):
        with pytest.raises(InputError, match="an input is an empty string; name a MIDI file or a"):
            read([path, ""])
    assert len(CODEC.read_singles([path, path])) == 2


def test_a_clip_without_notes_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "silence.mid"
    pretty_midi.PrettyMIDI().write(str(path))
    with caplog.at_level(logging.WARNING):
        CODEC.windows(path)
        read_clip(TOKENIZER, path, Reading())
    assert caplog.messages == [f"{path}: no notes in it; it is heard as silence"] * 2
