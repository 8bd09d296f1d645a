"""The facade: every verb on text and on music."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
import torch
from trained import Trained

import seqvae
from seqvae.corpus.spool import Chosen, Spool, write_corpus
from seqvae.corpus.store import SPLITS
from seqvae.disk import replaced_folder
from seqvae.errors import InputError
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Metre, Piece, Tempo, make_notes

A, B = "A man likes the sea.", "Two dogs draw old trees."


def notes_of(clip: object) -> list[tuple[int, int, int]]:
    assert isinstance(clip, pretty_midi.PrettyMIDI)
    return [(int(n["start"]), int(n["end"]), int(n["pitch"])) for n in read_midi(clip, 4).notes]


COMMON = Metre(0, 4, 4)


def scale(num_bars: int, metre: Metre = COMMON, qpm: float = 100.0) -> Piece:
    steps = np.arange(0, 16 * num_bars, 2)
    notes = make_notes(steps, steps + 2, 60 + steps // 2 % 12, program=73)
    return Piece(notes, 4, (metre,), (Tempo(0, qpm),))


def test_a_seed_repeats_samples_and_another_does_not(
    sentences: Trained,
    melodies: Trained,
) -> None:
    assert sentences.vae.sample(300, seed=3) == sentences.vae.sample(300, seed=3)
    assert sentences.vae.sample(8, seed=3) != sentences.vae.sample(8, seed=4)
    one, two = (melodies.vae.sample(4, seed=5) for _ in range(2))
    assert [notes_of(clip) for clip in one] == [notes_of(clip) for clip in two]


def test_every_sample_can_be_encoded_again(melodies: Trained) -> None:
    clips = melodies.vae.sample(40, temperature=2.0, seed=0)
    posterior = melodies.vae.encode(clips)
    assert posterior.mean.shape == (40, 4)


def test_encoding_keeps_order_and_does_not_depend_on_company(
    sentences: Trained,
) -> None:
    together = sentences.vae.encode([A, B, "music", A]).mean
    alone = torch.cat([sentences.vae.encode([text]).mean for text in (A, B, "music", A)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(together[0], together[1])


def test_interpolation_ends_in_the_reconstructions(
    sentences: Trained,
    melodies: Trained,
) -> None:
    for method in ("slerp", "lerp"):
        path = sentences.vae.interpolate(A, B, num_steps=5, method=method)
        assert len(path) == 5
        assert [path[0], path[-1]] == sentences.vae.reconstruct([A, B])
    one, two = to_pretty_midi(scale(2, qpm=80)), to_pretty_midi(scale(2, qpm=120))
    clips = melodies.vae.interpolate(one, two, num_steps=3)
    ends = melodies.vae.reconstruct([one, two])
    assert notes_of(clips[0]) == notes_of(ends[0])
    assert notes_of(clips[-1]) == notes_of(ends[-1])
    tempos = [read_midi(clip, 4).qpm_at(0) for clip in clips]
    assert tempos == pytest.approx([80, 100, 120], rel=1e-3)


def test_long_clips_are_taken_window_by_window_or_from_a_bar(
    melodies: Trained,
) -> None:
    clip = to_pretty_midi(scale(7))
    posterior = melodies.vae.encode([clip])
    assert len(posterior.mean) == 4  # 2 + 2 + 2 + 1 bars
    third = melodies.vae.encode([clip], bar=3)
    torch.testing.assert_close(third.mean, posterior.mean[1:2])
    whole = notes_of(melodies.vae.reconstruct([clip])[0])
    part = notes_of(melodies.vae.reconstruct([clip], bar=3)[0])
    shifted = [(s - 32, e - 32, p) for s, e, p in whole if 32 <= s < 64]
    assert part == shifted
    assert len(melodies.vae.interpolate(clip, to_pretty_midi(scale(4)), num_steps=3)) == 3


def test_a_path_and_a_prettymidi_are_the_same_input(
    melodies: Trained,
    tmp_path: Path,
) -> None:
    clip = to_pretty_midi(scale(2))
    clip.write(str(tmp_path / "clip.mid"))
    means = [melodies.vae.encode([s]).mean for s in (clip, tmp_path / "clip.mid")]
    torch.testing.assert_close(means[0], means[1])
    assert melodies.vae.reconstruct([clip])[0].instruments[0].program == 73


def test_a_performance_is_read_by_the_beats_beside_it(melodies: Trained, tmp_path: Path) -> None:
    """A tune at an odd tempo, with no bars of its own, is the tune on its grid."""
    tune = to_pretty_midi(scale(2))
    tune.write(str(tmp_path / "tune.mid"))
    performed = pretty_midi.PrettyMIDI(initial_tempo=120)
    performed.instruments.append(pretty_midi.Instrument(73))
    seconds = np.array([0.3 + 0.7 * beat for beat in range(10)])
    for note in tune.instruments[0].notes:  # at 100 quarters a minute a beat is 0.6 s
        start, end = 0.3 + note.start * 0.7 / 0.6, 0.3 + note.end * 0.7 / 0.6
        performed.instruments[0].notes.append(pretty_midi.Note(80, note.pitch, start, end))
    performed.write(str(tmp_path / "played.mid"))
    (tmp_path / "played.beats").write_text(
        "".join(f"{time:.3f} {1 + number % 4}\n" for number, time in enumerate(seconds))
    )
    plain = melodies.vae.encode(tmp_path / "tune.mid").mean
    torch.testing.assert_close(
        melodies.vae.encode(tmp_path / "played.mid", beats="{stem}.beats").mean, plain
    )
    assert not torch.allclose(melodies.vae.encode(tmp_path / "played.mid").mean[:1], plain)
    with pytest.raises(InputError, match=r"played.txt: cannot be read"):
        melodies.vae.reconstruct(tmp_path / "played.mid", beats="{stem}.txt")
    with pytest.raises(InputError, match="a PrettyMIDI object has none"):
        melodies.vae.interpolate(tune, tune, beats="{stem}.beats")


def test_decode_undoes_encode_like_reconstruct(sentences: Trained) -> None:
    z = sentences.vae.encode([A, B]).mean
    assert sentences.vae.decode(z) == sentences.vae.reconstruct([A, B])


def test_one_input_is_several_of_one(sentences: Trained) -> None:
    assert sentences.vae.reconstruct(A) == sentences.vae.reconstruct([A])
    with pytest.raises(InputError, match="no inputs"):
        sentences.vae.encode([])
    with pytest.raises(InputError, match=r"codes of shape \(1, 5\)"):
        sentences.vae.decode(torch.zeros(1, 5))


def test_unusable_inputs_name_the_reason(
    sentences: Trained,
    melodies: Trained,
    tmp_path: Path,
) -> None:
    waltz = to_pretty_midi(scale(4, Metre(0, 3, 4)))
    waltz.write(str(tmp_path / "waltz.mid"))
    with pytest.raises(InputError, match=r"waltz.mid: no usable window: metre 3/4; .* takes it$"):
        melodies.vae.interpolate(tmp_path / "waltz.mid", to_pretty_midi(scale(2)))
    with pytest.raises(InputError, match="bar is 9; it has bars 1 to 4"):
        melodies.vae.reconstruct([to_pretty_midi(scale(4))], bar=9)
    with pytest.raises(InputError, match="takes at most 24"):
        sentences.vae.encode([A * 20])
    with pytest.raises(InputError, match="this model takes text"):
        sentences.vae.encode([tmp_path])
    for wrong in ({"num_steps": 1}, {"method": "cubic"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            sentences.vae.interpolate(A, B, **wrong)
    with pytest.raises(InputError, match="n is 0"):
        sentences.vae.sample(0)


def test_evaluate_gives_all_figures_and_repeats(
    sentences: Trained,
    melodies: Trained,
) -> None:
    for trained, own in ((sentences, "word_perplexity"), (melodies, "onset_f1")):
        figures = trained.vae.evaluate(trained.corpus)
        assert figures == trained.vae.evaluate(trained.corpus)
        assert figures.num_sequences == len(trained.corpus.splits["test"])
        assert figures.neg_elbo == pytest.approx(figures.nll + figures.kl)
        assert getattr(figures, own) is not None
    with pytest.raises(InputError, match="iw_samples is 0; it must be 1 or more") as no:
        sentences.vae.evaluate(sentences.corpus, iw_samples=0)
    assert "\n" not in str(no.value)
    for seed in (-1, 2**64):
        with pytest.raises(InputError, match=f"seed is {seed}; it must be 0 or more"):
            sentences.vae.evaluate(sentences.corpus, seed=seed)
    with pytest.raises(InputError, match="split is 'dev'; choose one of train, valid, test"):
        sentences.vae.evaluate(sentences.corpus, split="dev")
    with pytest.raises(InputError, match="another tokenizer") as refused:
        sentences.vae.evaluate(melodies.corpus)
    assert f"seqvae prepare --init_from {sentences.run} --data" in str(refused.value)


def test_evaluating_an_empty_split_names_it(sentences: Trained, tmp_path: Path) -> None:
    split = sentences.corpus.splits["train"]
    with replaced_folder(tmp_path / "corpus") as beside:
        spool = Spool(beside, sentences.vae.tokenizer)
        spool.add([split[0], split[1]])
        write_corpus(
            beside,
            splits={
                name: Chosen(spool, range(start, end))
                for name, start, end in (("train", 0, 1), ("valid", 1, 2), ("test", 2, 2))
            },
            manifest=[],
            fingerprint="",
            num_leaked=dict.fromkeys(SPLITS, 0),
            deduped=False,
        )
    with pytest.raises(InputError, match="corpus: the test split is empty") as no:
        sentences.vae.evaluate(tmp_path / "corpus")
    assert "\n" not in str(no.value)
    # One sequence is enough, though nothing can be told of its information.
    figures = sentences.vae.evaluate(tmp_path / "corpus", split="valid", iw_samples=2)
    assert figures.mi_aggregate_ceiling == figures.mi_batch_ceiling == 0
    assert figures.mi_aggregate == pytest.approx(0, abs=1e-9)
    assert figures.mi_batch == pytest.approx(0, abs=1e-9)


def test_the_figures_of_a_split_hang_together(sentences: Trained) -> None:
    figures = [
        sentences.vae.evaluate(sentences.corpus, split="train", iw_samples=n) for n in (1, 20)
    ]
    size = figures[0].num_sequences
    assert size > 32
    for result, num_samples in zip(figures, (1, 20), strict=True):
        assert result.iw_samples == num_samples
        assert result.mi_aggregate_ceiling == pytest.approx(math.log(size))
        assert result.mi_batch_ceiling == pytest.approx(math.log(32))
        assert result.mi_aggregate <= result.mi_aggregate_ceiling + 1e-6
        assert result.mi_batch <= result.mi_batch_ceiling + 1e-6
    tight, loose = figures[1], figures[0]
    assert tight.iw_nll < loose.iw_nll + 5 * tight.iw_nll_stderr
    assert tight.iw_word_perplexity / tight.word_perplexity == pytest.approx(
        math.exp((tight.iw_nll - tight.neg_elbo) * size / num_words(sentences))
    )


def test_some_sequences_stand_for_a_large_split(
    sentences: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    how: dict[str, Any] = {"split": "train", "iw_samples": 1}
    size = len(sentences.corpus.splits["train"])
    whole = sentences.vae.evaluate(sentences.corpus, **how)
    assert sentences.vae.evaluate(sentences.corpus, max_sequences=size, **how) == whole
    assert "stand for" not in caplog.text
    some = [
        sentences.vae.evaluate(sentences.corpus, max_sequences=12, seed=seed, **how)
        for seed in (0, 0, 1)
    ]
    assert (
        caplog.text.count(f"12 sequences, drawn at random, stand for the {size} of the train") == 3
    )
    assert some[0] == some[1]
    assert some[0].num_sequences == some[0].mi_sequences == 12
    # free running and the KL are no matter of chance: other sequences make the difference
    assert len({whole.kl, some[0].kl, some[2].kl}) == 3
    assert abs(some[0].neg_elbo / whole.neg_elbo - 1) < 0.5
    with pytest.raises(InputError, match="max_sequences is 0; it must be 1 or more"):
        sentences.vae.evaluate(sentences.corpus, max_sequences=0)


def num_words(trained: Trained) -> int:
    split = trained.corpus.splits["train"]
    return sum(len(trained.vae.tokenizer.decode(ids).split()) + 1 for ids in split)


def test_loading_says_what_is_wrong(sentences: Trained, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        seqvae.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="missing; is this a seqvae bundle"):
        seqvae.load(tmp_path)
    (tmp_path / "config.yaml").write_text("name: x\n")
    with pytest.raises(InputError, match="no model yet; train on with --resume"):
        seqvae.load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_bundle_is_refused_by_name(
    sentences: Trained,
    tmp_path: Path,
    name: str,
    damage: str,
) -> None:
    for file in (sentences.run / "bundle").iterdir():
        data = file.read_bytes()
        if file.name != name:
            (tmp_path / file.name).write_bytes(data)
        elif damage == "truncated":
            (tmp_path / file.name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=name):
        seqvae.load(tmp_path)


def test_a_loop_comes_back_as_a_whole_window(
    melodies: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The model's windows have two bars; a loop of one is repeated, and the verb says so."""
    path = tmp_path / "loop.mid"
    to_pretty_midi(scale(1)).write(str(path))
    with caplog.at_level("INFO"):
        (clip,) = melodies.vae.reconstruct(str(path))
    assert f"{path}: a loop of 1 bar, repeated to fill a window" in caplog.text
    assert len(melodies.vae.encode(path).mean) == 1
    assert clip.get_end_time() == pytest.approx(8 * 60 / 100)
