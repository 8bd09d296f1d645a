"""The generators of the default data, which are scripts outside the package."""

import importlib.util
import itertools
import re
from pathlib import Path
from types import ModuleType

import pretty_midi
import pytest

TICKS_PER_STEP = 480 // 4
PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
WHITE_KEYS = (0, 2, 4, 5, 7, 9, 11)
# The white key on which a mode is played without accidentals.
WHITE_TONICS = {"major": 0, "dorian": 2, "mixolydian": 7, "minor": 9}

HE_OR_SHE = "[Hh]e|[Ss]he|Anna|Clara|Emma|Nora|Ruth|Daniel|Oscar|Peter|Tom|Victor"
PLURAL_SUBJECT = rf"[Ww]e|[Tt]hey|(?:{HE_OR_SHE}) and (?:{HE_OR_SHE})|[Tt]wo \w+s|[Tt]hree \w+s"


def load(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "data" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[pretty_midi.PrettyMIDI]:
    folder = tmp_path_factory.mktemp("tunes")
    load("tunes").write_tunes(folder, num_tunes=40, seed=7)
    return [pretty_midi.PrettyMIDI(str(file)) for file in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    file = tmp_path_factory.mktemp("sentences") / "sentences.txt"
    load("sentences").write_sentences(file, num_sentences=3000, seed=7)
    return file.read_text(encoding="ascii").splitlines()


def steps(song: pretty_midi.PrettyMIDI) -> list[tuple[float, float, int]]:
    """Start and end in sixteenths, and pitch, of each note."""
    return [
        (
            song.time_to_tick(note.start) / TICKS_PER_STEP,
            song.time_to_tick(note.end) / TICKS_PER_STEP,
            note.pitch,
        )
        for note in song.instruments[0].notes
    ]


def key(song: pretty_midi.PrettyMIDI) -> tuple[int, str]:
    """The pitch class of the tonic and the mode, as the track's name claims."""
    tonic, mode = song.instruments[0].name.split()
    return PITCH_CLASSES.index(tonic), mode


def write_tunes(folder: Path, num_tunes: int, seed: int) -> list[bytes]:
    load("tunes").write_tunes(folder, num_tunes=num_tunes, seed=seed)
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def test_tunes_depend_on_the_seed_alone(tmp_path: Path) -> None:
    tunes = write_tunes(tmp_path / "a", 4, seed=1)
    assert write_tunes(tmp_path / "b", 6, seed=1)[:4] == tunes
    assert not set(write_tunes(tmp_path / "c", 4, seed=2)) & set(tunes)


def test_every_tune_is_different(songs: list[pretty_midi.PrettyMIDI]) -> None:
    assert len(songs) == 40
    melodies = {
        tuple((start, end, pitch - steps(song)[-1][2]) for start, end, pitch in steps(song))
        for song in songs
    }
    assert len(melodies) == 40


def test_tunes_are_one_line_on_the_grid(songs: list[pretty_midi.PrettyMIDI]) -> None:
    for song in songs:
        assert song.resolution == 480
        assert len(song.instruments) == 1
        notes = steps(song)
        assert all(start % 1 == 0 and end % 1 == 0 and start < end for start, end, _ in notes)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(notes))


def test_tunes_have_whole_phrases(songs: list[pretty_midi.PrettyMIDI]) -> None:
    for song in songs:
        (metre,) = song.time_signature_changes
        assert (metre.numerator, metre.denominator) in {(4, 4), (2, 4)}
        _, (qpm,) = song.get_tempo_changes()
        assert 79.9 < qpm < 140.1
        num_steps = 8 * metre.numerator * 4
        assert max(end for _, end, _ in steps(song)) in {
            n * num_steps - rest for n in (1, 2) for rest in (0, 4)
        }


def test_tunes_keep_to_their_key(songs: list[pretty_midi.PrettyMIDI]) -> None:
    for song in songs:
        tonic, mode = key(song)
        scale = {(white - WHITE_TONICS[mode] + tonic) % 12 for white in WHITE_KEYS}
        pitches = [pitch for _, _, pitch in steps(song)]
        assert {pitch % 12 for pitch in pitches} <= scale
        assert min(pitches) >= 55
        assert max(pitches) <= 84


def test_tunes_end_on_a_long_tonic(songs: list[pretty_midi.PrettyMIDI]) -> None:
    for song in songs:
        start, end, pitch = steps(song)[-1]
        assert pitch % 12 == key(song)[0]
        assert end - start >= 8


def test_tunes_move_mostly_by_step(songs: list[pretty_midi.PrettyMIDI]) -> None:
    moves = [
        abs(after[2] - before[2])
        for song in songs
        for before, after in itertools.pairwise(steps(song))
    ]
    assert sum(move <= 2 for move in moves) > 0.7 * len(moves)
    assert sum(move > 4 for move in moves) > 0.01 * len(moves)


def write_sentences(file: Path, num_sentences: int, seed: int) -> bytes:
    load("sentences").write_sentences(file, num_sentences=num_sentences, seed=seed)
    return file.read_bytes()


def test_sentences_depend_on_the_seed_alone(tmp_path: Path) -> None:
    text = write_sentences(tmp_path / "a", 20, seed=1)
    assert write_sentences(tmp_path / "b", 20, seed=1) == text
    assert write_sentences(tmp_path / "c", 30, seed=1).startswith(text)
    assert write_sentences(tmp_path / "d", 20, seed=2) != text


def test_sentences_are_distinct_and_well_formed(sentences: list[str]) -> None:
    assert len(sentences) == len(set(sentences)) == 3000
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z][a-z]*(,? [A-Za-z]+)+[.?]", sentence), sentence
        assert 5 <= len(sentence.split()) <= 14
        asks = re.match(r"(Do|Does|Did|Will|Is|Are|Where|When|Who) ", sentence)
        assert sentence.endswith("?") == (asks is not None), sentence


def test_articles_suit_the_next_word(sentences: list[str]) -> None:
    found = re.findall(r"\b(an?) (\w+)", "\n".join(sentences), re.IGNORECASE)
    assert {article.lower() for article, _ in found} == {"a", "an"}
    for article, word in found:
        vowel = word[0] in "aeiou" or word == "hour"
        assert (article.lower() == "an") == vowel, (article, word)
    assert not re.search(r"\b[Aa]n? (\w+ )?(two|three|some|any)\b", "\n".join(sentences))


@pytest.mark.parametrize(
    "wrong",
    [
        rf"(?<!and )\b({HE_OR_SHE}) (are|were|do|want|hope|need)\b",
        rf"\b({PLURAL_SUBJECT}) (is|was|does|wants|hopes|needs)\b",
        rf"\b(Do|Are|Were|do|are|were) ({HE_OR_SHE})\b(?! and)",
        rf"\b(Does|Is|Was|does|is|was) ({PLURAL_SUBJECT})\b",
        r"\b(it|[Aa]n? \w+) (are|were|do)\b",
        r"\b(I|[Dd]id|[Dd]oes|[Dd]o|[Ww]ill) \w+ (is|are|was|were)\b",
        r"\b(two|three|Two|Three) (\w+ )?(child|fisherman|leaf|snowman|scarf|postman)\b",
        r"(yesterday|last week|hour ago|on Monday).*\b(will|is|are|does|do)\b(?! \w+ing)",
        r"(tomorrow|next week|soon|on Friday).*\b(was|were|did|does|do)\b",
    ],
)
def test_no_sentence_is_ungrammatical(sentences: list[str], wrong: str) -> None:
    assert [sentence for sentence in sentences if re.search(wrong, sentence)] == []


def test_verbs_agree_with_their_subjects(sentences: list[str]) -> None:
    text = "\n".join(sentences)
    plain = set(re.findall(r"\bto (\w+)", text))
    assert len(plain) > 25
    singular = {
        re.sub(r"([^aeiou])y$", r"\1ie", verb) + ("es" if verb[-2:] in ("sh", "ch") else "s")
        for verb in plain
    }
    after_one = re.findall(rf"^(?:{HE_OR_SHE}) (\w+)", text, re.MULTILINE)
    after_many = re.findall(rf"^(?:{PLURAL_SUBJECT}) (\w+)", text, re.MULTILINE)
    assert not set(after_one) & plain
    assert not set(after_many) & singular
    assert set(after_one) & singular
    assert set(after_many) & plain
