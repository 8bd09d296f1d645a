"""A model of several metres: each bar as long as it is, filled up to the longest in the tokens."""

import numpy as np
import pytest
import torch
from tiny import tiny_vae

from seqvae.errors import InputError
from seqvae.inference.codec import Codec
from seqvae.inference.mixture import Mixture
from seqvae.inference.trained import TrainedVAE
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Metre, Notes, Piece, join, make_notes
from seqvae.tokenizers import make_tokenizer
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.grid import GridSettings
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.trio import TrioTokenizer
from seqvae.tokenizers.windows import long_rest

METRES = ("4/4", "3/4", "6/8", "5/4", "2/4")
BARS = {"4/4": 16, "3/4": 12, "6/8": 12, "5/4": 20, "2/4": 16}  # that of 2/4 is half a bar of 4/4
MELODY = MelodyTokenizer(metres=METRES)


def tune(metre: str, num_bars: int = 4, track: int = 0, pitch: int = 60, **about: object) -> Piece:
    numerator, denominator = map(int, metre.split("/"))
    starts = np.arange(0, num_bars * BARS[metre], 2)
    notes = make_notes(starts, starts + 2, pitch + starts // 2 % 7, track=track, **about)
    return Piece(notes, 4, (Metre(0, numerator, denominator),))


def rows(notes: Notes) -> list[tuple[int, int, int]]:
    return [(int(n["start"]), int(n["end"]), int(n["pitch"])) for n in notes]


def grid(kind: str, **settings: object) -> MusicTokenizer:
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 2, "metres": list(METRES)} | settings)
    assert isinstance(tokenizer, GridSettings)
    assert isinstance(tokenizer, MusicTokenizer)
    return tokenizer


def test_metres_whose_bars_divide_one_share_it() -> None:
    assert MELODY.model_bars == (16, 12, 20)
    assert MELODY.bar_numbers == {"4/4": 0, "3/4": 1, "6/8": 1, "5/4": 2, "2/4": 0}
    assert (MELODY.steps_per_bar, MELODY.max_steps) == (20, 40)
    assert MELODY.condition_sizes == (3,)
    assert MelodyTokenizer(metres=METRES, chords=True).condition_sizes[-1] == 3
    assert MelodyTokenizer(metres=("3/4", "6/8")).condition_sizes == ()


@pytest.mark.parametrize("metre", METRES)
def test_a_melody_of_each_metre_comes_back(metre: str) -> None:
    piece = tune(metre)
    examples = MELODY.encode(piece)
    assert [len(example.ids) for example in examples] == [40, 40]
    decoded = [MELODY.decode(example) for example in examples]
    assert [part.end_step for part in decoded] == [2 * BARS[metre]] * 2
    assert rows(join(decoded).notes) == rows(piece.notes)
    assert len(MELODY.extract(piece).sequences) == 3
    for example in examples:
        inside = np.arange(40) % 20 < BARS[metre]
        assert not example.ids[~inside, 0].any()
        assert (example.ids[:, -1] == MELODY.bar_numbers[metre]).all()


@pytest.mark.parametrize("kind", ["drums", "groove"])
@pytest.mark.parametrize("metre", METRES)
def test_drums_of_each_metre_come_back(kind: str, metre: str) -> None:
    tokenizer = grid(kind)
    piece = tune(metre, pitch=36, is_drum=True)
    decoded = [tokenizer.decode(example) for example in tokenizer.encode(piece)]
    starts = join(decoded).notes["start"].tolist()
    assert starts == piece.notes["start"].tolist()
    assert [part.metres[0].numerator for part in decoded] == {
        "6/8": [3, 3], "2/4": [4, 4],  # the first of the metres that share the bar
    }.get(metre, [piece.metres[0].numerator] * 2)  # fmt: skip


def test_a_piece_may_change_between_metres() -> None:
    waltz, march = tune("3/4", 2), tune("4/4", 2, pitch=48)
    both = join([waltz, march])
    examples = MELODY.encode(both)
    assert [int(example.ids[0, -1]) for example in examples] == [1, 0]
    assert rows(join([MELODY.decode(example) for example in examples]).notes) == rows(both.notes)


def test_a_rest_of_a_shorter_bar_is_a_rest_of_a_bar() -> None:
    notes = make_notes([0, 4, 24, 28], [4, 12, 28, 36], 60)
    waltz = Piece(notes, 4, (Metre(0, 3, 4),))
    assert MELODY.extract(waltz).dropped == {long_rest(1): 2}
    notes["start"][2] = notes["end"][1] = 23
    assert not MELODY.extract(Piece(notes, 4, (Metre(0, 3, 4),))).dropped


def test_parts_are_exchanged_between_windows_of_the_same_bars() -> None:
    tokenizer = DrumsTokenizer(metres=("4/4", "3/4"), mix_share=1.0)
    ids = np.zeros((64, 32, 2), np.int64)
    ids[:32, :, 0], ids[32:, :, 0] = 1, 2
    ids[32:, :, 1] = 1
    rng = np.random.default_rng(0)
    assert (tokenizer.others(ids, rng)[:, 0, 1] == ids[:, 0, 1]).all()
    mixed = tokenizer.mix(ids, rng)
    assert {*mixed[:32, :, 0].ravel().tolist()} == {1}
    assert {*mixed[32:, :, 0].ravel().tolist()} == {2}


def test_transposing_leaves_the_bar_alone() -> None:
    rng = np.random.default_rng(1)
    ids = np.stack([MELODY.encode(tune("3/4"))[0].ids] * 8)
    moved = MELODY.augment(ids, rng)
    assert (moved[..., 1] == ids[..., 1]).all()
    assert (moved[..., 0] != ids[..., 0]).any()
    trio = TrioTokenizer(metres=("4/4", "3/4"), num_bars=1, chords=True)
    batch = np.zeros((8, 16, 5), np.int64)
    batch[..., 0], batch[..., 3], batch[..., 4] = 40, 5, 1
    turned = trio.augment(batch, rng)
    assert (turned[..., 4] == 1).all()
    assert (turned[..., 3] != 5).any()


def test_samples_are_in_the_metre_that_is_asked_for() -> None:
    steps = MELODY.steps
    model = tiny_vae(
        vocab_sizes=steps.vocab_sizes, max_steps=steps.max_steps,
        condition_sizes=steps.condition_sizes,
    )  # fmt: skip
    vae = TrainedVAE(Codec(model, MELODY), prior=Mixture.standard(3))
    quarters = {None: 8, "4/4": 8, "3/4": 6, "6/8": 6, "5/4": 10}
    for metre, length in quarters.items():
        (clip,) = vae.sample(1, seed=1, metre=metre)
        assert clip.get_end_time() == pytest.approx(length * 0.5)
        written = clip.time_signature_changes[0]
        assert f"{written.numerator}/{written.denominator}" == (metre or "4/4")
    with pytest.raises(InputError, match="metre is '7/8'; this model knows 4/4, 3/4, 6/8, 5/4"):
        vae.sample(1, metre="7/8")
    (waltz,) = vae.reconstruct(to_pretty_midi(tune("6/8", 2)))
    assert waltz.get_end_time() == pytest.approx(3.0)
    assert torch.isfinite(vae.encode(to_pretty_midi(tune("6/8", 2))).mean).all()


def test_chords_stand_before_the_bar() -> None:
    tokenizer = MelodyTokenizer(metres=("4/4", "3/4"), chords=True)
    steps = tokenizer.steps
    model = tiny_vae(
        vocab_sizes=steps.vocab_sizes, max_steps=steps.max_steps,
        condition_sizes=steps.condition_sizes,
    )  # fmt: skip
    codec = Codec(model, tokenizer)
    blank = codec.blank(torch.zeros(1, 3), metre="3/4").windows
    (columns,) = codec._conditions(blank, "C F")
    assert (columns[:, 1] == 1).all()
    assert len({*columns[:, 0].tolist()}) == 2
