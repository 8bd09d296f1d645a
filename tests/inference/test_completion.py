"""Clips that are completed: what is kept stays to the tick, what is written fits beside it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pretty_midi
import pytest
from tiny import randomised
from trained import band, choir

from seqvae.errors import InputError
from seqvae.inference import filling
from seqvae.inference.canvas import Canvas, kept_pitch_classes
from seqvae.inference.codec import Codec
from seqvae.inference.filling import Filler
from seqvae.inference.mixture import Mixture
from seqvae.inference.options import Complete
from seqvae.inference.scope import scope_of
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.music.chord_names import parse_chords
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Piece, make_notes, stretches
from seqvae.tokenizers import make_tokenizer

Row = tuple[int, int, int, int, int, bool]  # onset, end, pitch, velocity, program, is_drum


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are enough to learn nothing of an untrained model."""
    monkeypatch.setattr(filling, "MIN_SAMPLES", 20)
    monkeypatch.setattr(filling, "PER_DIM", 1)


@cache
def model(kind: str, decoder: str = "flat", **settings: Any) -> TrainedVAE:
    """An untrained model, whose random notes are the hardest to keep apart from kept ones."""
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 2, **settings})
    config = ModelConfig(
        latent_dim=8, embedding_dim=8, encoder_dim=8, decoder_dim=8, conductor_dim=8,
        decoder=decoder, segment_length=8,
    )  # fmt: skip
    vae = randomised(SequenceVAE(config, tokenizer.steps))
    return TrainedVAE(Codec(vae, tokenizer), prior=Mixture.standard(8))


def performed(piece: Piece, seed: int) -> pretty_midi.PrettyMIDI:
    """A clip that was played: off the grid, with velocities, held over bar lines, and a pad."""
    midi = to_pretty_midi(piece)
    rng = np.random.default_rng(seed)
    tick, end = 60 / 90 / 480, midi.get_end_time()
    for instrument in midi.instruments:
        for note in instrument.notes:
            note.start = max(0.0, note.start + tick * int(rng.integers(-40, 40)))
            note.end = min(note.start + tick * int(rng.integers(30, 900)), end + 200 * tick)
            note.velocity = int(rng.integers(1, 128))
    pad = pretty_midi.Instrument(90, is_drum=len(midi.instruments) > 3, name="pad")
    pad.notes = [pretty_midi.Note(50, pitch, 0.1, 9.9) for pitch in (50, 57, 62)]
    midi.instruments.append(pad)
    return midi


def clip_for(kind: str, seed: int, num_bars: int = 4) -> pretty_midi.PrettyMIDI:
    return performed(choir(seed, num_bars) if kind == "voices" else band(seed, num_bars), seed)


def rows(midi: pretty_midi.PrettyMIDI, tracks: Collection[int] | None = None) -> Counter[Row]:
    """The notes of a clip in ticks, or of some of its tracks."""
    return Counter(
        (midi.time_to_tick(note.start), midi.time_to_tick(note.end), note.pitch, note.velocity,
         each.program, each.is_drum)
        for number, each in enumerate(midi.instruments) if tracks is None or number in tracks
        for note in each.notes
    )  # fmt: skip


def bar_of(row: Row) -> int:
    """The bar, from 1, of the sixteenth that is nearest to an onset."""
    return (row[0] + 60) // 120 // 16 + 1


def heard_in(vae: TrainedVAE, midi: pretty_midi.PrettyMIDI) -> dict[str, tuple[int, ...]]:
    assert vae.tokenizer.modality == "music"
    voices = vae.tokenizer.voices(read_midi(midi, vae.tokenizer.steps_per_quarter))
    return {voice.name: voice.heard for voice in voices}


@pytest.mark.parametrize(
    ("kind", "decoder", "settings"),
    [
        ("melody", "flat", {}), ("melody", "hierarchical", {}), ("drums", "hierarchical", {}),
        ("groove", "flat", {}), ("trio", "flat", {}), ("trio", "hierarchical", {}),
        ("voices", "hierarchical", {}), ("polyphony", "hierarchical", {"max_notes": 2}),
    ],
)  # fmt: skip
def test_what_is_kept_stays_to_the_tick(kind: str, decoder: str, settings: dict[str, Any]) -> None:
    vae = model(kind, decoder, **settings)
    cases = [({"fill": "3"}, {3}), ({}, {5}), ({"keep": "1-2"}, {3, 4}), ({"bars": 6}, {5, 6})]
    for seed, (how, written) in enumerate(cases[: 2 if kind == "groove" else None]):
        midi = clip_for(kind, seed)
        heard = {track for tracks in heard_in(vae, midi).values() for track in tracks}
        assert heard
        kept = rows(midi, {*range(len(midi.instruments))} - heard)
        kept += Counter(row for row in rows(midi, heard).elements() if bar_of(row) not in written)
        for clip in vae.complete(midi, n=2, temperature=1.0, seed=seed, **how):
            after = rows(clip)
            assert not kept - after
            assert {bar_of(row) for row in after - kept} <= written
            length = 480 * 4 * max(4, *written)
            assert clip.time_to_tick(clip.get_end_time()) >= length


def test_every_one_of_many_outputs_keeps_every_note() -> None:
    vae, midi = model("trio"), clip_for("trio", 9)
    kept = Counter(row for row in rows(midi).elements() if bar_of(row) != 2 or row[4] == 90)
    outputs = vae.complete(midi, fill="2", n=60, temperature=1.0, seed=0)
    assert len(outputs) == 60
    assert not any(kept - rows(clip) for clip in outputs)
    assert len({tuple(sorted(rows(clip))) for clip in outputs}) == 60


@pytest.mark.parametrize("part", ["melody", "bass", "drums"])
def test_a_part_is_kept_and_the_others_are_written(part: str) -> None:
    vae, midi = model("trio", "hierarchical"), clip_for("trio", 4)
    heard = heard_in(vae, midi)
    pad = {3}
    kept = rows(midi, {*heard[part]} | pad)
    gone = rows(midi, {track for name, (track,) in heard.items() if name != part})
    for clip in vae.complete(midi, keep=part, n=2, temperature=1.0, seed=1):
        assert not kept - rows(clip)
        assert (rows(clip) & gone).total() < gone.total() / 4
        assert [each.program for each in clip.instruments] == [0, 33, 0, 90]
    in_two = vae.complete(midi, keep=part, fill="2", n=1, seed=1)[0]
    others = Counter(row for row in gone.elements() if bar_of(row) != 2)
    assert not (kept + others) - rows(in_two)


def test_parts_that_a_clip_lacks_get_tracks_of_their_own() -> None:
    vae, midi = model("trio"), clip_for("trio", 4)
    midi.instruments = [each for each in midi.instruments if each.is_drum]
    (clip,) = vae.complete(midi, keep="drums", n=1, temperature=1.0, seed=1)
    assert [(each.name, each.program, each.is_drum) for each in clip.instruments] == [
        ("", 0, True), ("melody", 0, False), ("bass", 33, False),
    ]  # fmt: skip
    assert not rows(midi) - rows(clip)


def test_a_note_that_is_held_into_what_is_written_is_let_sound() -> None:
    held = make_notes([0, 12, 40], [8, 26, 44], [60, 64, 67])
    midi = to_pretty_midi(Piece(held, 4, num_steps=64))
    for seed in range(5):
        (clip,) = model("melody").complete(midi, fill="2", n=1, temperature=1.0, seed=seed)
        piece = read_midi(clip, 4)
        new = piece.notes[(piece.notes["start"] >= 16) & (piece.notes["start"] < 32)]
        assert len(new)
        assert new["start"].min() >= 26
        assert new["end"].max() <= 32  # nothing sounded beyond the bar
    longer = make_notes([0, 28, 40], [8, 36, 44], [60, 64, 67])
    midi = to_pretty_midi(Piece(longer, 4, num_steps=64))
    ends = [
        int(read_midi(clip, 4).notes["end"][read_midi(clip, 4).notes["start"] < 32].max())
        for clip in model("melody").complete(midi, fill="2", n=10, temperature=1.0, seed=0)
    ]
    assert max(ends) == 36


@pytest.mark.parametrize(("settings", "num_channels"), [({}, 1), ({"num_velocity_bins": 8}, 2)])
def test_the_decoder_is_given_a_note_that_is_held(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, int], num_channels: int
) -> None:
    pairs, holding = [], Canvas.holding

    def spied(self: Canvas, *arguments: Any) -> Canvas:
        pairs.append((self, holding(self, *arguments)))
        return pairs[-1][1]

    monkeypatch.setattr(Canvas, "holding", spied)
    held = make_notes([0, 12, 40], [8, 26, 44], [60, 64, 67])
    midi = to_pretty_midi(Piece(held, 4, num_steps=64))
    model("melody", **settings).complete(midi, fill="2", n=1, seed=0)
    ((before, after),) = pairs
    assert after.is_given.sum() - before.is_given.sum() == num_channels * (26 - 16)
    assert before.is_asked.sum() - after.is_asked.sum() == num_channels * (26 - 16)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    midi = clip_for("trio", 0)
    how: dict[str, Any] = {"keep": "1-2,drums", "n": 3, "temperature": 1.0, "seed": 0}
    together = [rows(clip) for clip in model("trio").complete(midi, **how)]
    monkeypatch.setattr("seqvae.inference.codec.BATCH_SIZE", 2)
    assert [rows(clip) for clip in model("trio").complete(midi, **how)] == together


def test_loudness_and_drums_are_those_of_the_clip() -> None:
    kit = make_notes(
        [0, 4, 8, 12] * 2 + [20], [1, 5, 9, 13] * 2 + [21], [35, 40] * 4 + [40], is_drum=True,
        velocity=[33] * 8 + [99],
    )  # fmt: skip
    midi = to_pretty_midi(Piece(kit, 4, num_steps=64))
    (clip,) = model("drums").complete(midi, fill="2-4", n=1, temperature=1.0, seed=0)
    new = [note for note in clip.instruments[0].notes if note.start > 1.99]
    assert {note.velocity for note in new} == {33}
    pitches = {note.pitch for note in new}
    assert {35, 40} <= pitches
    assert not {36, 38} & pitches


def test_a_model_of_loudness_writes_its_own_beside_what_is_kept() -> None:
    midi = clip_for("trio", 0)
    vae = model("trio", num_velocity_bins=32)
    for how in ({"fill": "2"}, {"keep": "drums"}):
        (clip,) = vae.complete(midi, n=1, temperature=1.0, seed=0, **how)
        new = rows(clip) - rows(midi)
        assert len({velocity for _, _, _, velocity, _, _ in new}) > 5


def test_windows_slide_over_what_is_longer_than_the_model() -> None:
    assert laid("melody", 4, {"bars": 9}) == [(3, 5), (4, 6), (5, 7), (6, 8), (7, 9)]
    assert laid("melody", 9, {"fill": "1"}) == [(0, 2)]
    assert laid("melody", 9, {"fill": "5"}) == [(3, 5)]
    assert laid("melody", 9, {"fill": "9"}) == [(7, 9)]
    assert laid("melody", 16, {"fill": "7"}, num_bars=4) == [(4, 8)]
    assert laid("melody", 16, {"fill": "3-6"}, num_bars=8) == [(0, 8)]
    assert laid("melody", 8, {"bars": 32}, num_bars=16) == [(0, 16), (8, 24), (16, 32)]
    assert laid("melody", 3, {"fill": "2"}, num_bars=16) == [(0, 16)]


def test_every_window_is_written() -> None:
    midi = clip_for("trio", 2)
    for how in ({"bars": 10}, {"keep": "melody", "bars": 8}):
        (clip,) = model("trio").complete(midi, n=1, temperature=1.0, seed=0, **how)
        new = {bar_of(row) for row in rows(clip) - rows(midi)}
        assert {*range(5, how["bars"] + 1)} <= new


def laid(kind: str, bars: int, how: dict[str, Any], **settings: int) -> list[tuple[int, int]]:
    """The bars of the windows that are laid over a clip."""
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 2, **settings})
    assert tokenizer.modality == "music"
    piece = replace(band(0, bars), num_steps=16 * bars)
    window = settings.get("num_bars", 2)
    scope = scope_of(tokenizer, window, piece, Complete(source="x", **how))
    (stretch,) = stretches(scope.piece)
    return [(w.start // 16, w.stop // 16) for w in Canvas.of(tokenizer, scope, stretch).windows()]


def test_each_metre_has_windows_of_its_own() -> None:
    vae = model("melody", metres="4/4,3/4")
    steps = np.arange(0, 64 + 36, 4)
    metres = (Metre(0, 4, 4), Metre(64, 3, 4))
    midi = to_pretty_midi(
        Piece(make_notes(steps, steps + 4, 60 + steps % 7), 4, metres, num_steps=100)
    )
    before = read_midi(midi, 4)
    (clip,) = vae.complete(midi, fill="4,6", n=1, temperature=1.0, seed=3)
    after = read_midi(clip, 4)
    assert after.metres == metres
    inside = lambda s: ((s >= 48) & (s < 64)) | ((s >= 76) & (s < 88))  # noqa: E731
    own, other = (p.notes[~inside(p.notes["start"])] for p in (before, after))
    assert own["start"].tolist() == other["start"].tolist()
    assert own["pitch"].tolist() == other["pitch"].tolist()
    with pytest.raises(InputError, match=r"4/4 or 2/2 or 2/4; a model .* takes it$"):
        model("melody").complete(midi, fill="6")
    model("melody").complete(midi, fill="3", n=1)


def test_what_is_chosen_is_likely() -> None:
    vae, midi = model("melody"), clip_for("melody", 2)
    chosen = vae.complete(midi, fill="3", n=2, choose=20, temperature=1.0, seed=1)
    every = vae.complete(midi, fill="3", n=20, temperature=1.0, seed=1)
    nats = [score.per_step for score in vae.score(every, bar=2, iw_samples=20)]
    best = [score.per_step for score in vae.score(chosen, bar=2, iw_samples=20)]
    assert max(best) < np.mean(nats)


def test_chords_are_played_where_something_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    vae, midi = model("melody", chords=True), clip_for("melody", 2)
    seen: list[Any] = []
    fill = Filler.fill
    monkeypatch.setattr(
        Filler, "fill", lambda self, ids, *how: seen.append(ids) or fill(self, ids, *how)
    )
    vae.complete(midi, fill="2", n=1, chords="Dm G", seed=0)
    before, inside = seen[0][0, :16, 1].tolist(), seen[0][0, 16:, 1].tolist()
    assert list(dict.fromkeys(inside[-12:])) == parse_chords("Dm G")
    assert before == vae.codec.windows(midi)[0].ids[:16, 1].tolist()
    with pytest.raises(InputError, match="this model knows no chords"):
        model("melody").complete(midi, fill="2", chords="C")


def test_what_is_written_has_the_pitch_classes_of_what_is_kept() -> None:
    steps = np.arange(0, 128, 2)
    notes = make_notes(steps, steps + 2, 60 + np.array([0, 2, 4, 7, 9])[steps // 2 % 5])
    notes["pitch"][5] = 61  # one of many
    midi = to_pretty_midi(Piece(notes, 4, num_steps=128))
    for vae in (model("melody"), model("melody", keys="normalised")):
        pitches = {
            row[2] % 12
            for clip in vae.complete(midi, fill="5-6", n=5, temperature=1.0, seed=0)
            for row in rows(clip) - rows(midi)
        }
        assert pitches == {0, 2, 4, 7, 9}
    free = model("melody").complete(midi, fill="5-6", n=5, temperature=1, seed=0, scale="chromatic")
    assert {row[2] % 12 for clip in free for row in rows(clip) - rows(midi)} > pitches


@pytest.mark.parametrize(
    ("num_notes", "expected"),
    [(24, {2, 6, 7, 11}), (23, {0, 2, 4, 6, 7, 9, 11}), (6, {0, 2, 4, 6, 7, 9, 11}),
     (5, {*range(12)})],
)  # fmt: skip
def test_few_notes_are_completed_to_the_scale_that_they_suggest(
    num_notes: int, expected: set[int]
) -> None:
    starts = 2 * np.arange(num_notes)
    notes = make_notes(starts, starts + 2, np.array([67, 71, 74, 66])[np.arange(num_notes) % 4])
    tokenizer: Any = make_tokenizer({"kind": "melody", "num_bars": 4})
    (example,) = tokenizer.encode(Piece(notes, 4, num_steps=64))
    kept = kept_pitch_classes(tokenizer, example, np.ones((64, 1), np.bool_))
    assert {*np.flatnonzero(kept).tolist()} == expected


def test_what_is_written_keeps_to_a_scale() -> None:
    vae, midi = model("melody"), clip_for("melody", 2)
    for clip in vae.complete(midi, fill="3", n=5, scale="D dorian", temperature=1.0, seed=0):
        new = [row for row in rows(clip) - rows(midi) if bar_of(row) == 3]
        assert new
        assert {row[2] % 12 for row in new} <= {0, 2, 4, 5, 7, 9, 11}


@pytest.mark.parametrize(
    ("kind", "how", "message"),
    [
        ("trio", {"keep": "piano"}, "keep has 'piano'.*parts of this model are melody, bass, dru"),
        ("melody", {"keep": "drums"}, "no parts to choose from"),
        ("trio", {"keep": "1-9"}, "keep is '1-9'; the clip has bars 1 to 4"),
        ("trio", {"fill": "5"}, "fill is '5'; the clip has bars 1 to 4; --bars says"),
        ("trio", {"keep": "1", "fill": "2"}, "--keep 1 and --fill 2 both name bars"),
        ("trio", {"keep": "1-4,bass", "bars": 4}, "the clip has 4 bars, and all is kept; --bars N"),
        ("trio", {"keep": "melody,bass,drums"}, "nothing is left to write"),
        ("trio", {"bars": 3}, "--bars 3: the clip has 4 bars, and none is cut off; give 4 or"),
        ("trio", {"bars": 0}, "bars is 0; it must be 1 or more"),
        ("trio", {"fill": "drums"}, "fill has 'drums'"),
        (
            "trio",
            {"key": "E minor"},
            "what is kept stays in its key: name a --scale",
        ),
        ("trio", {"n": 0}, "n is 0"),
    ],
)
def test_what_is_impossible_is_refused(kind: str, how: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        model(kind).complete(clip_for("trio", 0), **how)
    assert "\n" not in str(caught.value)


def test_a_clip_is_needed() -> None:
    with pytest.raises(InputError, match="prefix is for text: give complete a MIDI file"):
        model("melody").complete(prefix="The man")
    with pytest.raises(InputError, match="no clip: give complete a MIDI file"):
        model("melody").complete()
    with pytest.raises(TypeError, match="an input is a object"):
        model("melody").complete(object())
