"""Beat files of every dialect say the same, and what says no beats is refused in a line."""

from pathlib import Path

import numpy as np
import pytest

from seqvae.errors import InputError
from seqvae.music.beat_files import beats_beside, file_beside, read_beats

TIMES = [0.0, 0.667, 1.333, 2.0, 2.667, 3.333, 4.0, 4.667, 5.333]
IN_BAR = [1, 2, 3, 4, 1, 2, 3, 4, 1]


def lines(form: str, numbers: list[int] = IN_BAR) -> str:
    return "".join(
        form.format(
            t=time,
            T=f"{time:.3f}".replace(".", ","),
            n=number,
            bar=1 + index // 4,
            i=index,
            accent=index % 2,
        )
        for index, (time, number) in enumerate(zip(TIMES, numbers, strict=True))
    )


def flags(yes: str, no: str, form: str = "{t:.3f}\t{said}\n") -> str:
    pairs = zip(TIMES, IN_BAR, strict=True)
    return "".join(form.format(t=time, said=yes if n == 1 else no) for time, n in pairs)


DIALECTS = {
    "numbers": lines("{t:.3f}\t{n}\n"),
    "spaces": lines("  {t:.3f}   {n}  \n"),
    "float numbers": lines("{t:.3f} {n:.3f}\n"),
    "scientific": lines("{t:.18e} {n:.18e}\n"),  # numpy.savetxt
    "flags": flags("1", "0"),
    "two flags": flags("1.0 1.0", "1.0 0.0", "{t:.3f} {said}\n"),  # POP909
    "from 0": lines("{t:.3f}\t{n}\n", [n - 1 for n in IN_BAR]),
    "csv": lines("{t:.3f},{n}\n"),
    "csv with spaces": lines("{t:.3f}, {n}\n"),
    "quoted csv": '"time","beat"\n' + lines('"{t:.3f}","{n}"\n'),
    "semicolons": lines("{t:.3f};{n}\n"),
    "comma as decimal sign, tab": lines("{T}\t{n}\n"),
    "comma as decimal sign, semicolon": "Zeit;Schlag\n" + lines("{T};{n}\n"),
    "comma as decimal sign, spaces": lines("{T} {n}\n"),
    "header": "time\tbeat\n" + lines("{t:.3f}\t{n}\n"),
    "named columns": "beat,confidence,time\n" + lines("{n},0.9,{t:.3f}\n"),
    "a bar after the beat": "onset\tbeat\tbar\n" + lines("{t:.3f}\t{n}\t{bar}\n"),
    "a bar after the beat, no names": lines("{t:.3f}\t{n}\t{bar}\n"),
    "a running number": "index,time,beat_number\n" + lines("{i},{t:.3f},{n}\n"),
    "accents": "time,beat,accent\n" + lines("{t:.3f},{n},{accent}\n"),
    "tempo after the beat": lines("{t:.3f} {n} 89.9\n"),
    "bar.beat": lines("{t:.3f}\t{bar}.{n}\n"),
    "bar.beat, spaces": lines("{t:.3f} {bar}.{n}\n"),
    "one line is longer": lines("{t:.3f} {n}\n").replace("\n", " 3\n", 1),
    "bar.beat csv": lines('{t:.9f},"{bar}.{n}"\n'),
    "asap": flags("db", "b", "{t:.6f}\t{t:.6f}\t{said}\n"),
    "asap with metre": flags("db,4/4,-2", "bR", "{t:.6f}\t{t:.6f}\t{said}\n"),
    "asap as csv": flags("db,4/4,0", "b", "{t},{t},{said}\n"),
    "words": flags("downbeat", "beat", "{t},{said}\n"),
    "truth": "time,is_downbeat\n" + flags("True", "False", "{t},{said}\n"),
    "comments": "# by hand\n\n% and more\n" + lines("{t:.3f}\t{n}\n") + "\n// end\n",
}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_says_the_same(
    tmp_path: Path, dialect: str, encoding: str, ending: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(DIALECTS[dialect].replace("\n", ending).encode(encoding))
    track = read_beats(path)
    assert track.times == pytest.approx(TIMES)
    assert track.is_downbeat.tolist() == [number == 1 for number in IN_BAR]
    assert [str(metre) for metre in track.metres(4, 0)] == ["4/4"]


def test_a_pickup_may_come_first(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for form in ("{t}\t{n}\n", "{t}\t{bar}.{n}\n"):
        path.write_text(lines(form, [3, 4, 1, 2, 3, 4, 1, 2, 3]).replace("\t1.1", "\t2.1"))
        if "bar" in form:
            path.write_text("".join(f"{t}\t{b}\n" for t, b in zip(
                TIMES, ["1.3", "1.4", "2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3"], strict=True
            )))  # fmt: skip
        assert np.flatnonzero(read_beats(path).is_downbeat).tolist() == [2, 6]


def asap(*labels: str) -> str:
    return "".join(f"{i / 2}\t{i / 2}\t{label}\n" for i, label in enumerate(labels))


@pytest.mark.parametrize(
    ("labels", "metres", "quarters"),
    [
        (["db,6/8,0", "b"] * 3, ["6/8"], [0, 1.5, 3, 4.5, 6, 7.5]),
        (["db,6/8,0", *"bbbbb", "db", *"bbbbb", "db"], ["6/8"], [i / 2 for i in range(13)]),
        (["db,3/8", "b", "b", "db", "b", "b"], ["3/8"], [0, 0.5, 1, 1.5, 2, 2.5]),
        (["db,2/2,3", "b", "db", "b", "db"], ["2/2"], [0, 2, 4, 6, 8]),
        (["db,12/16,0", "b", "b", "b", "db", "b"], ["12/16"], [0, 0.75, 1.5, 2.25, 3, 3.75]),
        (
            ["db,2/4,0", "b", "db", "b", "db,6/8,0", "b", "db", "b", "db"],
            ["2/4", "6/8"],
            [0, 1, 2, 3, 4, 5.5, 7, 8.5, 10],
        ),
        (["b", "db,6/8,1", "b", "db", "b"], ["6/8"], [-1.5, 0, 1.5, 3, 4.5]),  # a pickup
        (["db,2/4,0", "b", "db,99/7,0", "b", "db"], ["2/4"], [0, 1, 2, 3, 4]),  # no such metre
    ],
)
def test_a_beat_is_what_the_metre_says(
    tmp_path: Path, labels: list[str], metres: list[str], quarters: list[float]
) -> None:
    (tmp_path / "a.txt").write_text(asap(*labels))
    track = read_beats(tmp_path / "a.txt")
    assert track.positions.tolist() == quarters
    assert track.quarters(track.times) == pytest.approx(quarters)
    assert [str(metre) for metre in track.metres(4, 6)] == metres
    assert track.metres(4, 6)[-1].start_step == (0 if len(metres) == 1 else 40)


def test_a_metre_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(lines("{t}\n"))
    assert np.flatnonzero(read_beats(path, "4/4").is_downbeat).tolist() == [0, 4, 8]
    assert np.flatnonzero(read_beats(path, "3/4").is_downbeat).tolist() == [0, 3, 6]
    jig = read_beats(path, "6/8")
    assert np.flatnonzero(jig.is_downbeat).tolist() == [0, 2, 4, 6, 8]
    assert [str(metre) for metre in jig.metres(4, 0)] == ["6/8"]
    path.write_text(lines("{t} {n}\n", [1, 2] * 4 + [1]))
    assert [str(metre) for metre in read_beats(path, "6/8").metres(4, 0)] == ["6/8"]
    assert [str(metre) for metre in read_beats(path).metres(4, 0)] == ["2/4"]
    path.write_text(asap("db,3/4,0", "b", "b", "db", "b", "b"))  # the file knows better
    assert [str(metre) for metre in read_beats(path, "4/4").metres(4, 0)] == ["3/4"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b\n" * 5, "'a' where a time in seconds should be"),
        ("", "0 beats; a beat file has 4 or more"),
        ("1 1\n2 0\n3 0\n", "3 beats; a beat file has 4 or more"),
        ("1\n2\n3\n4\n", "no column says where bars begin"),
        ("1 0.3\n2 0.5\n3 0.2\n4 0.1\n", "no column says where bars begin"),
        ("1 1\n2 0\n2 1\n4 0\n", "the times do not rise at beat 3, 2"),
        ("1 1\n2 0\nnan 1\n4 0\n", "the times do not rise at beat 3, nan"),
        ("1 1\n2 0\n1e999 1\n4 0\n", "the times do not rise at beat 3, inf"),
        ("1 1\n2 0\n3 0\n4 0\n", "fewer than two bars begin"),
        ("1 1\n2 2\n3 3\n4 4\n5 5\n", "fewer than two bars begin"),
        ("1;1\n2;0\n\x00;1\n4;0\n", "where a time in seconds should be"),
        ("time,beat\n" + ",\n" * 5, "'' where a time in seconds should be"),
        ("1 1\n" + "x" * 5000 + "\n" + "1 1\n" * 5, "should be"),
        ("9" * 5000 + ".1 1\n" + "1 1\n" * 5, "do not rise"),
        ("1 " + "9" * 5000 + ".1\n2 2.1\n3 3.1\n4 4.1\n", "no column says"),
    ],
)
def test_what_says_no_beats_is_refused_in_a_short_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_beats(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert "\n" not in message
    assert len(message) - len(str(path)) < 200


def test_a_missing_file_beside_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"song.beats: cannot be read \(No such file"):
        read_beats(file_beside(tmp_path / "song.mid", "{stem}.beats"))


def test_a_binary_file_is_no_beat_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    for seed in range(20):
        path.write_bytes(np.random.default_rng(seed).bytes(2000))
        with pytest.raises(InputError, match=r"should be|0 beats"):
            read_beats(path)


def test_a_file_beside_another_has_its_stem(tmp_path: Path) -> None:
    assert file_beside(tmp_path / "b" / "a.mid", "{stem}.txt") == tmp_path / "b" / "a.txt"
    assert file_beside(tmp_path / "b" / "a.mid", "beats.txt") == tmp_path / "b" / "beats.txt"


def test_beat_files_beside_are_found_by_what_they_hold(tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    assert beats_beside(song) is None
    (tmp_path / "song_chords.txt").write_text("0 1 C\n1 2 G\n2 3 C\n3 4 F\n")
    (tmp_path / "other_beats.mid").write_text(lines("{t} {n}\n"))
    (tmp_path / "notes.txt").write_text(lines("{t} {n}\n"))  # not named for this song or for beats
    assert beats_beside(song) is None
    (tmp_path / "beat_midi.txt").write_text(lines("{t} {n}\n"))
    (tmp_path / "beat_audio.txt").write_text(lines("{t} {n}\n"))
    assert beats_beside(song) == "beat_midi.txt"
    (tmp_path / "beat_midi.txt").write_text("not beats")
    assert beats_beside(song) == "beat_audio.txt"
    (tmp_path / "beat_audio.txt").unlink()
    (tmp_path / "song_annotations.txt").write_text(asap("db,4/4,0", *"bbb", "db"))
    assert beats_beside(song) == "{stem}_annotations.txt"
