"""What the name of a track or a file says of its notes, in the words of several languages.

Whole words count: a bassoon is no bass. A name that says two things says nothing, unless they are
one word, such as the bass drum.
"""

import itertools
import re
import unicodedata
from functools import lru_cache

DRUM_WORDS = re.compile(
    r"(?:bass|side|kick|snare|hand|e|synth)?drums?(?:kit|set|loop|beat|machine|track|line|mer|ming)?s?"
    r"|kits?|percs?|percuss(?:ion|ions|ione|ioni|ao|oes)|percusion(?:es)?|perkussion|perkusja"
    r"|(?:break)?beats?|beatbox|schlagzeug|schlagwerk|slagwerk|trommeln?|trommer|trummor"
    r"|batteri[ae]|bateri[ae]?|drumstel|rumpu|rummut|davul|tamburi|tambores|bici|drms?|drs|trapset"
)
KIT_WORDS = re.compile(  # of tracks alone: films and songs have such names, too
    r"kicks?|bassdrum|snares?|claps?|hihats?|hats?|rides?|crash(?:es)?|cymbals?|toms?|shakers?"
    r"|rimshot|cowbell|tambourine|tamborim|bongos?|congas?|cajon|djembe|claves|timbales|tabla"
)
BASS_WORDS = re.compile(
    r"(?:sub|synth|slap|contra|kontra|double|finger|picked|fretless|e)?bass(?:es|o|i|line|lines|guitar)?"
    r"|contrebasse|contrabajo|contrabbasso|contrabaixo|kontrabas|basse|bajo|baixo|basa?|basszus"
    r"|basgitaar|gitarrenbass|sub|cb"
)
MELODY_WORDS = re.compile(
    r"leads?|melod(?:y|ies|ie|ia|i|ija|iya)|melodien?|mel|vox|voc|vocals?|voices?|voce|voz|voix"
    r"|stimme|gesang|sang|zang|[vw]okal|vocale|laulu|zpev|chant|canto|cantus|superius|discantus"
    r"|soprano|sopran|singer|topline|theme|thema|tema|tune|solo|mld|ld"
)
ACCOMPANIMENT_WORDS = re.compile(
    r"chords?|pads?|harmon(?:y|ies|ie|ia)|accomp(?:animent)?|akkorde?|accordi|acordes|accords|comp"
    r"|backing|background|backs?|bg|bgv|bv|choir|chor|choeur|coro|strings|oohs?|aahs?|arp|arpeggio"
)


def _plain(text: str) -> str:
    """A text in lower case, without accents."""
    if text.isascii():
        return text.casefold()
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


# Words of scripts that do not part words, or that are inflected: anywhere in a name.
ELSEWHERE = {
    "drums": (
        "\u30c9\u30e9\u30e0", "\u6253\u697d\u5668", "\u9f13", "\u6253\u51fb\u4e50", "\ub4dc\ub7fc",
        "\u0443\u0434\u0430\u0440\u043d", "\u0431\u0430\u0440\u0430\u0431\u0430\u043d",
    ),
    "bass": (
        "\u30d9\u30fc\u30b9", "\u8d1d\u65af", "\u8c9d\u65af", "\ubca0\uc774\uc2a4",
        "\u0431\u0430\u0441",
    ),
    "melody": (
        "\u30e1\u30ed\u30c7\u30a3", "\u65cb\u5f8b", "\u30dc\u30fc\u30ab\u30eb",
        "\uba5c\ub85c\ub514", "\u043c\u0435\u043b\u043e\u0434", "\u0432\u043e\u043a\u0430\u043b",
    ),
}  # fmt: skip
ELSEWHERE = {role: [_plain(part) for part in parts] for role, parts in ELSEWHERE.items()}


@lru_cache(maxsize=4096)
def role_in_name(name: str, *, of_file: bool = False) -> str | None:
    """drums, bass, melody or accompaniment, if the name of a track, or of a file, says so."""
    words, said = words_of(name), set[str]()
    if not name.isascii():
        plain = _plain(name)
        said = {role for role, parts in ELSEWHERE.items() if any(p in plain for p in parts)}
    if not said and not words:
        return None
    if "steel" not in words and any(  # steel drums play melodies
        DRUM_WORDS.fullmatch(word) or (KIT_WORDS.fullmatch(word) and not of_file) for word in words
    ):
        said.add("drums")
    for role, pattern in (("bass", BASS_WORDS), ("melody", MELODY_WORDS)):
        if any(map(pattern.fullmatch, words)):
            said.add(role)
    if any(map(ACCOMPANIMENT_WORDS.fullmatch, words)) and said <= {"melody"}:
        return "accompaniment"
    if _is_bass_drum(words):
        said.discard("bass")
    return said.pop() if len(said) == 1 else None


def words_of(name: str) -> list[str]:
    """The words of a name, without accents, digits and upper case: hiHat_2 is hi, hat."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W\d_]+", _plain(parted))


def _is_bass_drum(words: list[str]) -> bool:
    return any(
        first == "bass" and second.startswith("drum") for first, second in itertools.pairwise(words)
    )
