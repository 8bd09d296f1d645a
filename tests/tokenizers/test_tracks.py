"""Which tracks representations take, and what they say of the rest of a clip."""

import logging

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.notes import Notes, Piece, Track, make_notes, sort_notes
from seqvae.shipped import models
from seqvae.tokenizers import TOKENIZERS, load_tokenizer, make_tokenizer
from seqvae.tokenizers.contract import MusicTokenizer
from seqvae.tokenizers.tracks import TAKES, TrackSettings, with_tracks

MUSIC = [kind for kind, made in TOKENIZERS.items() if made.modality == "music"]
KICK, SNARE, HAT, OPEN_HAT = 1, 2, 4, 8


def line(pitch: int, track: int) -> Notes:
    return make_notes([0, 8], [8, 16], [pitch, pitch + 2], track=track)


def piece(*tracks: tuple[str, Notes], channel: int = 1, name: str = "clip.mid") -> Piece:
    notes = sort_notes(np.concatenate([of_track for _, of_track in tracks]))
    return Piece(notes, 4, tracks=tuple(Track(t, channel) for t, _ in tracks), name=name)


BAND = piece(("Lead", line(72, 0)), ("Bass", line(40, 1)), ("Drums", line(36, 2)),
             ("Strings", line(60, 3)))  # fmt: skip


def tokenizer(kind: str, *rules: str) -> MusicTokenizer:
    settings = {"num_voices": 3} if kind == "voices" else {}  # those of the band
    made = make_tokenizer({"kind": kind, "num_bars": 1, "tracks": list(rules), **settings})
    assert isinstance(made, MusicTokenizer)
    return made


@pytest.mark.parametrize(
    ("kind", "left_out"),
    [
        ("melody", ["Bass", "Drums", "Strings"]),
        ("drums", ["Lead", "Bass", "Strings"]),
        ("groove", ["Lead", "Bass", "Strings"]),
        ("trio", ["Strings"]),
        ("voices", ["Drums"]),
        ("polyphony", ["Drums"]),
    ],
)
def test_what_a_clip_loses_is_said_in_one_line(
    kind: str, left_out: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer(kind).encode(BAND)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(left_out)
    for message in messages:
        assert message.startswith("clip.mid: not heard: track ")
        assert message.endswith("; --tracks says which track is what")
        assert [name for name in ("Lead", "Bass", "Drums", "Strings") if f"'{name}' (" in message
                ] == left_out  # fmt: skip
        assert len(message) < 300


CHORDS = np.concatenate([line(60 + high, 0) for high in (0, 4, 7)])


@pytest.mark.parametrize("kind", ["melody", "voices", "polyphony"])
def test_for_a_clip_of_drums_alone_another_model_is_named(kind: str) -> None:
    kit = line(36, 0)
    kit["is_drum"] = True
    with pytest.raises(InputError, match=f"no {kind} in it") as caught:
        tokenizer(kind).encode(piece(("", kit), channel=10))
    assert "; a model of drums, such as drums_2bar, takes drums" in str(caught.value)
    assert "--tracks" not in str(caught.value)  # that would make a melody of keys of a kit
    if kind == "melody":  # but a name may mislead
        with pytest.raises(InputError, match=r"takes drums; --tracks 'melody: track=1' takes"):
            tokenizer(kind).encode(piece(("Drums", line(36, 0))))


@pytest.mark.parametrize("kind", ["melody", "trio"])
def test_for_a_clip_of_chords_alone_another_model_is_named(kind: str) -> None:
    with pytest.raises(InputError, match=r"such as piano_2bar, takes chords; --tracks 'melody: "):
        tokenizer(kind).encode(piece(("", CHORDS)))


def test_the_models_that_take_other_tracks_ship() -> None:
    for role, kind in (("drums", "drums"), ("chords", "polyphony")):
        (name,) = {*models()} & {*TAKES[role].replace(",", "").split()}
        assert load_tokenizer(models()[name]).kind == kind


def test_notes_of_chords_and_strange_drums_are_said_too(caplog: pytest.LogCaptureFixture) -> None:
    chord = make_notes([0, 0, 8], [8, 8, 16], [60, 64, 62])
    tokenizer("melody").encode(piece(("Lead", chord), name=""))
    tokenizer("drums").encode(piece(("Drums", make_notes([0, 8], [8, 16], [36, 100]))))
    twice = make_notes([0, 0], [8, 8], [60, 60])
    tokenizer("polyphony").encode(piece(("", twice)))
    assert [record.getMessage() for record in caplog.records] == [
        "the clip: not heard: 1 note: at the same step as another of its track",
        "clip.mid: not heard: 1 note: a drum outside the nine classes",
        "clip.mid: not heard: 1 note: struck twice at once",
    ]


def test_many_tracks_with_long_names_stay_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    tracks = [(f"{number} strings of a long name, and longer", line(40 + number, number))
              for number in range(12)]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        tokenizer("melody").encode(piece(*tracks))
    (record,) = caplog.records
    assert "8 more; --tracks" in record.getMessage()
    assert len(record.getMessage()) < 300


@pytest.mark.parametrize("kind", MUSIC)
def test_training_takes_the_tracks_of_a_clip(kind: str) -> None:
    made = tokenizer(kind)
    (example,) = made.encode(BAND)
    (sequence,) = made.extract(BAND).sequences
    assert np.array_equal(example.ids, sequence)


@pytest.mark.parametrize("kind", MUSIC)
def test_rules_hold_in_training_and_for_a_clip(kind: str) -> None:
    """The strings take the place of the tracks that are named for it."""
    roles = {"trio": "melody", "groove": "drums", "voices": "none", "polyphony": "drums"}
    rules = f"{roles.get(kind, kind)}: name=str*; none: name=drums"
    made = tokenizer(kind, rules)
    assert isinstance(made, TrackSettings)
    (sequence,) = made.extract(BAND).sequences or made.encode(BAND)
    ids = sequence if isinstance(sequence, np.ndarray) else sequence.ids
    assert not np.array_equal(ids, tokenizer(kind).encode(BAND)[0].ids)
    again = with_tracks(tokenizer(kind), rules)
    assert again == made
    assert np.array_equal(again.encode(BAND)[0].ids, ids)


def test_rules_of_a_clip_replace_those_of_the_model() -> None:
    made = tokenizer("melody", "melody: lowest")
    assert with_tracks(made, None) is made
    assert with_tracks(made, "melody: all") == tokenizer("melody", "melody: all")
    with pytest.raises(InputError, match="names no role"):
        with_tracks(made, "flute")


def test_polyphony_hears_drums_by_name_and_leaves_out_what_rules_say() -> None:
    settings = {"kind": "polyphony", "num_bars": 1, "programs": True, "tracks": ["none: name=bass"]}
    made = make_tokenizer(settings)
    assert isinstance(made, MusicTokenizer)
    played = made.decode(made.encode(BAND)[0])
    drums, pitched = played.notes[played.notes["is_drum"]], played.notes[~played.notes["is_drum"]]
    assert drums["pitch"].tolist() == [36, 38]
    assert sorted(pitched["pitch"].tolist()) == [60, 62, 72, 74]


@pytest.mark.parametrize("kind", MUSIC)
def test_what_is_no_rule_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="names no role"):
        tokenizer(kind, "flute")


def test_a_sampler_plays_the_drum_that_its_track_is_named_for() -> None:
    """Also where every drum lies on the same key."""
    tracks = [("Kick", make_notes([0], [1], [60], track=0)),
              ("Snare 2", make_notes([4], [5], [60], track=1)),
              ("Open Hat", make_notes([8], [9], [60], track=2)),
              ("Hats", make_notes([12], [13], [60], track=3))]  # fmt: skip
    (example,) = tokenizer("drums").encode(piece(*tracks))
    assert example.ids[::4, 0].tolist() == [KICK, SNARE, OPEN_HAT, HAT]
    on_kit = [("Kick", make_notes([0], [1], [38], is_drum=True))]
    (example,) = tokenizer("drums").encode(piece(*on_kit, channel=10))
    assert example.ids[0, 0] == SNARE  # General MIDI's pitches hold on channel 10
    two = [("Kick", make_notes([0, 4], [1, 5], [38, 42]))]
    (example,) = tokenizer("drums").encode(piece(*two))
    assert example.ids[:5:4, 0].tolist() == [SNARE, HAT]
