"""Drums that a model plays: their notes stay, their loudness and timing move."""

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from tiny import randomised
from trained import Trained

from seqvae.errors import InputError
from seqvae.inference.codec import Codec, Item
from seqvae.inference.humanising import _places, _played
from seqvae.inference.options import Humanise
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.music.notes import Metre, Piece, make_notes
from seqvae.tokenizers.groove import GrooveTokenizer

TICKS, KICK, COWBELL, CUICA = 96, 36, 56, 88
Hit = tuple[int, int, int]  # tick, pitch, velocity
PATTERN: list[Hit] = [
    hit
    for bar in range(0, 5 * 4 * TICKS, 4 * TICKS)
    for hit in [
        (bar, KICK, 100), (bar, 42, 80), (bar + 48, 42, 60), (bar + 96, 38, 110),
        (bar + 90, 38, 40),  # a flam before the snare
        (bar + 96, CUICA, 70), (bar + 240, CUICA, 71), (bar + 192 + 5, KICK, 90),
        (bar + 288, 51, 33),
    ]
]  # fmt: skip


def model(*, view: str = "hits", metres: tuple[str, ...] = ("4/4",)) -> TrainedVAE:
    tokenizer = GrooveTokenizer(num_bars=2, encoder_sees=view, metres=metres)
    config = ModelConfig(latent_dim=3, embedding_dim=4, encoder_dim=5, decoder_dim=6)
    return TrainedVAE(Codec(randomised(SequenceVAE(config, tokenizer.steps), std=1.0), tokenizer))


def write(
    file: Path, hits: list[Hit], *, channel: int = 9, name: str = "kit", length: int = 3
) -> Path:
    """A file of a kit, and of a melody that nobody asked for."""
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    tune = mido.MidiTrack([
        mido.MetaMessage("set_tempo", tempo=483871), mido.MetaMessage("track_name", name="tune"),
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_on", note=64, velocity=77, time=7),
        mido.Message("note_off", note=64, time=100),
    ])  # fmt: skip
    drums = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    events = [(tick, 1, pitch, velocity) for tick, pitch, velocity in hits]
    events += [(tick + length, 0, pitch, 0) for tick, pitch, _ in hits]
    now = 0
    for tick, is_on, pitch, velocity in sorted(events):
        kind = "note_on" if is_on else "note_off"
        drums.append(
            mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now)
        )
        now = tick
    midi.tracks += [tune, drums]
    midi.save(str(file))
    return file


def notes(clip: Item, *, is_drum: bool = True) -> list[Hit]:
    """What a clip writes to a file."""
    assert isinstance(clip, pretty_midi.PrettyMIDI)
    written = io.BytesIO()
    clip.write(written)
    written.seek(0)
    file, found = mido.MidiFile(file=written), []
    assert file.ticks_per_beat == TICKS
    for track in file.tracks:
        now = 0
        for event in track:
            now += event.time
            if event.type == "note_on" and event.velocity and (event.channel == 9) == is_drum:
                found.append((now, event.note, event.velocity))
    return sorted(found)


def test_at_0_every_note_is_that_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mid", PATTERN)
    (same,) = model().humanise(file, velocity=0, timing=0, seed=1)
    assert notes(same) == sorted(PATTERN)
    assert notes(same, is_drum=False) == [(7, 64, 77)]
    assert isinstance(same, pretty_midi.PrettyMIDI)
    assert [c.number for i in same.instruments for c in i.control_changes] == [64]


@pytest.mark.parametrize(("velocity", "timing"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_loudness_and_timing_move_each_alone(
    tmp_path: Path, velocity: float, timing: float
) -> None:
    vae, file = model(), write(tmp_path / "a.mid", PATTERN)
    (played,) = vae.humanise(file, velocity=velocity, timing=timing, seed=1)
    moved = notes(played)
    assert sorted(pitch for _, pitch, _ in moved) == sorted(pitch for _, pitch, _ in PATTERN)
    assert ({loud for *_, loud in moved} != {loud for *_, loud in PATTERN}) == (velocity > 0)
    assert ({tick for tick, *_ in moved} != {tick for tick, *_ in PATTERN}) == (timing > 0)
    assert notes(played, is_drum=False) == [(7, 64, 77)]


def by_pitch(hits: list[Hit], pitch: int) -> np.ndarray:
    return np.array([(tick, loud) for tick, other, loud in hits if other == pitch])


def test_a_share_of_the_way(tmp_path: Path) -> None:
    vae, file = model(), write(tmp_path / "a.mid", PATTERN)
    (half,), (whole,) = (
        vae.humanise(file, velocity=share, timing=share, seed=1) for share in (0.5, 1)
    )
    before, middle, after = (
        by_pitch(each, 42) for each in (sorted(PATTERN), notes(half), notes(whole))
    )
    assert np.abs(2 * (middle - before) - (after - before)).max() <= 1
    assert (after != before).any(axis=0).all()


def test_what_is_written_is_what_the_model_plays(tmp_path: Path) -> None:
    """All of the way, hits are within the step of the grid, at the middles of bins."""
    vae, file = model(), write(tmp_path / "a.mid", PATTERN)
    (played,) = vae.humanise(file, seed=1, temperature=0.5)
    middles = 24 * ((np.arange(32) + 0.5) / 32 - 0.5)
    loudnesses = {int(np.ceil(1 + b * 127 / 32 + (127 / 32 - 1) / 2)) for b in range(32)}
    for (tick, loud), (now, now_loud) in zip(
        by_pitch(sorted(PATTERN), 51).tolist(), by_pitch(notes(played), 51).tolist(), strict=True
    ):
        assert min(abs(now - tick - middle) for middle in middles) <= 0.5
        assert now_loud in loudnesses
        assert loud == 33
    (again,) = vae.humanise(played, seed=1, temperature=0.5)
    assert notes(again) == notes(played)  # the encoder sees the same hits


def test_at_a_temperature_of_0_it_is_the_mean_of_draws(tmp_path: Path) -> None:
    """So no seed changes it."""
    vae, file = model(), write(tmp_path / "a.mid", PATTERN)
    (mean,), (again,) = (vae.humanise(file, seed=seed, temperature=0) for seed in (1, 2))
    assert notes(mean) == notes(again)
    once = [vae.humanise(file, seed=seed, temperature=1)[0] for seed in range(16)]
    draws = np.mean([by_pitch(notes(each), 42) for each in once], axis=0)
    of_mean, of_one = (
        np.abs(by_pitch(notes(each), 42) - draws).mean(axis=0) for each in (mean, once[0])
    )
    assert (of_mean < 0.6 * of_one).all()


def test_flams_and_drums_outside_the_classes_go_along(tmp_path: Path) -> None:
    vae, file = model(), write(tmp_path / "a.mid", PATTERN)
    (played,) = vae.humanise(file, velocity=0, seed=1)
    snares, others = by_pitch(notes(played), 38)[:, 0], by_pitch(notes(played), CUICA)[:, 0]
    assert set(np.diff(snares)[::2].tolist()) == {6}
    before = by_pitch(sorted(PATTERN), CUICA)[:, 0]
    assert others[1::2].tolist() == before[1::2].tolist()  # alone at their steps
    shifts = snares[1::2] - by_pitch(sorted(PATTERN), 38)[1::2, 0]
    assert (others[::2] - before[::2]).tolist() == shifts.tolist()
    assert by_pitch(notes(played), CUICA)[:, 1].tolist() == [70, 71] * 5


def test_one_window_alone_and_other_metres(tmp_path: Path) -> None:
    vae, file = model(metres=("4/4", "3/4")), write(tmp_path / "a.mid", PATTERN)
    (played,) = vae.humanise(file, bar=2, seed=1)
    bar = 4 * TICKS
    outside = [hit for hit in sorted(PATTERN) if not bar <= hit[0] < 3 * bar - 12]
    assert {*outside} <= {*notes(played)}
    assert notes(played) != sorted(PATTERN)


def test_the_hits_of_a_window_are_given_and_found_again() -> None:
    """In a bar of 3/4, too, which the model fills up to one of 4/4."""
    vae = model(metres=("4/4", "3/4"))
    tokenizer, steps = vae.tokenizer, np.array([0, 5, 13, 20, 25])
    assert isinstance(tokenizer, GrooveTokenizer)
    hits = make_notes(steps, steps + 1, KICK, is_drum=True)
    windows = tokenizer.encode(Piece(hits, 4, metres=(Metre(0, 3, 4),)))
    window, row = _places(tokenizer, windows, steps)
    ids = np.stack([example.ids for example in windows])
    assert (ids[window, row, 0] == 1).all()
    assert window.tolist() == [0, 0, 0, 0, 1]
    how = Humanise(inputs=[], temperature=0.5)
    (drawn,) = _played(vae.codec, tokenizer, windows, how, vae.codec.generator(1))
    assert (drawn[..., 0] == ids[..., 0]).all()
    assert not drawn[..., 2:10].any()  # of drums that are not struck


def test_a_loop_stays_as_long_as_it_was(tmp_path: Path) -> None:
    sixteenth = TICKS // 4
    last = 8 * TICKS - sixteenth
    file = write(tmp_path / "a.mid", [*PATTERN[:9], (last, KICK, 90)], length=sixteenth)
    vae, onsets = model(), set()
    for seed in range(4):
        (played,) = vae.humanise(file, seed=seed, temperature=1.0)
        assert isinstance(played, pretty_midi.PrettyMIDI)
        assert played.time_to_tick(played.get_end_time()) == 8 * TICKS
        onsets.add(notes(played)[-1][0])
    assert min(onsets) < last < max(onsets)


def test_a_sampler_keeps_its_pitches(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mid", [(0, 60, 90), (96, 60, 90)], channel=2, name="kick")
    vae = model()
    (played,) = vae.humanise(file, seed=1, tracks="drums: name=kick")
    moved = notes(played, is_drum=False)
    assert [pitch for _, pitch, _ in moved if pitch == 60] == [60, 60]
    assert [loud for _, pitch, loud in moved if pitch == 60] != [90, 90]


def test_what_cannot_be_humanised(tmp_path: Path, melodies: Trained, sentences: Trained) -> None:
    file = write(tmp_path / "a.mid", [], channel=9)
    with pytest.raises(InputError, match="no groove in it"):
        model().humanise(file)
    with pytest.raises(InputError, match=r"a model of melody writes no loudness .* train one"):
        melodies.vae.humanise(file)
    with pytest.raises(InputError, match="a model of text writes no loudness"):
        sentences.vae.humanise("A man.")
    with pytest.raises(InputError, match=r"velocity is 1.5"):
        model().humanise(file, velocity=1.5)
