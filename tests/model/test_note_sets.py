"""Sets of notes: against a plain loop over notes, in training, decoding and on a GPU's path."""

from collections.abc import Iterator

import pytest
import torch
from tiny import settings, tiny_vae
from torch import Tensor
from torch.nn.functional import log_softmax, relu

from seqvae.model import note_sets
from seqvae.model.config import Sampling
from seqvae.model.note_sets import NoteHeads, NoteSetEmbedding, Rows, are_notes, note_slots
from seqvae.model.objective import sequence_nll
from seqvae.model.vae import SequenceVAE

PITCHES, DURATIONS, SLOTS, STEPS = 7, 5, 3, 8
NOTES = {"vocab_sizes": (PITCHES, DURATIONS) * SLOTS, "max_steps": STEPS, "slot_size": 2}
SCORES = {"vocab_sizes": (PITCHES, DURATIONS, 4) * SLOTS, "max_steps": STEPS, "slot_size": 3,
          "unison": True}  # fmt: skip
DECODERS = pytest.mark.parametrize("decoder", ["flat", "hierarchical"])
KINDS = pytest.mark.parametrize("steps", [NOTES, SCORES], ids=["notes", "scores"])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def note_ids(num_sequences: int, steps: dict = NOTES, *, seed: int = 0) -> Tensor:
    """Random sets (B, T, C) of none to all notes, their pitches rising."""
    generator = torch.Generator().manual_seed(seed)
    size = steps["slot_size"]
    shape = (num_sequences, STEPS, SLOTS)
    order = torch.rand(num_sequences, STEPS, PITCHES - 1, generator=generator).argsort(-1)
    pitches = 1 + order[..., :SLOTS].sort(-1).values
    if steps.get("unison"):
        pitches[..., 1] = pitches[..., 0]
    others = [torch.randint(n, shape, generator=generator) for n in steps["vocab_sizes"][1:size]]
    slots = torch.stack([pitches, *others], dim=-1)
    count = torch.randint(SLOTS + 1, shape[:2], generator=generator)
    return (slots * (torch.arange(SLOTS) < count[..., None])[..., None]).flatten(2)


def vae(decoder: str = "hierarchical", steps: dict = NOTES, **changes: object) -> SequenceVAE:
    changes = {"latent_dim": 4, "segment_length": 4} | steps | changes
    return tiny_vae(decoder=decoder, **changes)


def plain_nll(heads: NoteHeads, hidden: Tensor, slots: list[list[int]]) -> Tensor:
    """-log p of a set of notes, note by note."""
    nll, below, last = torch.zeros(()), torch.zeros(4), 0
    for number in range(SLOTS):
        pitch, *others = slots[number]
        features = relu(
            heads.from_step(hidden) + heads.from_below(below) + heads.from_last.weight[last]
        )
        logits = heads.logits[0](features)
        lowest = last if heads.unison else last + 1
        allowed = [0, *range(max(lowest, 1), PITCHES)]
        nll = nll - log_softmax(logits[allowed], -1)[allowed.index(pitch)]
        if pitch == 0:
            break
        for channel, token in enumerate(others):
            before = slots[number][channel]
            features = relu(
                heads.mixers[channel](features) + heads.embeddings[channel].weight[before]
            )
            nll = nll - log_softmax(heads.logits[channel + 1](features), -1)[token]
        vectors = [table.weight[t] for table, t in zip(heads.notes.channels, slots[number],
                                                       strict=True)]  # fmt: skip
        below = below + relu(heads.notes.mix(torch.stack(vectors).sum(0)))
        last = pitch
    return nll


@KINDS
def test_the_likelihood_is_that_of_a_plain_loop_over_notes(steps: dict) -> None:
    heads = vae(steps=steps).decoder.heads
    assert isinstance(heads, NoteHeads)
    ids, hidden = note_ids(3, steps), torch.randn(3, STEPS, 6)
    slots = note_slots(ids, steps["slot_size"]).tolist()
    expected = [[plain_nll(heads, hidden[b, t], slots[b][t]) for t in range(STEPS)]
                for b in range(3)]  # fmt: skip
    expected_nll = torch.stack([torch.stack(row) for row in expected])
    torch.testing.assert_close(heads.nll(hidden, ids), expected_nll, rtol=1e-5, atol=1e-5)


def every_set() -> Iterator[list[int]]:
    """All steps of up to two notes of two pitches and two durations."""
    notes = [[p, d] for p in (1, 2) for d in (0, 1)]
    yield [0, 0, 0, 0]
    for low in notes:
        yield [*low, 0, 0]
        yield from ([*low, *high] for high in notes if high[0] > low[0])


def test_the_probabilities_of_all_sets_add_up_to_one() -> None:
    model = vae(vocab_sizes=(3, 2) * 2)
    sets = torch.tensor([*every_set()])[:, None]
    with torch.no_grad():
        nll = model.decoder.heads.nll(torch.randn(1, 1, 6).expand(len(sets), -1, -1), sets)
    assert len(sets) == 1 + 4 + 4
    assert float(torch.exp(-nll.double()).sum()) == pytest.approx(1, rel=1e-5)


@KINDS
@DECODERS
def test_logits_give_the_same_likelihood(decoder: str, steps: dict) -> None:
    model = vae(decoder, steps)
    ids, z = note_ids(4, steps), torch.randn(4, 4)
    lengths = torch.full((4,), STEPS)
    logits = model.decoder(z, ids)
    assert [x.shape[-1] for x in logits] == list(steps["vocab_sizes"])
    torch.testing.assert_close(
        sequence_nll(logits, ids, lengths), model.decoder.token_nll(z, ids).sum(1)
    )


def test_nothing_is_scored_after_the_end_of_a_set() -> None:
    heads, hidden = vae().decoder.heads, torch.randn(1, 1, 6)
    ids = torch.tensor([[[3, 2, 0, 0, 0, 0]]])
    strange = torch.tensor([[[3, 2, 0, 4, 5, 1]]])
    assert torch.equal(heads.nll(hidden, ids), heads.nll(hidden, strange))
    assert are_notes(note_slots(strange, 2)).tolist() == [[[True, False, False]]]


def test_a_note_is_the_same_in_every_slot_and_order() -> None:
    embedding = vae().decoder.embedding
    assert isinstance(embedding, NoteSetEmbedding)
    first, second = [3, 2], [5, 1]
    both = torch.tensor([[[*first, *second, 0, 0], [*second, *first, 0, 0]]])
    alone = torch.tensor([[[*first, 0, 0, 0, 0]], [[*second, 0, 0, 0, 0]]])
    silence = torch.zeros(1, 1, 6, dtype=torch.long)
    assert torch.equal(embedding(both[:, :1]), embedding(both[:, 1:]))
    torch.testing.assert_close(embedding(both[:, :1]), embedding(alone).sum(0, keepdim=True))
    assert not embedding(silence).any()


def test_the_decoder_reads_what_goes_on_to_sound() -> None:
    sounding = vae().decoder.embedding.sounding
    ids = torch.zeros(1, 6, 6, dtype=torch.long)
    ids[0, 0, :4] = torch.tensor([2, 3, 5, 0])  # four steps of 2, one of 5
    ids[0, 2, :2] = torch.tensor([2, 4])  # struck again
    remaining = sounding.remaining(note_slots(ids, 2))[0]
    assert remaining[:, 2].tolist() == [3, 2, 4, 3, 2, 1]
    assert not remaining[:, [1, 3, 4, 5, 6]].any()
    longer = torch.zeros(7, dtype=torch.long)
    longer[2] = note_sets.LONGEST_TOLD
    step = (longer > 0).long()
    assert torch.equal(sounding(longer), sounding(longer + step))
    assert not torch.equal(sounding(longer), sounding(longer - step))


@KINDS
@DECODERS
def test_tables_draw_as_a_plain_loop_does(decoder: str, steps: dict) -> None:
    """Each token is the best of the logits that teacher forcing gives for the same sequence."""
    model = vae(decoder, steps, condition_sizes=(3,))
    z, conditions = 3 * torch.randn(20, 4), torch.randint(3, (20, STEPS, 1))
    drawn = model.decode(z, conditions=conditions).ids
    logits = model.decoder(z, drawn)
    for channel, of_channel in enumerate(logits):
        assert torch.equal(of_channel.argmax(-1), drawn[..., channel])
    counts = are_notes(note_slots(drawn[..., :-1], steps["slot_size"])).sum(-1)
    assert counts.unique().numel() > 1, counts


@KINDS
def test_draws_are_sets_and_do_not_depend_on_their_neighbours(steps: dict) -> None:
    model = vae(steps=steps)
    z, seeds = 3 * torch.randn(20, 4), list(range(20))
    drawn = model.decode(z, Sampling(), seeds).ids
    alone = model.decode(z[2:3], Sampling(), seeds[2:3]).ids
    assert torch.equal(drawn[2:3], alone)
    lengths = torch.full((20,), STEPS)
    assert sequence_nll(model.decoder(z, drawn), drawn, lengths).isfinite().all()
    slots = note_slots(drawn, steps["slot_size"])
    assert not slots[~are_notes(slots)].any()
    assert are_notes(slots).any(0).any(0).all()  # all slots are used
    assert not are_notes(slots).all()


def test_draws_follow_the_probabilities() -> None:
    """The first step of many rows with one z, against the probabilities of its sets."""
    model = vae(vocab_sizes=(3, 2) * 2, max_steps=4)
    z = torch.randn(1, 4).expand(4000, -1)
    drawn = model.decode(z, Sampling(), list(range(4000))).ids[:, 0]
    sets = torch.tensor([*every_set()])
    ids = torch.zeros(len(sets), 4, 4, dtype=torch.long)
    ids[:, 0] = sets
    expected = torch.exp(-model.decoder.token_nll(z[: len(sets)], ids)[:, 0])
    found = (drawn[:, None] == sets).all(-1).double().mean(0).float()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


def test_the_number_of_rows_is_one_of_few() -> None:
    for count in (0, 1, 511, 512, 513):
        mask = torch.zeros(2000, dtype=torch.bool)
        mask[torch.randperm(2000)[:count]] = True
        rows, table = Rows(mask), torch.randn(2000, 3)
        assert len(rows.of(table)) == -(-count // 512) * 512
        assert torch.equal(rows.spread(rows.of(table)), table * mask[:, None])


@pytest.fixture
def gpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows are taken, as where the host must not wait."""
    begin = Rows.__init__

    def take_all(self: Rows, mask: Tensor) -> None:
        begin(self, mask)
        self.picked = None

    monkeypatch.setattr(Rows, "__init__", take_all)


def test_a_gpu_takes_all_slots_and_gets_the_same(
    gpu_path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, lengths = note_ids(4), torch.full((4,), STEPS)
    results = []
    for _ in range(2):
        model = vae()
        bound = model(ids, lengths, torch.Generator().manual_seed(0))
        bound.total().sum().backward()
        results.append([bound.nll, *(p.grad for p in model.parameters())])
        monkeypatch.undo()
    for all_slots, some in zip(*results, strict=True):
        torch.testing.assert_close(all_slots, some, rtol=1e-4, atol=1e-5)


def test_no_step_of_training_waits_for_a_gpu() -> None:
    """Tensors without values refuse whatever depends on them."""
    config, steps = settings(decoder="hierarchical", latent_dim=4, segment_length=4, **NOTES)
    model = SequenceVAE(config, steps).to("meta")
    ids, lengths = note_ids(4).to("meta"), torch.full((4,), STEPS, device="meta")
    nll = model.decoder.token_nll(torch.randn(4, 4, device="meta"), ids)
    (nll.sum() + model.encode(ids, lengths).kl().sum()).backward()
    assert model.decoder.heads.mixers[0].weight.grad is not None


def test_under_autocast_the_likelihood_is_nearly_the_same() -> None:
    model, ids, z = vae(std=0.2), note_ids(4), torch.randn(4, 4)
    exact = model.decoder.token_nll(z, ids)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.decoder.token_nll(z, ids)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.1)
    assert not torch.equal(rough, exact)


@pytest.mark.parametrize(
    "changes",
    [{"tied_embeddings": True}, {"num_softmaxes": 2}, {"embedding_dropout": 0.5},
     {"token_dropout": 0.5, "weight_dropout": 0.2, "dropout": 0.1}, {"latent_dim": 0}],
    ids=str,
)  # fmt: skip
def test_settings_of_other_models_hold_here(changes: dict[str, object]) -> None:
    model = vae("flat", **changes).train()
    ids = note_ids(4)
    bound = model(ids, torch.full((4,), STEPS))
    bound.nll.sum().backward()
    model.eval()
    drawn = model.decode(torch.randn(4, model.config.latent_dim)).ids
    logits = model.decoder(torch.zeros(4, model.config.latent_dim), drawn)
    assert drawn.shape == ids.shape
    assert len(logits) == 6
