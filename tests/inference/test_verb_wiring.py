"""What the verbs hand on: drawing, conditions, prior, device, and the collections of "music"."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import randomised
from trained import Trained, train_tiny, write_tunes

import seqvae
from seqvae.errors import InputError
from seqvae.inference import trained as facade
from seqvae.inference.clips import Clip, mixed
from seqvae.inference.codec import Codec
from seqvae.inference.copies import share_copied
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import save_prior
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig, Sampling
from seqvae.model.decoding import GREEDY
from seqvae.model.latent import INTERPOLATIONS, weighted
from seqvae.model.vae import SequenceVAE
from seqvae.music.chord_names import parse_chords
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, make_notes
from seqvae.tokenizers import AnyTokenizer, make_tokenizer
from seqvae.tokenizers.contract import Example, Ids

TEXT = "A man likes the sea."
TEXTS = [TEXT, "Two dogs draw old trees."]


@dataclass
class Calls:
    """What was handed to `Codec.tokens`."""

    z: list[torch.Tensor] = field(default_factory=list)
    sampling: list[Sampling] = field(default_factory=list)
    conditions: list[Any] = field(default_factory=list)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    recorded, tokens = Calls(), Codec.tokens

    def spy(
        codec: Codec, z: torch.Tensor, sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None, conditions: Any = None, *more: Any,
    ) -> list[Ids]:  # fmt: skip
        recorded.z.append(z)
        recorded.sampling.append(sampling)
        recorded.conditions.append(conditions)
        return tokens(codec, z, sampling, generator, conditions, *more)

    monkeypatch.setattr(Codec, "tokens", spy)
    return recorded


def untrained(tokenizer: AnyTokenizer, latent_dim: int = 4) -> TrainedVAE:
    config = ModelConfig(latent_dim=latent_dim, embedding_dim=8, encoder_dim=8, decoder_dim=8)
    model = randomised(SequenceVAE(config, tokenizer.steps))
    return TrainedVAE(Codec(model, tokenizer), prior=Mixture.standard(latent_dim))


# Drawing


@pytest.mark.parametrize(
    ("verb", "inputs"),
    [
        ("sample", {"n": 2}),
        ("reconstruct", {"inputs": TEXT}),
        ("interpolate", {"start": TEXTS[0], "end": TEXTS[1], "num_steps": 2}),
        ("blend", {"inputs": TEXTS, "num_steps": 2}),
        ("vary", {"source": TEXT, "n": 2}),
        ("analogy", {"a": TEXT, "b": TEXT, "c": TEXT}),
        ("decode", {"z": np.zeros((1, 4))}),
    ],
)
def test_every_verb_hands_on_how_to_draw(
    sentences: Trained, calls: Calls, verb: str, inputs: dict[str, Any]
) -> None:
    method = getattr(sentences.vae, verb)
    method(**inputs, temperature=0.5, top_k=3, top_p=0.25)
    assert calls.sampling == [Sampling(temperature=0.5, top_k=3, top_p=0.25)]
    method(**inputs)
    assert calls.sampling[-1] == (Sampling() if verb == "sample" else GREEDY)
    assert method(**inputs, temperature=2.0, seed=1) == method(**inputs, temperature=2.0, seed=1)
    if verb == "sample":  # as the seed draws the codes, too
        assert torch.equal(calls.z[-1], calls.z[-2])


@pytest.mark.parametrize(
    ("verb", "names"),
    [("vary", ["source"]), ("interpolate", ["start", "end"]), ("analogy", ["a", "b", "c"])],
)
def test_a_folder_is_refused_where_a_verb_takes_one_clip(
    tmp_path: Path, verb: str, names: list[str]
) -> None:
    tunes = tmp_path / "tunes"
    write_tunes(tunes, 2)
    vae = untrained(make_tokenizer({"kind": "melody", "num_bars": 1}))
    clips: dict[str, Path] = dict.fromkeys(names, sorted(tunes.iterdir())[0])
    assert getattr(vae, verb)(**clips)
    for name in names:
        with pytest.raises(InputError, match="tunes: a folder; name one MIDI file of it"):
            getattr(vae, verb)(**clips | {name: tunes})


def test_narrow_sampling_is_greedy_and_plain_sampling_is_not(sentences: Trained) -> None:
    vae = sentences.vae
    greedy = vae.sample(8, temperature=0, seed=1)
    assert vae.sample(8, top_p=1e-6, seed=1) == greedy
    assert vae.sample(8, top_k=1, seed=1) == greedy
    assert vae.sample(8, seed=1) != greedy


# Paths


@pytest.mark.parametrize("method", INTERPOLATIONS)
def test_an_interpolation_follows_its_path(sentences: Trained, calls: Calls, method: str) -> None:
    vae = sentences.vae
    vae.interpolate(*TEXTS, num_steps=5, method=method)
    start, end = vae.encode(TEXTS).mean
    expected = INTERPOLATIONS[method](start, end, torch.linspace(0, 1, 5))
    torch.testing.assert_close(calls.z[0], expected)
    other = INTERPOLATIONS["lerp" if method == "slerp" else "slerp"]
    assert not torch.allclose(calls.z[0], other(start, end, torch.linspace(0, 1, 5)))


def test_variations_lie_on_a_quarter_circle(sentences: Trained, calls: Calls) -> None:
    vae = sentences.vae
    vae.vary(TEXT, n=4, distance=0.25, seed=5)
    mean, noise = vae.encode(TEXT).mean, vae.prior.sample(4, vae.codec.generator(5))
    angle = torch.tensor(torch.pi / 8)
    torch.testing.assert_close(calls.z[0], torch.cos(angle) * mean + torch.sin(angle) * noise)


def test_what_is_repeated_in_a_clip_stays_repeated_in_its_variations() -> None:
    vae = untrained(make_tokenizer({"kind": "melody"}))
    starts = np.arange(0, 96, 4)
    pitches = 60 + np.tile([0, 2, 4, 5, 7, 9, 11, 12], 3)
    pitches[8:16] -= 12  # two bars, two others, and the first again
    tune = to_pretty_midi(Piece(make_notes(starts, starts + 4, pitches), 4))
    means = vae.encode(tune).mean
    assert torch.equal(means[0], means[2])
    varied = [vae.encode(clip) for clip in vae.vary(tune, n=2, distance=0.6, seed=2)]
    assert all(torch.equal(each.mean[0], each.mean[2]) for each in varied)
    assert not any(torch.equal(each.mean[0], each.mean[1]) for each in varied)
    assert not torch.equal(varied[0].mean, varied[1].mean)


def test_a_blend_goes_row_by_row_from_the_first_input_to_the_last(
    sentences: Trained, calls: Calls
) -> None:
    vae, inputs = sentences.vae, [*TEXTS, "The girl wants a boat.", "A man sees music."]
    vae.blend(inputs, num_steps=3)
    rows, (first, second, third, fourth) = calls.z[0].view(3, 3, 4), vae.encode(inputs).mean
    for (row, column), corner in {(0, 0): first, (0, 2): second, (2, 0): third}.items():
        torch.testing.assert_close(rows[row, column], corner)
    torch.testing.assert_close(rows[2, 2], fourth)
    half = torch.tensor([0.5, 0.5])
    torch.testing.assert_close(rows[0, 1], weighted(torch.stack([first, second]), half))
    torch.testing.assert_close(rows[1, 0], weighted(torch.stack([first, third]), half))


def test_an_analogy_adds_what_distinguishes_the_third_from_the_second(
    sentences: Trained, calls: Calls
) -> None:
    vae, inputs = sentences.vae, [*TEXTS, "The girl wants a boat."]
    vae.analogy(*inputs)
    a, b, c = vae.encode(inputs).mean
    torch.testing.assert_close(calls.z[0], (a - b + c)[None])


class Recorded:
    """Directions that note how they are asked to move, and move nothing."""

    def __init__(self) -> None:
        self.moves: list[tuple[Any, ...]] = []

    def shift(self, z: torch.Tensor, *how: Any, **more: Any) -> torch.Tensor:
        self.moves.append((*how, more))
        return z + 1


def test_a_shift_moves_as_it_is_told(
    sentences: Trained, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae, directions = sentences.vae, Recorded()
    monkeypatch.setattr(TrainedVAE, "directions", directions)
    vae.shift(TEXT, attribute="length", amount=-0.5)
    vae.shift(TEXT, attribute="mine", amount=1.5, keep_others=True)
    assert directions.moves == [
        ("length", -0.5, {"keep_others": False}),
        ("mine", 1.5, {"keep_others": True}),
    ]
    torch.testing.assert_close(calls.z[0], vae.encode(TEXT).mean + 1)


# What codes come from


def test_samples_are_decoded_codes_of_the_prior(sentences: Trained, calls: Calls) -> None:
    vae = sentences.vae
    vae.sample(5, seed=3)
    assert torch.equal(calls.z[0], vae.prior.sample(5, vae.codec.generator(3)))
    other = Mixture(torch.ones(1), torch.full((1, 4), 50.0), torch.eye(4)[None])
    planted = TrainedVAE(vae.codec, prior=other)
    planted.sample(5, seed=3)
    assert calls.z[1].min() > 40
    planted.vary(TEXT, n=3, distance=1.0, seed=3)
    assert calls.z[2].min() > 40


def test_any_density_can_take_the_place_of_the_prior(sentences: Trained, calls: Calls) -> None:
    class Point:
        def sample(self, num_codes: int, generator: torch.Generator) -> torch.Tensor:
            return torch.full((num_codes, 4), 7.0, device=generator.device)

        def log_prob(self, z: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(z))

    vae = TrainedVAE(sentences.vae.codec)
    vae.prior = Point()
    vae.sample(2, seed=0)
    assert calls.z[-1].tolist() == [[7.0] * 4] * 2


def test_a_missing_prior_is_told_once_and_a_standard_one_is_a_choice(
    sentences: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for file in (sentences.run / "bundle").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert not torch.equal(seqvae.load(tmp_path).prior.means, torch.zeros(1, 4))
    (tmp_path / "prior.safetensors").unlink()
    vae = seqvae.load(tmp_path)
    vae.reconstruct(TEXT)
    assert not caplog.records
    samples = vae.sample(3, seed=0)
    vae.sample(3)
    (record,) = caplog.records
    assert str(tmp_path) in record.getMessage()
    assert "has not been fitted yet" in record.getMessage()
    assert "--resume fits it" in record.getMessage()
    caplog.clear()
    save_prior(Mixture.standard(4), tmp_path)
    assert seqvae.load(tmp_path).sample(3, seed=0) == samples
    assert not caplog.records


def test_a_language_model_needs_no_prior(caplog: pytest.LogCaptureFixture) -> None:
    vae = untrained(make_tokenizer({"kind": "melody", "num_bars": 1}), latent_dim=0)
    assert len(TrainedVAE(vae.codec).sample(2)) == 2
    assert not caplog.records


def test_a_model_goes_where_it_is_told(sentences: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seqvae.load(sentences.run, device="cpu").codec.device == torch.device("cpu")
    meta = seqvae.load(sentences.run, device="meta")
    assert meta.model.device == torch.device("meta")
    with pytest.raises(InputError, match=r"device is 'gpu': .*; use cpu") as caught:
        seqvae.load(sentences.run, device="gpu")
    assert "\n" not in str(caught.value)
    moved: list[object] = []
    monkeypatch.setattr(SequenceVAE, "to", lambda model, device: moved.append(device) or model)
    for available in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        seqvae.load(sentences.run)
    assert moved == ["cuda", "cpu"]


# Conditions and what the encoder reads


def test_chords_are_played_in_the_order_of_their_names(calls: Calls) -> None:
    vae = untrained(make_tokenizer({"kind": "melody", "num_bars": 2, "chords": True}))
    vae.sample(2, chords="C Am F G")
    expected = np.repeat(parse_chords("C Am F G"), 8)
    assert [columns[:, 0].tolist() for columns in calls.conditions[0]] == [expected.tolist()] * 2
    with pytest.raises(InputError, match="33 chords; a window has 32 steps"):
        vae.sample(1, chords="C " * 33)
    drums = untrained(make_tokenizer({"kind": "drums", "num_bars": 1}))
    with pytest.raises(InputError, match="knows no chords"):
        drums.sample(1, chords="C")


def test_a_clip_keeps_its_chords_unless_others_are_named(calls: Calls) -> None:
    vae = untrained(make_tokenizer({"kind": "melody", "num_bars": 1, "chords": True}))
    triad = make_notes([0, 4, 8, 12], [4, 8, 12, 16], [60, 64, 67, 72])
    clip = to_pretty_midi(Piece(triad, 4, num_steps=16))
    vae.reconstruct(clip)
    (window,) = vae.codec.windows(clip)
    assert (window.ids[:, 1] > 0).all()  # C major is suggested by its notes
    assert np.array_equal(calls.conditions[0][0], window.ids[:, 1:])
    vae.reconstruct(clip, chords="Am")
    assert {*calls.conditions[1][0][:, 0].tolist()} == {*parse_chords("Am")}


def groove(velocities: list[int]) -> Piece:
    steps = 4 * np.arange(4)
    notes = make_notes(
        steps, steps + 1, [36, 38, 36, 38], velocity=velocities, is_drum=True,
        offset=np.array(velocities) / 1000,
    )  # fmt: skip
    return Piece(notes, 4, num_steps=16)


@pytest.mark.parametrize(("encoder_sees", "equal"), [("hits", True), ("performance", False)])
def test_hidden_velocities_do_not_reach_the_code(encoder_sees: str, equal: bool) -> None:
    vae = untrained(make_tokenizer({"kind": "groove", "num_bars": 1, "encoder_sees": encoder_sees}))
    soft, loud = (to_pretty_midi(groove(v)) for v in ([40, 50, 60, 70], [120, 110, 100, 90]))
    mean = vae.encode([soft, loud]).mean
    assert torch.equal(mean[0], mean[1]) is equal
    clips = vae.codec.read([soft, loud])
    assert torch.equal(clips[0].z, clips[1].z) is equal
    assert not np.array_equal(clips[0].windows[0].ids, clips[1].windows[0].ids)
    (batch,) = vae.codec.batches([clip.windows[0].ids for clip in clips])
    assert (batch.encoder_input is not None) is equal


def test_program_and_chords_are_those_of_the_nearer_end() -> None:
    ids = np.zeros((2, 4, 2), np.int64)
    ids[1] = 1
    ends = [
        Clip([Example(ids[i], qpm=80.0 + 40 * i, program=1 + i)], torch.zeros(1, 3))
        for i in range(2)
    ]
    z = torch.ones(1, 3)
    for share, program, qpm in ((0.25, 1, 90.0), (0.75, 2, 110.0)):
        clip = mixed(ends, [1 - share, share], z)
        assert clip.z is z
        (window,) = clip.windows
        assert (window.program, window.qpm) == (program, pytest.approx(qpm))
        assert np.array_equal(window.ids, ids[program - 1])


@pytest.mark.parametrize(("ends", "expected"), [((16, 24), 40), ((24, 16), 40), ((16, None), None)])
def test_what_is_mixed_is_as_long_as_the_longest(
    ends: tuple[int | None, ...], expected: int | None
) -> None:
    ids = np.zeros((32, 1), np.int64)
    starts = (0, 16)  # of windows; the second one is nearer
    windows = [
        Example(ids, start_step=start, end_step=None if end is None else start + end)
        for start, end in zip(starts, ends, strict=True)
    ]
    clips = [Clip([window], torch.zeros(1, 3)) for window in windows]
    (window,) = mixed(clips, [0.1, 0.9], torch.zeros(1, 3)).windows
    assert (window.start_step, window.end_step) == (16, expected)


def test_outputs_are_as_long_as_their_clips(melodies: Trained) -> None:
    vae = melodies.vae
    per_window = vae.tokenizer.num_bars
    clip = to_pretty_midi(Piece(make_notes(range(0, 48, 4), range(4, 52, 4), 60), 4))
    assert per_window == 2
    outputs = [
        *vae.reconstruct(clip, temperature=1, seed=1),
        *vae.vary(clip, n=2, seed=1),
        *vae.interpolate(clip, clip, num_steps=2, temperature=1, seed=3),
    ]
    for output in outputs:
        assert 4 < output.get_end_time() <= 6  # three bars; two windows would have four


# Figures


@pytest.fixture
def collections(monkeypatch: pytest.MonkeyPatch) -> list[list[Piece]]:
    """What was handed to `sample_figures`: samples, held-out windows, training windows."""
    handed: list[list[Piece]] = []
    plain = facade.sample_figures

    def spy(*pieces: list[Piece]) -> dict[str, Any]:
        handed.extend(pieces)
        return plain(*pieces)

    monkeypatch.setattr(facade, "sample_figures", spy)
    return handed


def contents(pieces: list[Piece]) -> list[bytes]:
    return sorted(piece.notes.tobytes() for piece in pieces)


def test_music_compares_as_many_samples_as_windows_that_are_not_transposed(
    melodies: Trained, calls: Calls, collections: list[list[Piece]]
) -> None:
    vae, splits = melodies.vae, melodies.corpus.splits
    for name in ("valid", "test"):
        collections.clear()
        figures = vae.evaluate(melodies.corpus, split=name, iw_samples=1, seed=2)
        number = min(len(splits[name]), len(splits["train"]))
        assert figures.music_windows == number
        assert [len(pieces) for pieces in collections] == [number] * 3
        samples, held_out, train = collections
        every = [vae.codec.piece(ids) for ids in splits[name]]
        assert number == len(every)
        assert contents(held_out) == contents(every)
        training = {*contents([vae.codec.piece(ids) for ids in splits["train"]])}
        assert {*contents(train)} <= training
        assert len({*contents(train)}) > 1
        assert calls.sampling[-1] == Sampling()  # temperature 1
        z = vae.prior.sample(number, vae.codec.generator(2))
        assert torch.equal(calls.z[-1], z)
        decoded = vae.codec.tokens(z, Sampling(), generator_after(vae, number))
        assert contents(samples) == contents([vae.codec.piece(ids) for ids in decoded])


def generator_after(vae: TrainedVAE, number: int) -> torch.Generator:
    generator = vae.codec.generator(2)
    vae.prior.sample(number, generator)
    return generator


def test_what_is_copied_is_copied_from_the_training_split(melodies: Trained) -> None:
    vae, corpus = melodies.vae, melodies.corpus
    figures = vae.evaluate(corpus, split="train", iw_samples=1)
    assert figures.copied is not None
    assert figures.copied[1] == 1
    figures = vae.evaluate(corpus, split="test", iw_samples=1)
    assert figures.copied is not None
    windows = [corpus.splits["test"][i] for i in range(len(corpus.splits["test"]))]
    pieces = [vae.codec.piece(ids) for ids in windows]
    expected = share_copied(windows, pieces, corpus.splits["train"], 1)
    assert figures.copied[1] == expected
    assert expected is not None
    assert expected < 1


def test_music_is_capped(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch, collections: list[list[Piece]]
) -> None:
    monkeypatch.setattr(facade, "MAX_MUSIC_WINDOWS", 3)
    assert melodies.vae.evaluate(melodies.corpus, iw_samples=1).music_windows == 3
    assert [len(pieces) for pieces in collections] == [3, 3, 3]


def test_a_model_that_writes_silence_does_not_make_music(
    melodies: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silence(codec: Codec, z: torch.Tensor, *_: object) -> list[NDArray[np.int64]]:
        return [np.zeros((32, 1), np.int64) for _ in z]

    monkeypatch.setattr(Codec, "tokens", silence)
    figures = melodies.vae.evaluate(melodies.corpus, iw_samples=1)
    assert figures.overlap is not None
    for name in ("pitch_classes", "intervals", "durations", "repetition"):
        reached, ceiling = figures.overlap[name]
        assert reached == 0
        assert 0 < ceiling < 1
    assert figures.scale_share is not None
    assert figures.scale_share[0] == 0 < figures.scale_share[1] <= 1


def test_samples_play_over_the_chords_of_the_windows_they_are_compared_with(
    calls: Calls, tmp_path: Path
) -> None:
    write_tunes(tmp_path / "tunes", 8)
    tokenizer = {"kind": "melody", "num_bars": 1, "chords": True}
    trained = train_tiny(tmp_path, tmp_path / "tunes", tokenizer)
    calls.conditions.clear()
    trained.vae.evaluate(trained.corpus, iw_samples=1)
    split = trained.corpus.splits["test"]
    number = min(len(split), len(trained.corpus.splits["train"]))
    played = sorted(columns.tobytes() for columns in calls.conditions[-1])
    if number == len(split):
        assert played == sorted(split[i][:, 1:].tobytes() for i in range(len(split)))
    assert len(played) == number


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_precision_reaches_the_model(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    modes: list[tuple[bool, torch.dtype]] = []
    plain = facade.evaluate

    def spy(*args: Any, **keywords: Any) -> Any:
        modes.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
        return plain(*args, **keywords)

    monkeypatch.setattr(facade, "evaluate", spy)
    sentences.vae.evaluate(sentences.corpus, iw_samples=1, precision=precision)
    assert modes == [(precision == "bf16", torch.bfloat16)]
    assert not torch.is_autocast_enabled("cpu")


def test_evaluate_hands_on_split_draws_and_seed(
    sentences: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[tuple[int, dict[str, Any]]] = []

    def spy(model: SequenceVAE, loader: Any, tokenizer: AnyTokenizer, **keywords: Any) -> Any:
        handed.append((sum(len(batch.ids) for batch in loader), keywords))
        raise InterruptedError

    monkeypatch.setattr(facade, "evaluate", spy)
    sizes = {name: len(split) for name, split in sentences.corpus.splits.items()}
    assert sizes["train"] > sizes["valid"]
    for name, size in sizes.items():
        with pytest.raises(InterruptedError):
            sentences.vae.evaluate(sentences.corpus, split=name, iw_samples=7, seed=3)
        assert handed[-1] == (size, {"iw_samples": 7, "refine": 0, "seed": 3})
    with pytest.raises(InterruptedError):
        sentences.vae.evaluate()  # a run knows its corpus
    assert handed[-1] == (sizes["test"], {"iw_samples": 500, "refine": 0, "seed": 0})
