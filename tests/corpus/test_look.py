"""What `look` tells of a file: its tracks, and what each kind of model would take of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

import seqvae
from seqvae.corpus.look import Look, about, files_in, look_at, tokenizers_of
from seqvae.errors import InputError
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Key, Metre, Piece, Tempo, make_notes
from seqvae.tokenizers import make_tokenizer, save_tokenizer


def write_band(path: Path, names: tuple[str, ...] = ("Lead", "Bass", "Drums")) -> Path:
    """A clip as a DAW exports it: four bars, three tracks without programs, none of them drums."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    midi.time_signature_changes = [pretty_midi.TimeSignature(4, 4, 0)]
    for name, pitch in zip(names, (72, 40, 36), strict=True):
        track = pretty_midi.Instrument(0, name=name)
        for beat in np.arange(0, 8, 0.5):
            track.notes.append(pretty_midi.Note(80, pitch, beat, beat + 0.4))
        midi.instruments.append(track)
    midi.write(str(path))
    return path


def heard(file: Path, preset: str | None, tracks: str | None = None) -> Look:
    look = seqvae.look(file, preset, tracks)
    assert isinstance(look, Look)
    return look


def test_the_table_of_a_band(tmp_path: Path) -> None:
    file = write_band(tmp_path / "band.mid")
    assert look_at(file).table().splitlines() == [
        f"{file}: 4 bars of 4/4, 120 quarters per minute, in C major",
        "track  name   channel  program  notes  range  chords  heard as  why",
        "1      Lead   1        0        16     C5-C5  0%      melody    by its name",
        "2      Bass   2        0        16     E2-E2  0%      bass      by its name",
        "3      Drums  3        0        16     C2-C2  0%      drums     by its name",
        "melody: 3 windows for training; left out 1 track: another line "
        "(--data.tracks 'melody: all'), 1 track: drums (--data.tracks)",
        "drums: 3 windows for training; left out 2 tracks: not drums (--data.tracks)",
        "groove: 3 windows for training; left out 2 tracks: not drums (--data.tracks)",
        "trio: 3 windows for training",
        "voices: nothing: 2 lines (--data.tokenizer.num_voices 2)",
        "polyphony: 3 windows for training; left out 1 track: drums (--data.tokenizer.programs)",
    ]


def test_an_only_track_that_is_taken_for_drums_is_said(tmp_path: Path) -> None:
    file = tmp_path / "taps.mid"
    taps = make_notes(range(0, 64, 4), range(2, 66, 4), 36)
    to_pretty_midi(Piece(taps, 4)).write(str(file))
    verdict = heard(file, "drums").verdicts["drums"]
    assert verdict.endswith("for training; its only track is taken for drums")


def test_a_preset_and_rules_decide_how_tracks_are_heard(tmp_path: Path) -> None:
    file = write_band(tmp_path / "band.mid", ("One", "Two", "Three"))
    trio = heard(file, "trio", "drums: name=three")
    assert [part.role for part in trio.parts] == ["melody", "bass", "drums"]
    looped = "1 window for training; a loop of 4 bars, repeated to fill a window"
    assert trio.verdicts == {"trio": looped}
    melody = heard(file, "melody")
    assert [part.role for part in melody.parts] == ["melody", "line", "line"]
    assert heard(file, "drums").verdicts == {"drums": "nothing: no drums (--data.tracks)"}
    assert heard(file, "drums", "drums: all").parts[0].role == "drums"
    everywhere = heard(file, None, "drums: all")
    assert {part.role for part in everywhere.parts} == {"drums"}


def test_presets_are_configs_runs_bundles_and_kinds(tmp_path: Path) -> None:
    tokenizer = make_tokenizer({"kind": "melody", "num_bars": 7})
    (tmp_path / "run/bundle").mkdir(parents=True)
    save_tokenizer(tokenizer, tmp_path / "run/bundle")
    assert tokenizers_of(tmp_path / "run") == {"run": tokenizer}
    assert tokenizers_of(tmp_path / "run/bundle") == {"bundle": tokenizer}
    config = tmp_path / "seven.yaml"
    config.write_text("data: {tokenizer: {kind: melody, num_bars: 7}}", encoding="utf-8")
    assert tokenizers_of(config) == {"seven": tokenizer}
    assert tokenizers_of("groove") == {"groove": make_tokenizer({"kind": "groove"})}
    assert [*tokenizers_of(None)] == [
        "melody", "drums", "groove", "trio", "voices", "polyphony",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "no preset .No such file"),
        ("data: {}", "data.tokenizer is missing"),
        ("- 1", "data.tokenizer is missing"),
        ("a: b: c", "not YAML"),
        ("data: {tokenizer: {kind: horn}}", "choose one of"),
    ],
)
def test_other_presets_are_refused(tmp_path: Path, config: str | None, message: str) -> None:
    file = tmp_path / "c.yaml"
    if config is not None:
        file.write_text(config, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        tokenizers_of(file)


def test_a_text_is_told_by_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("A man sees.\n\nOf the sea, a boat.\n" + "x\n" * 3, encoding="utf-8")
    expected = [
        f"{file}: 5 lines of 1 to 19 characters; left out 1 line: an empty line",
        "    1  A man sees.",
        "    2  Of the sea, a boat.",
        "    3  x",
    ]
    assert seqvae.look(file).table().splitlines() == expected
    assert look_at(file, "text").table().splitlines() == expected
    with pytest.raises(InputError, match="a MIDI file"):
        look_at(write_band(tmp_path / "band.mid"), "text")
    with pytest.raises(InputError, match="not a MIDI file"):
        look_at(file, "melody")
    with pytest.raises(InputError, match="cannot be read"):
        look_at(tmp_path / "missing.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(InputError, match=r"empty\.txt: no lines: the file is empty"):
        look_at(tmp_path / "empty.txt")
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError, match=r"blank\.txt: no lines: an empty line"):
        look_at(tmp_path / "blank.txt")


def test_a_table_and_another_encoding_are_told_by_flags_of_look(tmp_path: Path) -> None:
    file = tmp_path / "rev.csv"
    lines = ["text,label", *(f"une idée à moi {n},{n}" for n in range(20))]
    file.write_bytes("\n".join(lines).encode("cp1252"))
    with pytest.raises(InputError, match=r"columns text, label; name .* by --column$"):
        look_at(file)
    with pytest.raises(InputError, match=r"give --encoding cp1252"):
        look_at(file, column="text")
    found = seqvae.look(file, column="text", encoding="cp1252")
    assert found.table().splitlines()[1] == "    1  une idée à moi 0"
    lines[5:] = [line.replace("à", "a").replace("é", "e") for line in lines[5:]] * 8
    file.write_bytes("\n".join(lines).encode("cp1252"))
    assert "replaced by U+FFFD (--encoding)" in look_at(file, column="text").table()


def test_folders_stand_for_their_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    files = [write_band(tmp_path / name) for name in ("a.mid", "b.mid")]
    assert files_in([tmp_path, "x.mid"]) == [*files, Path("x.mid")]
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in ("b.txt", "a.csv", "c.pdf"):
        (texts / name).write_text("a line\n", encoding="utf-8")
    assert files_in([texts]) == [texts / "a.csv", texts / "b.txt"]
    with pytest.raises(InputError, match="holds no MIDI files and no texts"):
        files_in([tmp_path / "empty"])


def test_the_line_of_a_piece() -> None:
    notes = make_notes([0, 1, 2], [1, 2, 60], [60, 64, 67])
    metres = (Metre(0, 4, 4), Metre(16, 3, 4), Metre(40, 4, 4))
    piece = Piece(notes, 4, metres, (Tempo(0, 90.0), Tempo(9, 120.5)), key=Key(2))
    line = "5 bars of 4/4, 3/4, 90 to 120.5 quarters per minute, in C major"
    assert about(piece) == f"{line} (signature: D major)"
    assert about(replace(piece, key=None)) == line
    drums = make_notes([0], [80], [36], is_drum=True)
    assert about(Piece(drums, 4)) == "5 bars of 4/4, 120 quarters per minute"
