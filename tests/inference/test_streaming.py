"""Outputs while they are decoded: the same as `decode` makes, bar by bar and word by word."""

import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pretty_midi
import pytest
import torch
from tiny import randomised

from seqvae.errors import InputError
from seqvae.inference.codec import BATCH_SIZE, Codec
from seqvae.inference.streaming import bars, words
from seqvae.inference.trained import TrainedVAE
from seqvae.model.config import ModelConfig
from seqvae.model.vae import SequenceVAE
from seqvae.music.midi import to_pretty_midi
from seqvae.music.notes import Piece, join
from seqvae.tokenizers import TOKENIZERS, AnyTokenizer, make_tokenizer
from seqvae.tokenizers.contract import Example
from seqvae.tokenizers.drums import DrumsTokenizer
from seqvae.tokenizers.melody import MelodyTokenizer
from seqvae.tokenizers.text import SubwordTokenizer
from seqvae.tokenizers.words import WordTokenizer

LINES = [f"{a} {b} {c}." for a, b, c in itertools.product(
    ("A man", "Two dogs", "The girl"), ("sees", "likes", "draws"), ("the sea", "a boat", "music")
)]  # fmt: skip
MUSIC = [kind for kind, made in TOKENIZERS.items() if made.modality == "music"]
SAMPLED = {"temperature": 1.0, "seed": 3, "top_p": 0.95}
HELD, OFF, C4 = 0, 1, 2 + 60 - 21  # events of a melody


def trained(tokenizer: AnyTokenizer, **settings: Any) -> TrainedVAE:
    """A tiny model with random weights."""
    config = ModelConfig(
        **{"latent_dim": 16, "embedding_dim": 4, "encoder_dim": 5, "decoder_dim": 6, **settings}
    )
    model = randomised(SequenceVAE(config, tokenizer.steps), std=1.0)
    return TrainedVAE(Codec(model, tokenizer))


def codes(number: int) -> torch.Tensor:
    return torch.randn(number, 16, generator=torch.Generator().manual_seed(1)) * 2


def in_bytes(clip: pretty_midi.PrettyMIDI) -> bytes:
    file = io.BytesIO()
    clip.write(file)
    return file.getvalue()


def assert_streamed_as_decoded(vae: TrainedVAE, number: int, **how: Any) -> list[Piece]:
    """Stream a clip of several windows; its bars, which make up what each code decodes to."""
    z = codes(number)
    clips = vae.decode(z, **how)
    streamed = list(vae.stream(z, **how))
    assert all(isinstance(bar, Piece) for bar in streamed)
    size, rest = divmod(len(streamed), number)
    assert not rest
    for window, clip in enumerate(clips):
        made = join(streamed[window * size : (window + 1) * size])
        assert in_bytes(to_pretty_midi(made)) == in_bytes(clip)
    assert sum(len(bar.notes) for bar in streamed) > size
    return streamed


@pytest.mark.parametrize("kind", MUSIC)
def test_bars_of_every_kind_make_up_what_is_decoded(kind: str) -> None:
    tokenizer = make_tokenizer({"kind": kind, "num_bars": 2})
    vae = trained(tokenizer)
    for how in ({}, SAMPLED):
        streamed = assert_streamed_as_decoded(vae, 3, **how)
        assert [bar.num_steps for bar in streamed] == [16] * 6


@pytest.mark.parametrize("kind", ["melody", "trio"])
def test_bars_of_a_hierarchical_model_do_too(kind: str) -> None:
    vae = trained(
        make_tokenizer({"kind": kind, "num_bars": 4}),
        decoder="hierarchical", segment_length=16, conductor_dim=6,
    )  # fmt: skip
    assert_streamed_as_decoded(vae, 2, **SAMPLED)


@pytest.mark.parametrize(("metre", "bar"), [(None, 16), ("2/4", 8), ("3/4", 12), ("6/8", 12)])
def test_bars_have_the_length_of_the_metre(metre: str | None, bar: int) -> None:
    tokenizer = make_tokenizer(
        {"kind": "melody", "metres": ["4/4", "3/4", "6/8", "2/4"], "chords": True}
    )
    how = {"metre": metre, "chords": "C F", **SAMPLED}
    streamed = assert_streamed_as_decoded(trained(tokenizer), 2, **how)
    assert {str(piece.metres[0]) for piece in streamed} == {metre or "4/4"}
    assert {piece.num_steps for piece in streamed} == {bar}


def test_chords_tempo_and_key_reach_the_bars() -> None:
    tokenizer = MelodyTokenizer(chords=True, keys="normalised")
    vae = trained(tokenizer)
    plain = assert_streamed_as_decoded(vae, 1)
    other = assert_streamed_as_decoded(vae, 1, chords="Am Dm", qpm=90.0, key="E minor")
    assert other[0].tempos[0].qpm == 90
    assert other[0].key is not None
    pitches = [[piece.notes["pitch"].tolist() for piece in bars] for bars in (plain, other)]
    assert pitches[0] != pitches[1]


def test_more_windows_than_are_decoded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqvae.inference.codec.BATCH_SIZE", 2)
    assert BATCH_SIZE > 2
    assert_streamed_as_decoded(trained(DrumsTokenizer()), 5, **SAMPLED)


@pytest.mark.parametrize(
    "tokenizer",
    [SubwordTokenizer(vocab_size=300, max_steps=24), WordTokenizer(max_steps=24)],
    ids=lambda tokenizer: tokenizer.kind,
)
def test_words_make_up_the_text(tokenizer: SubwordTokenizer | WordTokenizer) -> None:
    vae, lengths = trained(tokenizer.train(LINES)), set()
    for seed in range(20):
        how = SAMPLED | {"seed": seed}
        for z in codes(2).split(1):
            streamed = list(vae.stream(z, **how))
            assert "".join(streamed) == vae.decode(z, **how)[0]
            assert all(word.endswith(" ") for word in streamed[:-1])
            assert not any(" " in word.rstrip() for word in streamed)
            lengths.add(len(streamed))
    assert len(lengths) > 3  # some end early


# When


def counted(steps: list[Any], drawn: list[int]) -> Iterator[Any]:
    """Steps; how many were asked for is written down."""
    for number, step in enumerate(steps, start=1):
        drawn[0] = number
        yield np.array([step]) if isinstance(step, int) else step


def arrivals(events: list[int]) -> list[tuple[int, list[tuple[int, int]]]]:
    """When each bar of a melody comes, in steps drawn, and where its notes begin and end."""
    drawn = [0]
    tokenizer = MelodyTokenizer(num_bars=2)
    return [
        (drawn[0], [(int(note["start"]), int(note["end"])) for note in bar.notes])
        for bar in bars(tokenizer, Example(np.zeros((0, 1), int)), counted(events, drawn))
    ]


def test_a_bar_comes_once_its_notes_have_ended() -> None:
    silent = [HELD] * 15
    assert arrivals([C4, OFF] + silent[:14] + [HELD] * 16) == [(16, [(0, 1)]), (32, [])]
    assert arrivals([HELD] * 32) == [(16, []), (32, [])]
    to_the_line = [C4, *silent, OFF, *silent]
    assert arrivals(to_the_line) == [(17, [(0, 16)]), (32, [])]
    beyond_it = [C4, *silent, HELD, HELD, C4, OFF, *silent[:12]]
    assert arrivals(beyond_it) == [(19, [(0, 18)]), (32, [(2, 3)])]
    to_the_end = [C4, *silent, *silent, HELD]
    assert arrivals(to_the_end) == [(32, [(0, 32)]), (32, [])]


def test_a_word_comes_with_the_space_after_it() -> None:
    tokenizer = WordTokenizer(max_steps=9).train(["two dogs see the sea"])
    drawn = [0]
    ids = list(tokenizer.encode("two dogs see the sea"))
    come = [(drawn[0], word) for word in words(tokenizer, counted(ids, drawn))]
    assert come == [(2, "two "), (3, "dogs "), (4, "see "), (5, "the "), (6, "sea")]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps models have decoded."""
    number, stream = [0], SequenceVAE.stream

    def watched(*args: Any, **settings: Any) -> Iterator[torch.Tensor]:
        for tokens in stream(*args, **settings):
            number[0] += 1
            yield tokens

    monkeypatch.setattr(SequenceVAE, "stream", watched)
    return number


def test_no_step_is_decoded_before_it_is_needed_or_twice(drawn: list[int]) -> None:
    vae = trained(DrumsTokenizer(num_bars=4))
    streamed = vae.stream(codes(3), **SAMPLED)
    assert drawn == [0]
    come = [drawn[0] for _ in streamed]
    assert [-(-steps // 16) for steps in come[:2]] == [1, 2] or come[:2] == [17, 33]
    assert come[3:] == [64] * 9  # windows are decoded together


def test_who_stops_early_leaves_nothing_behind(drawn: list[int]) -> None:
    vae = trained(DrumsTokenizer(num_bars=4))
    z, threads = codes(1), torch.get_num_threads()
    before = in_bytes(vae.decode(z)[0])
    with torch.autocast("cpu", torch.bfloat16):
        streamed = vae.stream(z)
        next(streamed)
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads
    streamed.close()  # type: ignore[attr-defined]  # of a generator
    assert drawn[0] in (16, 17)
    assert in_bytes(vae.decode(z)[0]) == before


def test_two_streams_at_once_do_not_disturb_each_other() -> None:
    vae = trained(MelodyTokenizer(num_bars=4), decoder_layers=2)
    first, second = codes(2).split(1)
    alone = [list(vae.stream(z, **SAMPLED)) for z in (first, second)]
    assert alone[0][0].notes.tolist() != alone[1][0].notes.tolist()
    together = zip(vae.stream(first, **SAMPLED), vae.stream(second, **SAMPLED), strict=True)
    for bar, (one, two) in enumerate(together):
        assert one.notes.tolist() == alone[0][bar].notes.tolist()
        assert two.notes.tolist() == alone[1][bar].notes.tolist()


# What cannot be


@pytest.mark.parametrize(
    ("z", "how", "message"),
    [
        (codes(2)[0], {}, r"codes of shape \(16,\); this model takes \(N, 16\)"),
        (codes(1) * torch.nan, {}, "not finite"),
        (codes(1), {"qpm": 0.1}, "qpm is 0.1"),
        (codes(1), {"metre": "3/4"}, "this model knows 4/4"),
        (codes(1), {"key": "E dorian"}, "key is 'E dorian'; .* other scales are for --scale"),
        (codes(1), {"scale": "blues"}, "no input to find its key in: write a tonic before it"),
        (codes(1), {"chords": "C"}, "knows no chords"),
    ],
)
def test_mistakes_are_refused_at_once(z: torch.Tensor, how: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        trained(MelodyTokenizer()).stream(z, **how)


def test_a_text_has_one_code() -> None:
    vae = trained(WordTokenizer(max_steps=9).train(LINES))
    with pytest.raises(InputError, match="2 codes; a text has one"):
        vae.stream(codes(2))
