"""Chords: names and numbers, what notes suggest, and a model that plays over them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
import torch
from tiny import random_ids, tiny_vae

from seqvae.corpus.scores import NO_CHORD_FILE, extract_file
from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.prior import Prior
from seqvae.inference.trained import TrainedVAE
from seqvae.music.beats import BeatTrack
from seqvae.music.chords import (
    NO_CHORD,
    NUM_CHORDS,
    ChordTrack,
    half_bars,
    parse_chord,
    parse_chords,
    read_chords,
    suggested_chords,
    transpose_chords,
)
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import NOTE_NAMES, Metre, Piece, make_notes
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer

NAMES = ["N", *(r + q for q in ("", "m", "aug", "dim", "sus4") for r in NOTE_NAMES)]  # by number


def named(numbers: Iterable[int]) -> list[str]:
    return [NAMES[number] for number in numbers]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("C", "C:maj", "CM", "Cmaj7", "C7", "C6", "C9", "Cadd9", "C/E", "C:maj/3", "B#"), "C"),
        (("Am", "Amin", "A-", "Am7", "A:min7", "A:min/b3", "Am/C", "A:minmaj7"), "Am"),
        (("F#dim", "F#o", "F#m7b5", "Gb:hdim7", "F#dim7"), "F#dim"),
        (("Bbaug", "Bb+", "A#aug7"), "Bbaug"),
        (("Gsus4", "Gsus", "G7sus4", "G:sus4(b7)", "Csus2", "C:sus2"), "Gsus4"),
        (("N", "N.C."), "N"),
    ],
)
def test_names(names: Sequence[str], expected: str) -> None:
    assert {NAMES[parse_chord(name)] for name in names} == {expected}


def test_every_chord_has_its_number() -> None:
    assert len(NAMES) == NUM_CHORDS == 61
    assert [parse_chord(name) for name in NAMES] == list(range(NUM_CHORDS))


@pytest.mark.parametrize("name", ["Xm7", "H", "c", "Cfoo", "Am7x", "", "C/", "7"])
def test_a_name_that_is_no_chord_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is not a chord; write chords as C, Am"):
        parse_chord(name)


def test_a_progression() -> None:
    assert named(parse_chords("C Am | F G7")) == ["C", "Am", "F", "G"]
    assert named(parse_chords("C, Am,F |G")) == ["C", "Am", "F", "G"]
    assert named(parse_chords("Cmin7b5 C:min7(b5) C-7b5 C7#5")) == ["Cdim", "Cdim", "Cdim", "Caug"]
    with pytest.raises(InputError, match="no chords in"):
        parse_chords(" | ")


def test_transposition() -> None:
    before = np.array(parse_chords("C Am Bdim N F#sus4"))
    after = transpose_chords(before, np.full(5, 3))
    assert named(after) == ["Eb", "Cm", "Ddim", "N", "Asus4"]
    assert (transpose_chords(after, np.full(5, -3)) == before).all()


def notes(*chords: tuple[int, list[int]]) -> Piece:
    rows = [(step, step + 4, pitch) for step, pitches in chords for pitch in pitches]
    start, end, pitch = (list(column) for column in zip(*rows, strict=True))
    return Piece(make_notes(start, end, pitch), 4)


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ([60, 64, 67], "C"),
        ([64, 67, 72], "C"),  # turned over
        ([57, 60, 64, 69], "Am"),
        ([59, 62, 65], "Bdim"),
        ([60, 64, 68], "Caug"),
        ([64, 68, 72], "Eaug"),  # of equals the one on the lowest note
        ([67, 72, 74], "Gsus4"),
        ([60, 64, 67, 70], "C"),  # a seventh
        ([60], "C"),  # of equals the plainest
        ([60, 63], "Cm"),
        ([60, 67], "C"),
        ([60, 61, 62, 63, 64, 65], "N"),
    ],
)
def test_what_notes_suggest(pitches: list[int], expected: str) -> None:
    (chord,) = suggested_chords(notes((0, pitches)).notes, [0, 4])
    assert named([chord]) == [expected]


def test_notes_suggest_where_they_sound() -> None:
    piece = notes((0, [60, 64, 67]), (6, [57, 60, 64]))
    suggested = suggested_chords(piece.notes, [0, 4, 6, 12, 16])
    assert named(suggested) == ["C", "N", "Am", "N"]
    drums = make_notes([0], [4], [36], is_drum=True)
    assert suggested_chords(drums, [0, 4]).tolist() == [NO_CHORD]


@pytest.mark.parametrize(
    ("sounding", "expected"),
    [
        # long notes count more than many short ones
        ([(60, 0, 8), (64, 0, 8), (67, 0, 8), (62, 0, 1), (65, 1, 2), (69, 2, 3), (71, 3, 4)], "C"),
        # only the time between the edges counts
        ([(60, -20, 1), (64, -20, 1), (67, -20, 1), (62, 1, 4), (65, 1, 4), (69, 1, 4)], "Dm"),
        ([(60, 7, 30), (64, 7, 30), (67, 7, 30), (62, 0, 7), (65, 0, 7), (69, 0, 7)], "Dm"),
        # of equals, C has all its notes, and F#dim only the bass
        ([(42, 0, 2), (48, 0, 2), (52, 0, 1), (55, 0, 1)], "C"),
    ],
)
def test_chords_fit_by_the_time_that_notes_sound(
    sounding: list[tuple[int, int, int]], expected: str
) -> None:
    pitch, start, end = (np.array(column) for column in zip(*sounding, strict=True))
    before = 32
    (chord,) = suggested_chords(make_notes(start + before, end + before, pitch), [32, 40])
    assert named([chord]) == [expected]


def test_a_chord_file(tmp_path: Path) -> None:
    file = tmp_path / "chords.txt"
    file.write_text("0.0\t1.0\tN\n1.0\t2.1\tC:maj\n\n2.1\t5.0\tA:min7\n")
    track = read_chords(file)
    assert track.times.tolist() == [0.0, 1.0, 2.1, 5.0]
    assert named(track.numbers) == ["N", "C", "Am", "N"]
    file.write_text("\ufeff0 1 C\n2 3 G\n")  # there is none between them
    track = read_chords(file)
    assert list(zip(track.times, named(track.numbers), strict=True)) == [
        (0, "C"), (1, "N"), (2, "G"), (3, "N"),
    ]  # fmt: skip
    for text, reason in [
        ("0 1 C\n1 2 Xm7\n", "line 2: 'Xm7' is not a chord"),
        ("0 1\n", "line 1: '0 1' must be begin, end, chord"),
        ("", "no chords"),
        ("1 2 C\n0 1 D\n", "line 2: the times 0 and 1 do not rise"),
        ("0 nan C\n", "line 1: the times 0 and nan do not rise"),
        ("0 1 C minor\n", "line 1: '0 1 C minor' must be begin, end, chord"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            read_chords(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_chords(tmp_path / "absent")


CHORDS = ChordTrack(np.array([0.0, 1.0, 2.02]), np.array(parse_chords("N C Am")))


def test_chords_lie_on_the_grid_of_their_file() -> None:
    song = pretty_midi.PrettyMIDI(initial_tempo=60)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes.append(pretty_midi.Note(80, 60, 0.0, 4.0))
    piece = read_midi(song, 4, chords=CHORDS)
    assert [(step, NAMES[n]) for step, n in piece.chords] == [(0, "N"), (4, "C"), (8, "Am")]
    beats = BeatTrack(np.arange(9) * 0.5, np.arange(9) % 4 == 0)
    piece = read_midi(song, 4, beats, CHORDS)
    assert [step for step, _ in piece.chords] == [0, 8, 16]


def test_chords_go_to_the_nearest_step_and_the_last_of_a_step_counts() -> None:
    chords = ChordTrack(np.arange(6.0), np.arange(1, 7))
    positions = np.array([-0.3, 3.49, 3.5, 7.99, 8.01, 12.6])
    assert chords.changes(positions) == ((0, 1), (3, 2), (4, 3), (8, 5), (13, 6))


def test_chords_of_a_performance_with_a_pickup_lie_in_its_bars() -> None:
    """The first downbeat is at 1 s, the pickup at 0.5 s; the chords change a moment early."""
    song = pretty_midi.PrettyMIDI(initial_tempo=60)
    song.instruments.append(pretty_midi.Instrument(0))
    song.instruments[0].notes += [
        pretty_midi.Note(80, 60, 0.5, 1.0), pretty_midi.Note(80, 64, 1.0, 3.0),
    ]  # fmt: skip
    beats = BeatTrack(1 + np.arange(9) * 0.5, np.arange(9) % 4 == 0)
    chords = ChordTrack(np.array([0.999, 2.999, 3.5]), np.array(parse_chords("C F N")))
    piece = read_midi(song, 4, beats, chords)
    assert piece.notes["start"].tolist() == [12, 16]
    assert piece.chords == ((16, parse_chord("C")), (32, parse_chord("F")), (36, NO_CHORD))


MELODY = MelodyTokenizer(num_bars=1, chords=True)


def test_a_step_is_given_its_chord() -> None:
    piece = notes((0, [60]), (4, [64]), (8, [69]), (12, [57]))
    known = Piece(piece.notes, 4, chords=((0, parse_chord("C")), (6, parse_chord("F"))))
    assert MELODY.condition_sizes == (NUM_CHORDS,)
    assert MelodyTokenizer().condition_sizes == ()
    (example,) = MELODY.encode(known)
    assert named(example.ids[:, 1]) == ["C"] * 6 + ["F"] * 10
    (bare,) = MelodyTokenizer(num_bars=1).encode(known)
    assert (example.ids[:, :1] == bare.ids).all()
    assert (MELODY.decode(example).notes == MelodyTokenizer().decode(bare).notes).all()
    # where no file tells them, the half bars suggest their own
    chord = notes((0, [48, 52, 55, 60]), (8, [45, 48, 52, 69]))
    (example,) = MelodyTokenizer(num_bars=1, chords=True, max_chord_share=1).encode(chord)
    assert named(example.ids[:, 1]) == ["C"] * 8 + ["Am"] * 4 + ["N"] * 4


def test_chords_are_transposed_with_their_notes() -> None:
    piece = Piece(notes((0, [60]), (4, [64])).notes, 4, chords=((0, parse_chord("C")),))
    (example,) = MELODY.encode(piece)
    ids = np.stack([example.ids] * 100)
    moved = MELODY.augment(ids, np.random.default_rng(0))
    interval = moved[:, 0, 0] - ids[:, 0, 0]
    assert len(set(interval.tolist())) == 11
    assert ((moved[:, 0, 1] - 1) % 12 == interval % 12).all()
    trio = TrioTokenizer(num_bars=1, chords=True)
    ids = np.concatenate([ids[..., :1]] * 2 + [ids[..., :1] * 0, ids[..., 1:]], axis=2)
    moved = trio.augment(ids, np.random.default_rng(0))
    assert ((moved[:, 0, 3] - 1) % 12 == (moved[:, 0, 0] - ids[:, 0, 0]) % 12).all()
    assert trio.decode(Example(ids[0])).num_steps == 16


@torch.no_grad()
def test_encoder_and_decoder_see_chords_and_do_not_predict_them() -> None:
    model = tiny_vae(vocab_sizes=(5, 3), condition_sizes=(7,))
    ids, lengths = random_ids((5, 3, 7), 2, 6), torch.tensor([6, 6])
    changed = ids.clone()
    changed[:, 3, 2] = (ids[:, 3, 2] + 1) % 7
    z = model.encode(ids, lengths).mean
    assert ((model.encode(changed, lengths).mean - z).abs() > 1e-5).any()
    before, after = model.decoder(z, ids), model.decoder(z, changed)
    assert [logits.shape[2] for logits in before] == [5, 3]
    for old, new in zip(before, after, strict=True):
        moved = (new - old).abs().amax(2)
        assert (moved[:, :3] == 0).all()
        assert (moved[:, 3:] > 1e-6).all()  # a step sees its own chord


@torch.no_grad()
def test_decoding_follows_what_is_given() -> None:
    model = tiny_vae(condition_sizes=(7,), std=1.5)
    z, given = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), random_ids((7,), 8, 6)
    decoded = model.decode(z, conditions=given)
    assert decoded.ids.shape == (8, 6, 2)
    assert torch.equal(decoded.ids[..., 1:], given)
    (logits,) = model.decoder(z, decoded.ids)
    assert torch.equal(logits.argmax(-1), decoded.ids[..., 0])
    nothing = model.decode(z)
    assert (nothing.ids[..., 1] == 0).all()
    assert not torch.equal(nothing.ids[..., 0], decoded.ids[..., 0])


def test_the_verbs_play_over_chords() -> None:
    model = tiny_vae(vocab_sizes=(90,), condition_sizes=(NUM_CHORDS,), max_steps=16, std=1.0)
    vae = TrainedVAE(Codec(model, MELODY), prior=Prior.standard(3))
    plain = [read_midi(clip, 4).notes.tolist() for clip in vae.sample(4, seed=1)]
    over = [read_midi(clip, 4).notes.tolist() for clip in vae.sample(4, seed=1, chords="C Am")]
    assert plain != over
    clips = vae.sample(2, seed=2, chords="F")
    own = [read_midi(clip, 4).notes.tolist() for clip in vae.reconstruct(clips)]
    other = [read_midi(clip, 4).notes.tolist() for clip in vae.reconstruct(clips, chords="F#m")]
    assert own != other
    assert len(vae.interpolate(*clips, num_steps=3, chords="C F G C")) == 3
    assert len(vae.decode(torch.zeros(2, 3))) == 2
    with pytest.raises(InputError, match="17 chords; a window has 16 steps"):
        vae.sample(1, chords="C " * 17)
    with pytest.raises(InputError, match="'Xm7' is not a chord"):
        vae.sample(1, chords="C Xm7")


def test_a_model_without_chords_says_so() -> None:
    vae = TrainedVAE(Codec(tiny_vae(vocab_sizes=(90,), max_steps=16), MelodyTokenizer(num_bars=1)))
    with pytest.raises(InputError, match=r"knows no chords; train one with data.tokenizer.chords"):
        vae.sample(1, chords="C")


def test_suggestions_follow_the_bars_of_the_piece() -> None:
    """After a pickup half bars begin later; a bar of three quarters is not halved."""
    broken = [48, 64, 67, 64] * 2  # two quarters of C
    starts = 4 + np.arange(8) * 2
    after_pickup = Piece(
        make_notes([0, *starts], [4, *(starts + 2)], [67, *broken]), 4,
        (Metre(0, 1, 4), Metre(4, 4, 4)),
    )  # fmt: skip
    assert half_bars(after_pickup) == [0, 4, 12, 20]
    waltz = Piece(make_notes([0], [36], [60]), 4, (Metre(0, 3, 4),))
    assert half_bars(waltz) == [0, 12, 24, 36]
    jig = Piece(make_notes([0], [24], [60]), 2, (Metre(0, 12, 8),))
    assert half_bars(jig) == [0, 6, 12, 18, 24]


def test_after_the_end_of_a_piece_or_a_metre_there_is_no_chord() -> None:
    chords = ((0, 1), (8, 2), (40, 3))
    piece = replace(Piece(make_notes([0, 8], [8, 16], [60, 62]), 4), chords=chords)
    (example,) = MelodyTokenizer(num_bars=2, chords=True).encode(piece)
    assert example.ids[:, 1].tolist() == [1] * 8 + [2] * 8 + [NO_CHORD] * 16
    changing = replace(piece, metres=(Metre(0, 4, 4), Metre(8, 3, 4)))
    first = MelodyTokenizer(num_bars=2, chords=True).encode(changing, bar=1)[0]
    assert first.ids[:, 1].tolist() == [1] * 8 + [NO_CHORD] * 24


def test_a_file_without_chords_beside_it_takes_what_the_notes_suggest(tmp_path: Path) -> None:
    steps = np.arange(0, 16, 2)
    tune = Piece(make_notes(steps, steps + 2, [60, 64, 67, 64] * 2), 4)
    to_pretty_midi(tune).write(str(tmp_path / "a.mid"))
    tokenizer = MelodyTokenizer(num_bars=1, chords=True)
    suggested = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt").extraction
    assert named(suggested.sequences[0][:, 1]) == ["C"] * 16
    assert suggested.noted == {NO_CHORD_FILE: 1}
    (tmp_path / "a.txt").write_text("0 1 Am\n1 2 F\n")
    told = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt").extraction
    assert named(told.sequences[0][:, 1]) == ["Am"] * 8 + ["F"] * 8
    # who does not ask for chords needs none
    (tmp_path / "a.txt").write_text("nonsense")
    plain = extract_file(tmp_path / "a.mid", MelodyTokenizer(num_bars=1), None, "{stem}.txt")
    assert plain.refusal is None
    assert not plain.extraction.dropped
    refused = extract_file(tmp_path / "a.mid", tokenizer, None, "{stem}.txt")
    assert refused.refusal is not None
    assert "line 1: 'nonsense'" in refused.refusal


def test_chords_keep_to_tempos_that_change_within_a_step(tmp_path: Path) -> None:
    """Half a sixteenth at one tempo, half at another: on the grid both are lost."""
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    song.tracks.append(track)
    for number in range(64):
        tempo = 400_000 if number % 2 else 600_000  # microseconds a quarter
        track.append(mido.MetaMessage("set_tempo", tempo=tempo, time=60 * (number > 0)))
    track.append(mido.Message("note_on", note=60, velocity=80))
    track.append(mido.Message("note_off", note=60, time=480))
    song.save(tmp_path / "a.mid")
    chords = ChordTrack(np.array([0.0, 4.0]), np.array([1, 2]))  # four seconds are eight quarters
    for source in (tmp_path / "a.mid", pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))):
        assert read_midi(source, 4, chords=chords).chords == ((0, 1), (32, 2))
