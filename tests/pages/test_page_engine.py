"""The engine of `play` in Node, against the model in Python."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import as_shipped
from node import ENGINE, HEARING, in_node
from tiny import random_ids, tiny_vae
from trained import Trained, band, choir

from seqvae.errors import InputError
from seqvae.inference.directions import Directions, make_score
from seqvae.inference.mixture import Mixture
from seqvae.model.config import Sampling
from seqvae.model.latent import weighted
from seqvae.model.noise import row_seeds
from seqvae.model.vae import SequenceVAE
from seqvae.music.chord_names import parse_chords
from seqvae.music.midi import read_midi, to_pretty_midi
from seqvae.music.notes import Piece, parse_metre
from seqvae.pages.model_data import model_data, packed
from seqvae.pages.page import FOLDER
from seqvae.pages.play import _scores
from seqvae.pages.token_data import music_grid
from seqvae.tokenizers import TOKENIZERS
from seqvae.tokenizers.contract import Example, MusicTokenizer

NUM_CODES = 12
NOTES = {"vocab_sizes": (9, 4) * 3, "slot_size": 2}
MODELS: dict[str, dict[str, Any]] = {
    "flat": {},
    "deep": {"encoder_layers": 2, "decoder_layers": 2, "encoder_pooling": "mean"},
    "hierarchical": {
        "decoder": "hierarchical", "segment_length": 4, "max_steps": 10, "latent_dim": 6,
        "vocab_sizes": (5, 5, 8), "num_members": (0, 0, 3), "conductor_layers": 2,
    },
    "musicvae": {
        "decoder": "musicvae", "segment_length": 4, "max_steps": 10, "conductor_layers": 2,
        "vocab_sizes": (5, 8), "num_members": (0, 3), "decoder_layers": 2,
    },
    "wired": {"z_wiring": ("output",), "encoder_pooling": "max", "bn_gamma": 0.6},
    "tied": {"tied_embeddings": True, "num_softmaxes": 3, "vocab_sizes": (11,), "eos_id": 1},
    "over chords": {"condition_sizes": (4, 2)},
    "NADE": {"vocab_sizes": (4, 64), "num_members": (0, 6), "nade_dim": 5, "std": 0.9},
    "notes": NOTES,
    "notes of several instruments": {
        **NOTES, "unison": True, "decoder": "hierarchical", "segment_length": 3, "latent_dim": 4,
        "condition_sizes": (3,),
    },
}  # fmt: skip
RUN = """
return given.map(({ model, z, ids, conditions }) => {
  const tensors = new Tensors(model.shapes, model.weights);
  const encoder = new Encoder(tensors, model.config, model.steps);
  const decoder = new Decoder(tensors, model.config, model.steps);
  const decoded = (settings) => z.map((code, i) => [...decoder.decode(Float32Array.from(code),
    { ...settings(i), conditions: conditions[i] })]);
  return {
    greedy: decoded(() => ({})),
    drawn: decoded((seed) => ({ temperature: 0.8, seed })),
    means: ids.map((rows) => [...encoder.mean(rows)]),
  };
});
"""


@pytest.fixture(scope="module")
def compared() -> dict[str, tuple[SequenceVAE, dict[str, Any], dict[str, Any]]]:
    """Each model, what it is given, and what the engine makes of it."""
    given: dict[str, Any] = {}
    models = {}
    for name, settings in MODELS.items():
        model = models[name] = as_shipped(tiny_vae(**settings))
        steps = model.steps
        z = torch.randn(
            NUM_CODES, model.config.latent_dim, generator=torch.Generator().manual_seed(1)
        )
        sizes = steps.vocab_sizes + steps.condition_sizes
        ids = random_ids(sizes, NUM_CODES, steps.max_steps)
        if steps.slot_size:
            ids[..., : steps.num_channels] = model.decode(
                z, conditions=ids[..., steps.num_channels :]
            ).ids[..., : steps.num_channels]
        given[name] = {
            "model": model_data(model, {}), "z": z.tolist(), "ids": ids.tolist(),
            "conditions": ids[..., steps.num_channels :].tolist(),
        }  # fmt: skip
    answers = in_node(ENGINE, RUN, list(given.values()))
    return {
        name: (models[name], given[name], answer)
        for name, answer in zip(given, answers, strict=True)
    }


@pytest.mark.parametrize("name", MODELS)
def test_tokens_and_means_are_those_of_the_model(
    compared: dict[str, tuple[SequenceVAE, dict[str, Any], dict[str, Any]]], name: str
) -> None:
    model, given, answer = compared[name]
    z, ids = torch.tensor(given["z"]), torch.tensor(given["ids"])
    conditions = ids[..., model.steps.num_channels :]
    lengths = torch.full((NUM_CODES,), model.steps.max_steps)
    with torch.no_grad():
        means = model.encode(ids, lengths).mean
    torch.testing.assert_close(torch.tensor(answer["means"]), means, rtol=0, atol=1e-5)
    seeds = [row_seeds(1, torch.Generator().manual_seed(seed))[0] for seed in range(NUM_CODES)]
    for drawn, sampling in (
        ("greedy", Sampling(temperature=0)),
        ("drawn", Sampling(temperature=0.8)),
    ):
        expected = model.decode(z, sampling, seeds, conditions=conditions)
        for row, length, rows in zip(expected.ids, expected.lengths, answer[drawn], strict=True):
            assert rows == row[:length, : model.steps.num_channels].tolist(), drawn
    assert answer["greedy"] != answer["drawn"]


def test_a_weight_that_float16_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="a: a weight above 65504"):
        packed({"a": torch.tensor([7e4])})


# Codes


def test_a_shift_is_that_of_python() -> None:
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    for method in ("network", "means"):
        torch.manual_seed(1)
        score = make_score(8, 2, method).requires_grad_(False)
        for weight in score.parameters():
            weight.copy_(weight.half())
        directions = Directions(("a", "b"), score, (1.0, 1.0), (2.0, 3.0), method, "")
        shipped = packed(_scores(score))
        found = in_node(
            (*ENGINE, "codes.js"),
            """const tensors = new Tensors(given.shapes, given.weights);
            const directions = new Directions(tensors, { names: ["a", "b"], gap: [2, 3] });
            return given.z.map((z) => [...directions.shift(Float32Array.from(z), "b", -1.5)]);""",
            {**shipped, "z": z.tolist()},
        )
        expected = directions.shift(z, "b", -1.5)
        torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-4)
        assert not torch.allclose(expected, z, atol=0.1)


def test_blends_and_samples_are_those_of_python() -> None:
    codes = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    scales = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.0, 0.25]])
    means = torch.tensor([[0.0, 0.0, 0.0], [10.0, -10.0, 0.0]])
    mixture = Mixture(torch.tensor([0.75, 0.25]), means, torch.stack([scales, 0.1 * torch.eye(3)]))
    prior = packed({f"prior.{name}": value for name, value in mixture.parts().items()})
    found = in_node(
        (*ENGINE, "codes.js"),
        """const prior = new Prior(new Tensors(given.shapes, given.weights));
        const normal = new Normal(0);
        return {
          mean: [...blended(given.codes.map((z) => Float32Array.from(z)), given.shares)],
          drawn: Array.from({ length: 4000 }, () => [...prior.draw(normal)]),
        };""",
        {**prior, "codes": codes.tolist(), "shares": weights.tolist()},
    )
    torch.testing.assert_close(torch.tensor(found["mean"]), weighted(codes, weights))
    drawn = np.array(found["drawn"])
    second = drawn[:, 0] > 8
    assert second.mean() == pytest.approx(0.25, abs=0.03)
    covariance = np.cov(drawn[~second].T)
    assert covariance == pytest.approx((scales @ scales.T).numpy(), abs=0.3)


# Notes and files

FIELDS = ("start", "end", "pitch", "velocity", "is_drum")


LOUD = {"num_velocity_bins": 32}
HIDING = ("hits", "tapping", "taps")
WALTZ = {"metres": ("4/4", "3/4"), "chords": True}
HEARD: dict[str, tuple[str, dict[str, Any]]] = {
    **{kind: (kind, {}) for kind, cls in TOKENIZERS.items() if issubclass(cls, MusicTokenizer)},
    **{f"loud {kind}": (kind, LOUD) for kind in ("melody", "trio", "voices", "polyphony")},
    "melody over chords": ("melody", {"chords": True, "keys": "normalised"}),
    "melody in three": ("melody", WALTZ),
    "trio in three": ("trio", WALTZ),
    "notes in three": ("polyphony", WALTZ),
    **{f"groove of {view}": ("groove", {"encoder_sees": view}) for view in HIDING},
    "melody in two": ("melody", {"metres": ("4/4", "2/4")}),
    "tapped tune": ("groove", {"encoder_sees": "tapping"}),
}


def piece_of(kind: str, name: str) -> Piece:
    """A piece whose notes are struck as it happens."""
    piece = choir(3) if kind == "voices" or "tune" in name else band(3)
    piece.notes["velocity"] = np.random.default_rng(3).integers(1, 128, len(piece.notes))
    metre = {"three": "3/4", "two": "2/4"}.get(name.rpartition(" ")[2])
    return replace(piece, metres=(parse_metre(metre),)) if metre else piece


def seen_by_the_encoder(tokenizer: Any, example: Example) -> Any:
    seen = tokenizer.encoder_input(example.ids[None])
    return (example.ids if seen is None else seen[0]).tolist()


def rows_of(notes: Any) -> list[tuple[float, ...]]:
    """Notes of Python in the form of those of the page."""
    return sorted(
        (round(float(n["start"] + n["offset"]), 4), int(n["end"] - n["start"]), int(n["pitch"]),
         int(n["velocity"]), bool(n["is_drum"]))
        for n in notes
    )  # fmt: skip


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For each kind, the windows of a file in Python, and in the engine."""
    folder = tmp_path_factory.mktemp("heard")
    given, expected = [], {}
    for name, (kind, settings) in HEARD.items():
        tokenizer: Any = TOKENIZERS[kind](num_bars=2, **settings)
        file = folder / f"{name}.mid"
        to_pretty_midi(piece_of(kind, name)).write(str(file))
        examples = tokenizer.encode(read_midi(file, tokenizer.steps_per_quarter))
        expected[name] = (tokenizer, examples)
        given.append({"grid": music_grid(tokenizer), "bytes": [*file.read_bytes()]})
    answers = in_node(
        HEARING,
        """return given.map(({ grid, bytes }) => {
          Object.assign(engine, represent({ grid }));
          const file = read({ bytes });
          engine.encoder = { mean: (ids) => ids };
          const heard = file.windows.map((window) => encode({ ...file, ...window, bar: file.bar }));
          return { ...file, heard, ids: heard.map(({ z }) => z) };
        });""",
        given,
    )
    return {kind: (*expected[kind], answer) for kind, answer in zip(expected, answers, strict=True)}


@pytest.mark.parametrize("name", HEARD)
def test_a_file_becomes_the_tokens_and_notes_of_python(heard: dict[str, Any], name: str) -> None:
    tokenizer, examples, answer = heard[name]
    assert answer["qpm"] == pytest.approx(90, rel=1e-4)
    assert answer["ids"] == [seen_by_the_encoder(tokenizer, example) for example in examples]
    assert len({example.moved for example in examples} | {answer["moved"]}) == 1
    bars = [window["bars"] for window in answer["windows"]]
    each = 4 if name == "melody in two" else 2  # of the file's own
    assert bars == [[1 + each * i, each + each * i] for i in range(len(examples))]
    for example, found in zip(examples, answer["heard"], strict=True):
        notes = [
            (round(n["start"], 4), n["length"], n["pitch"], n["velocity"], n["drum"] is not None)
            for n in found["notes"]
        ]
        piece = tokenizer.decode(Example(example.ids, moved=0))
        expected = [
            (start, length, pitch - example.moved * (not drum), velocity, drum)
            for start, length, pitch, velocity, drum in rows_of(piece.notes)
        ]
        assert sorted(notes) == sorted(expected)


def test_names_of_chords_are_those_of_python() -> None:
    names = (
        "C Am F#dim Bbaug Gsus4 D7 Em7/B C:maj N Cmaj7 Cm7b5 A-7 Eb+ Gsus2 D7sus4 F#m7 Bo CM7 "
        "Abmaj9 Cmin Dadd9 E7#9 G/B C6 Am6 Fm(maj7) C7#5 Bhdim C#:min Cb Ddim7 Am7b5"
    )
    chords, told, wrong = in_node(
        ("chord_names.js",),
        """const parse = (text) => {
          try { return parseChords(text); } catch (error) { return error.message; }
        };
        return [parse(given), chordNames([1, 1, 22, 22, 0, 0, 53, 53]), parse("C Hm")];""",
        names,
    )
    assert chords == parse_chords(names)
    assert told == "C Am N Esus4"
    assert "Hm" in wrong
    assert "is not a chord" in wrong


def test_notes_of_the_first_steps_are_those_of_the_whole(melodies: Trained) -> None:
    """Bars can be played while later ones are decoded."""
    tokenizer = melodies.vae.tokenizer
    ids = melodies.corpus.splits["train"][0]
    first, whole = in_node(
        ("chords.js", "tokens.js"),
        """const tokens = tokensFor(given.grid, 0);
        return [tokens.notes(given.ids.slice(0, 16)), tokens.notes(given.ids)];""",
        {"grid": music_grid(tokenizer), "ids": ids.tolist()},
    )
    early = [note for note in whole if note["start"] < 16]
    assert [(n["start"], n["pitch"]) for n in first] == [(n["start"], n["pitch"]) for n in early]
    assert first


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF0000", "this is no MIDI file"),
        (b"MThd\0\0\0\6\0\0\0\1\xe7\x28", "its ticks count seconds"),
        (b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0", "there are no notes"),
        (
            b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x0c\0\xff\x58\4\3\2\x18\x08\0\xff\x2f\0",
            "its metre is 3/4",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(
    melodies: Trained, data: bytes, message: str
) -> None:
    said = in_node(
        HEARING,
        """Object.assign(engine, represent(given));
        try { read({ bytes: given.bytes }); } catch (error) { return error.message; }""",
        {"grid": music_grid(melodies.vae.tokenizer), "bytes": [*data]},
    )
    assert message in said


def test_the_page_has_the_engine_in_the_order_of_its_files() -> None:
    template = (FOLDER / "play.html").read_text()
    text = template.partition('id="engine">')[2].partition("</script>")[0]
    names = re.findall(r"\{\{(\w+\.js)\}\}", text)
    assert tuple(names[: len(ENGINE)]) == ENGINE
    assert names[-2:] == ["worker.js", "music_worker.js"]
