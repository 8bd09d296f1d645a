"""What tracks are taken for, by each kind of evidence and by what outweighs it."""

import numpy as np
import pytest

from seqvae.music.notes import Notes, Piece, Track, make_notes, sort_notes
from seqvae.music.roles import Part, parts_of
from seqvae.music.track_rules import parse_rules

TRIO, MELODY, DRUMS = ("melody", "bass", "drums"), ("melody",), ("drums",)


def line(pitch: int) -> Notes:
    return make_notes([0, 8, 16], [4, 16, 24], [pitch, pitch + 2, pitch])


def chords(pitch: int) -> Notes:
    return make_notes([0, 0, 8, 8], [8, 8, 16, 16], [pitch, pitch + 12] * 2)


def piece(*tracks: tuple[Track, Notes], name: str = "") -> Piece:
    """A piece with these tracks; notes on channel 10 are drums."""
    notes = []
    for number, (about, of_track) in enumerate(tracks):
        of_track = of_track.copy()
        of_track["track"], of_track["program"] = number, about.program
        of_track["is_drum"] = about.channel == 10
        notes.append(of_track)
    infos = tuple(about for about, _ in tracks)
    return Piece(sort_notes(np.concatenate(notes)), 4, tracks=infos, name=name)


def roles(whole: Piece, wanted: tuple[str, ...] = TRIO, *rules: str) -> list[str]:
    return [part.role for part in parts_of(whole, wanted, parse_rules(rules))]


def alone(about: Track, notes: Notes, wanted: tuple[str, ...] = TRIO, name: str = "") -> Part:
    (part,) = parts_of(piece((about, notes), name=name), wanted)
    return part


def test_a_band_from_a_daw_is_heard_by_the_names_of_its_tracks() -> None:
    """Three tracks on channel 1 without programs."""
    band = piece(
        (Track("Drums", 1), line(38)), (Track("Bass", 1), line(70)), (Track("Lead", 1), line(50))
    )
    assert roles(band) == ["drums", "bass", "melody"]
    assert [part.reason for part in parts_of(band)] == ["by its name"] * 3


def test_lines_without_names_are_told_by_their_height() -> None:
    whole = piece((Track(), line(64)), (Track(), line(40)), (Track(), line(72)))
    parts = parts_of(whole)
    assert [part.role for part in parts] == ["line", "bass", "melody"]
    assert [part.reason for part in parts] == ["another line", "the lowest line, mostly below C4",
                                               "the highest line"]  # fmt: skip


@pytest.mark.parametrize(
    ("pitch", "role"), [(56, "bass"), (58, "bass"), (59, "bass"), (60, "line")]
)
def test_a_bass_lies_below_middle_c_most_of_the_time(pitch: int, role: str) -> None:
    """Of the notes two of three are the first pitch."""
    assert roles(piece((Track(), line(pitch)), (Track(), line(72)))) == [role, "melody"]


@pytest.mark.parametrize(
    ("program", "role"),
    [(0, "melody"), (31, "melody"), (32, "bass"), (39, "bass"), (43, "bass"), (40, "melody"),
     (53, "melody"), (65, "melody"), (73, "melody"), (81, "melody"), (90, "melody")],
)  # fmt: skip
def test_programs_tell_a_bass_and_any_other_may_be_the_melody(program: int, role: str) -> None:
    part = alone(Track(program=program), line(72))
    assert part.role == role


def test_leads_come_before_sections_and_sections_before_pads_by_name() -> None:
    tracks = [
        (Track("Pad", 1), line(90)), (Track("", 2, 48), line(84)), (Track("", 3, 65), line(60)),
        (Track("", 4, 122), line(100)),
    ]  # fmt: skip
    assert roles(piece(*tracks)) == ["line", "line", "melody", "line"]
    assert roles(piece(*tracks[:2])) == ["line", "melody"]
    assert roles(piece(tracks[0], tracks[3])) == ["melody", "line"]
    assert roles(piece(tracks[3])) == ["melody"]


def test_where_no_bass_is_wanted_basses_are_the_last_choice() -> None:
    bass, lead = (Track("Bass", 1), line(40)), (Track("", 2), line(38))
    assert roles(piece(bass, lead), MELODY) == ["line", "melody"]
    assert roles(piece(bass), MELODY) == ["melody"]


def test_chords_are_no_line_unless_their_name_says_so() -> None:
    assert alone(Track(), chords(60)).role == "chords"
    assert alone(Track(), chords(60)).reason == "100% of its onsets are chords"
    lead = alone(Track("Lead"), chords(60))
    assert (lead.role, lead.line["pitch"].tolist()) == ("melody", [72, 72])
    octaves = alone(Track("Bass"), chords(36))
    assert (octaves.role, octaves.line["pitch"].tolist()) == ("bass", [36, 36])
    assert alone(Track(program=33), chords(36)).role == "bass"
    assert alone(Track("Pad"), chords(60)).role == "chords"
    (part,) = parts_of(piece((Track(), chords(60))), TRIO, max_chord_share=1.0)
    assert part.role == "melody"


def test_of_several_that_are_named_alike_the_highest_or_the_lowest_counts() -> None:
    voices = [(Track("Voice"), line(pitch)) for pitch in (60, 72, 66)]
    assert roles(piece(*voices)) == ["line", "melody", "line"]
    basses = [(Track("Bass"), line(pitch)) for pitch in (40, 36, 43)]
    assert roles(piece(*basses)) == ["line", "bass", "line"]
    reasons = [part.reason for part in parts_of(piece(*basses[:2]))]
    assert reasons == ["by its name, but another bass is chosen", "by its name"]


def test_the_drum_channel_outweighs_a_name() -> None:
    part = alone(Track("Bass", 10), line(36))
    assert (part.role, part.reason) == ("drums", "channel 10")
    kit = make_notes([0], [1], [36], is_drum=True)
    (part,) = parts_of(Piece(kit, 4, tracks=(Track("XG kit", 3),)))
    assert (part.role, part.reason) == ("drums", "a drum kit")


def test_the_name_of_a_file_tells_of_its_only_track() -> None:
    beat = alone(Track("", 1), line(60), name="beat_01.mid")
    assert (beat.role, beat.reason) == ("drums", "by the name of its file")
    assert alone(Track("Lead", 1), line(60), name="beat_01.mid").role == "melody"
    two = piece((Track(), line(60)), (Track(), line(72)), name="beat_01.mid")
    assert roles(two) == ["line", "melody"]


@pytest.mark.parametrize(
    ("about", "wanted", "role"),
    [
        (Track("Clip 1", 1), DRUMS, "drums"),
        (Track("", 1, 118), DRUMS, "drums"),  # a synth drum
        (Track("", 1, 73), DRUMS, "line"),  # a flute
        (Track("Lead", 1), DRUMS, "line"),
        (Track("Arpeggio", 1), DRUMS, "line"),
        (Track("Clip 1", 1), TRIO, "melody"),
        (Track("Clip 1", 1), MELODY, "melody"),
    ],
)
def test_the_only_track_is_drums_for_a_model_of_drums(
    about: Track, wanted: tuple[str, ...], role: str
) -> None:
    assert alone(about, line(40), wanted).role == role


def test_rules_outweigh_everything() -> None:
    band = piece((Track("Drums", 10), line(38)), (Track("Bass", 1), line(40)),
                 (Track("Lead", 2), line(72)), (Track("Loop", 3), line(50)))  # fmt: skip
    assert roles(band, TRIO, "drums: name=loop") == ["drums", "bass", "melody", "drums"]
    assert roles(band, TRIO, "none: channel=10", "drums: track=4") == [
        "none", "bass", "melody", "drums",
    ]  # fmt: skip
    assert roles(band, TRIO, "melody: name=drums; bass: program=0") == [
        "melody", "bass", "bass", "bass",
    ]  # fmt: skip
    assert roles(band, MELODY, "melody: name=b*") == ["drums", "melody", "line", "line"]
    part = parts_of(band, TRIO, parse_rules(["melody: name=loop"]))[3]
    assert (part.role, part.reason) == ("melody", "by the rule 'melody: name=loop'")


def test_a_rule_may_pick_lines_by_height() -> None:
    whole = piece((Track("Lead"), line(64)), (Track(), line(72)), (Track("", 1, 33), line(40)))
    assert roles(whole) == ["melody", "line", "bass"]
    assert roles(whole, TRIO, "melody: highest") == ["line", "melody", "bass"]
    assert roles(whole, TRIO, "melody: all") == ["melody", "melody", "bass"]
    assert roles(whole, MELODY, "melody: lowest") == ["line", "line", "melody"]
    high = piece((Track(), line(64)), (Track(), line(72)), (Track(), line(70)))
    assert roles(high, TRIO, "bass: lowest") == ["bass", "melody", "line"]
    reason = parts_of(high, TRIO, parse_rules(["bass: lowest"]))[0].reason
    assert reason == "by the rule 'bass: lowest'"


def test_a_rule_that_fits_no_track_leaves_the_evidence() -> None:
    whole = piece((Track("Lead"), line(64)), (Track("Bass"), line(40)))
    assert roles(whole, TRIO, "melody: name=flute") == ["melody", "bass"]


def test_pieces_without_tracks_or_notes_have_parts_too() -> None:
    assert parts_of(Piece(make_notes([], [], []), 4)) == ()
    nameless = Piece(make_notes([0, 0], [4, 4], [40, 70], track=[2, 5], program=[33, 11]), 4)
    parts = parts_of(nameless)
    assert [(part.number, part.role, part.track) for part in parts] == [
        (2, "bass", Track(program=33)), (5, "melody", Track(program=11)),
    ]  # fmt: skip


def test_polyphony_takes_all_lines_as_they_are() -> None:
    whole = piece((Track("Drums", 1), line(38)), (Track(), chords(60)), (Track("Bass"), line(40)))
    assert roles(whole, ()) == ["drums", "line", "line"]
