"""A model of one's own from few clips."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trained import Trained

import seqvae
from seqvae import cli
from seqvae.corpus.batches import Batch
from seqvae.errors import InputError
from seqvae.inference.bundle import load_bundle
from seqvae.inference.cards import read_card
from seqvae.inference.codec import AS_IS
from seqvae.inference.metrics import importance_weighted_nll
from seqvae.inference.mixture import Mixture
from seqvae.inference.prior import load_prior
from seqvae.training import adaptation, few_clips, personal
from seqvae.training.few_clips import read_clips
from seqvae.training.judge import Judge

MINE = [f"{who} {verb} the {what}.\n" for who in ("The girl", "A man") for verb in ("sees", "likes")
        for what in ("moon", "sea", "boat")]  # fmt: skip


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("".join(MINE + MINE[:2]))
    return "mine.txt"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DECODER_STEPS", "PRIOR_STEPS", "SCRATCH_STEPS"):
        monkeypatch.setattr(adaptation, name, (1, 4))


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["seqvae", "personal", *map(str, words)])
    cli.main()


# What is read


def test_lines_of_another_encoding_are_refused(sentences: Trained, lines: str) -> None:
    Path(lines).write_bytes("".join(MINE).replace("e", "\u00e9").encode("latin-1"))
    with pytest.raises(InputError, match="they look like cp1252: convert them to UTF-8"):
        read_clips(sentences.vae.codec, [lines], AS_IS)


def test_clips_are_read_once_each(
    sentences: Trained, lines: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clips = read_clips(sentences.vae.codec, [lines], AS_IS)
    assert len(clips) == 12
    assert "12 different sentences of 14" in caplog.text
    assert [sentences.vae.tokenizer.decode(ids) for ids in clips.ids] == [m.strip() for m in MINE]


def test_few_clips_are_said_to_be_few_and_too_few_refused(
    sentences: Trained, lines: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(lines).write_text("".join(MINE[:3]), encoding="utf-8")
    assert len(read_clips(sentences.vae.codec, [lines], AS_IS)) == 3
    assert "3 different sentences: few; 12 or more show better" in caplog.text
    Path(lines).write_text("".join(MINE[:2] * 9), encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.txt: 2 different sentences of 18; give 3 or more"):
        read_clips(sentences.vae.codec, [lines], AS_IS)


def test_of_many_clips_some_are_taken_evenly(
    sentences: Trained, lines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few_clips, "MAX_CLIPS", 3)
    ids = read_clips(sentences.vae.codec, [lines], AS_IS).ids
    decoded = [sentences.vae.tokenizer.decode(each).strip() for each in ids]
    assert decoded == [MINE[0].strip(), MINE[6].strip(), MINE[11].strip()]


# How likely clips are


def test_the_judge_agrees_with_the_importance_weighted_likelihood(sentences: Trained) -> None:
    codec = sentences.vae.codec
    ids = [sentences.corpus.splits["test"][i] for i in range(3)]
    judge = Judge(codec, ids, 5, seed=3)
    standard = Mixture.standard(codec.model.config.latent_dim)
    far = Mixture(torch.ones(1), standard.means + 2.0, standard.scales)
    nats = judge.nats([codec.model, codec.model], [standard, far])
    (batch,) = codec.batches(ids)
    assert isinstance(batch, Batch)
    expected = importance_weighted_nll(codec.model, batch, 5, codec.generator(3)).nll
    torch.testing.assert_close(nats[1, 0], expected, rtol=1e-5, atol=1e-4)
    one = Judge(codec, ids, 1, seed=3)
    (((near, away),)) = one.nats([codec.model], [standard, far])
    change = (standard.log_prob(one.z) - far.log_prob(one.z)).double()
    torch.testing.assert_close(away - near, change, rtol=1e-4, atol=1e-4)


def test_what_is_told_of_a_clip_was_chosen_by_others() -> None:
    base = torch.tensor([5.0, 5.0])
    liked, hated = torch.tensor([1.0, 1.0]), torch.tensor([8.0, 8.0])
    first = torch.stack([base, liked])[:, None]  # two decoders, one prior
    others = torch.stack([base, hated])[:, None]
    told = personal._compared([first, others], scratch=9.0)
    assert (told.base, told.personal, told.scratch) == (5.0, 6.5, 9.0)
    assert told.num_likelier == 0
    assert told.num_clips == 4
    assert "likelier: 0 of 4 clips" in told.table("drums_2bar", "mine")
    assert told.table("drums_2bar", "mine").splitlines()[0].endswith(" nats/clip, lower is better")
    of_text = replace(told, noun="sentence")
    assert "likelier: 0 of 4 sentences" in of_text.table("sentences", "mine")
    assert "clip" not in of_text.table("sentences", "mine") + of_text.markdown("a", "b")


def test_that_a_model_from_scratch_is_better_is_said() -> None:
    better, worse = (
        personal.Comparison(num_clips=4, base=8.0, personal=6.0, scratch=scratch, num_likelier=4)
        for scratch in (5.9, 6.0)
    )
    for told in (better.table("base", "mine"), better.markdown("base", "mine")):
        assert told.splitlines()[-1].startswith("from scratch beats mine: ")
        assert "lower is better" in told
    assert len(worse.table("base", "mine").splitlines()) == 4
    assert "beats" not in worse.table("base", "mine") + worse.markdown("base", "mine")


# The verb


@pytest.mark.usefixtures("brief")
def test_the_result_is_a_bundle_that_verbs_take_and_that_names_its_base(
    sentences: Trained,
    lines: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = sentences.run / "bundle"
    run(monkeypatch, base, lines, "--name", "mine")
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[1:4]] == [str(base), "mine", "from"]
    nats = {line.split("  ")[0].strip(): float(line.split()[-1]) for line in (told[1], told[3])}
    assert nats[str(base)] < nats["from scratch"]
    model, _ = load_bundle(Path("mine"))
    for name, weight in sentences.vae.model.state_dict().items():
        if not name.startswith("decoder."):
            assert torch.equal(weight, model.state_dict()[name])
    assert load_prior(Path("mine"), model.config.latent_dim) is not None
    head, body = read_card(Path("mine/README.md"))
    assert head["base_model"] == str(base)
    assert "12 sentences" in body
    assert "clip" not in body + " ".join(told)
    settings = json.loads(Path("mine/config.json").read_text(encoding="utf-8"))["training"]
    assert settings["name"] == "mine"
    assert settings["trainer"]["init_from"] == str(base)
    of_base = json.loads((base / "config.json").read_text(encoding="utf-8"))["training"]["data"]
    said = {place for place in personal.PLACES if of_base[place] is not None}
    assert said  # where the data of the base lay, which its user need not tell
    assert not [place for place in personal.PLACES if settings["data"][place] is not None]
    assert len(seqvae.load("mine", "cpu").sample(2, seed=1)) == 2
    run_again = pytest.raises(SystemExit)
    with run_again as refused:
        run(monkeypatch, base, lines, "--name", "mine")
    assert refused.value.code == 2
    assert "mine: there is something of this name" in capsys.readouterr().err


def test_where_nothing_helps_the_base_is_copied(
    sentences: Trained, lines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unchanged(start: object, *_: object, seed: int) -> list[object]:
        return [start]

    monkeypatch.setattr(personal, "priors", unchanged)
    monkeypatch.setattr(personal, "decoders", unchanged)
    monkeypatch.setattr(adaptation, "SCRATCH_STEPS", (1,))
    base = str(sentences.run / "bundle")
    made = personal.make_personal(base, [lines], sentences.vae.codec, "mine")
    assert made.moved == ()
    assert made.comparison.personal == made.comparison.base
    assert math.isfinite(made.comparison.scratch)
    assert "mine: a copy of" in made.told(base, "mine")
