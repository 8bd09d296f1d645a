"""What names of tracks and files say."""

import pytest

from seqvae.music.track_names import role_in_name, words_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Drums", "drums"), ("DRUM KIT", "drums"), ("perc.", "drums"), ("Beat 0", "drums"),
        ("Schlagzeug", "drums"), ("Batterie", "drums"), ("Bater\u00eda", "drums"),
        ("batteria 2", "drums"), ("Percuss\u00e3o", "drums"), ("drumLoop_120", "drums"),
        ("Kick", "drums"), ("hi-hat", "drums"), ("HiHat", "drums"), ("Bass Drum", "drums"),
        ("bassdrum", "drums"), ("\u30c9\u30e9\u30e0", "drums"),
        ("\u0423\u0434\u0430\u0440\u043d\u044b\u0435", "drums"),
        ("Bass", "bass"), ("E-Bass", "bass"), ("Bassline 2", "bass"), ("Contrabajo", "bass"),
        ("Kontrabass", "bass"), ("basso continuo", "bass"), ("Baixo", "bass"), ("sub_bass", "bass"),
        ("Slap Bass 1", "bass"), ("Acoustic Bass", "bass"), ("\u30d9\u30fc\u30b9", "bass"),
        ("Lead", "melody"), ("MELODY", "melody"), ("Melod\u00eda", "melody"),
        ("Main Vox", "melody"),
        ("Lead Gtr", "melody"), ("Voice 1", "melody"), ("Gesang", "melody"), ("cantus", "melody"),
        ("Kickstart melody", "melody"), ("leadSynth", "melody"), ("Theme", "melody"),
        ("Zang", "melody"), ("S\u00e5ng", "melody"), ("Guitar Solo", "melody"), ("Bas", "bass"),
        ("drm", "drums"), ("Vln. solo", "melody"), ("Cb.", "bass"),
        ("Pad", "accompaniment"), ("Backing Vocals", "accompaniment"), ("Akkorde", "accompaniment"),
        ("Voice Oohs", "accompaniment"), ("Strings", "accompaniment"),
        ("Bassoon", None), ("Steel Drums", None), ("Trombone", None),
        ("Leadbelly", None), ("Beaten path", None), ("Drum and Bass", None), ("Piano", None),
        ("Bass + Lead", None), ("Tomorrow", None), ("Kitchen", None), ("Basso&Soprano", None),
        ("", None), ("12", None),
    ],
)  # fmt: skip
def test_roles_of_track_names(name: str, role: str | None) -> None:
    assert role_in_name(name) == role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("beat_01.mid", "drums"), ("my_drums.mid", "drums"), ("bass-loop.mid", "bass"),
        ("my_tune_1.mid", "melody"), ("Toms Diner.mid", None), ("Ride on.mid", None),
        ("01.mid", None),
    ],
)  # fmt: skip
def test_roles_of_file_names(name: str, role: str | None) -> None:
    assert role_in_name(name, of_file=True) == role


def test_words_are_parted_where_names_are_written_together() -> None:
    assert words_of("MyBass_2-\u00c9tude No.3") == ["my", "bass", "etude", "no"]
