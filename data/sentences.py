"""Generate the default sentences: plain English from a small grammar and lexicon of our own.

The lexicon keeps together what belongs together: a topic has its people and places, and each of
its verbs has its own objects and its own reason. The grammar adds number, tense and articles.

    python data/sentences.py FILE [--num_sentences N] [--seed S]
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

Pronoun = Literal["he", "she", "it", "we", "they"]
Tense = Literal["past", "present", "future"]
Scope = Literal["free", "definite", "negated", "general"]

# A scene is a thing and what it does; a deed is a verb, its objects and the reason for it, which
# is a state of the object (`it`) or of the person (`one`).
LEXICON = """
people: cook, baker, waiter, helper, neighbour
places: in the kitchen, in the dining room, at the inn, in the cafe
acts: laugh, wait, talk, rest
scenes: kettle whistle, phone ring, cat sleep, candle flicker, dog bark
deeds: bake bread cake pie (one hungry), stir soup sauce stew (it too thick),
    wash pot plate pan cup (it dirty), peel potato carrot onion apple (one hungry),
    warm milk soup bread (it cold), serve soup stew pie (it ready), taste soup sauce (one curious)

people: sailor, captain, fisherman, diver, visitor
places: in the harbour, near the beach, by the lighthouse, near the island
acts: swim, sing, wait, rest
scenes: gull cry, gull circle, boat drift, wave rise, seal play, wind blow
deeds: mend net sail (it torn), paint boat oar (it old and grey), clean boat net (it dirty),
    catch fish crab lobster (one hungry), repair boat engine lamp (it broken),
    collect shell stone (one bored), watch wave gull dolphin ship (one curious)

people: singer, drummer, pianist, student, composer
places: in the hall, on the stage, at the festival, in the studio
acts: dance, practise, perform, bow
scenes: choir sing, band play, bell ring, orchestra rehearse
deeds: play song waltz melody march (one happy), tune violin guitar harp piano (it out of tune),
    sing song ballad (one happy), practise song scale waltz (it difficult),
    write song ballad waltz (one in love), record song melody ballad (it beautiful),
    polish trumpet flute horn (it dull)

people: gardener, neighbour, child, farmer, visitor
places: in the garden, behind the house, near the pond, in the park
acts: work, rest, play, wait
scenes: bee buzz, bird sing, rose bloom, rabbit hop, leaf fall, cat sleep, owl hoot
deeds: water rose tulip tree lettuce (it dry), plant rose tulip tree (one hopeful),
    pick apple pear cherry tomato (it ripe), trim hedge bush (it too tall),
    sweep path terrace (it covered with leaves), feed bird rabbit hen (it hungry),
    paint fence gate bench (it old and grey)

people: teacher, pupil, student, librarian, professor
places: in the classroom, in the library, at school, at college
acts: study, talk, whisper, wait
scenes: bell ring, phone ring, lesson begin, computer hum
deeds: finish essay lesson puzzle test (it easy), solve puzzle riddle problem (it interesting),
    write letter essay poem story (one in a good mood), explain lesson rule problem (it difficult),
    borrow book pencil map (it useful), draw map picture (one bored), study map rule poem (it new),
    clean blackboard desk (it dusty)

people: child, neighbour, postman, boy, girl, shepherd
places: in the valley, in the village, near the hill, by the river
acts: walk, shiver, hurry, wait
scenes: rain fall, snow fall, snow melt, wind blow, wind howl, sun shine, thunder rumble,
    storm rage, cloud drift
deeds: knit scarf hat sock (one cold), close window door (one cold), carry umbrella (one careful),
    watch cloud storm rainbow (one curious), build snowman shelter (one happy),
    dry coat boot jacket sock (it wet), light candle lantern (one afraid of the dark)
"""
# Each can stand before the noun and after `is`.
ADJECTIVES = """
apple red sweet large, ballad long sad old, bench long wooden low, bird small noisy shy,
blackboard large old wide, boat small wooden red, book thick old funny, boot heavy brown,
bread fresh dark soft, bush round thorny green, cake sweet small round, candle long white thin,
carrot long sweet crisp, cherry dark sweet small, cloud dark low grey, coat thick long red,
crab small red angry, cup small blue empty, desk wooden low old, dolphin grey young playful,
door heavy wooden green, engine old noisy heavy, essay long short clear, fence long low wooden,
fish small silver large, flute long slender old, gate narrow wooden tall, guitar old wooden new,
gull white noisy hungry, harp tall golden old, hat grey soft large, hedge long thick green,
hen brown small white, horn large old heavy, jacket blue thin short, lamp small old green,
lantern small old heavy, lesson short long quiet, letter long short kind, lettuce large green,
lobster large dark blue, map old large colourful, march loud quick lively, melody simple gentle,
milk fresh sweet, net long heavy old, oar long heavy wooden, onion large red small,
pan heavy black large, path narrow long stony, pear green sweet juicy, pencil red short sharp,
piano large black old, picture small bright funny, pie golden sweet large, plate white round small,
poem short sad lovely, pot heavy large old, potato large small brown, problem hard strange small,
puzzle hard strange large, rabbit white brown shy, rainbow bright wide, riddle old clever strange,
rose red white lovely, rule simple strict old, sail white large red, sauce thick spicy sweet,
scale slow long simple, scarf woollen soft red, shell pink smooth tiny, shelter small simple,
ship large white old, snowman tall round funny, sock woollen red, song slow sad lively,
soup thick salty tasty, stew rich spicy tasty, stone smooth round grey, storm wild long,
story long strange funny, terrace wide sunny small, test short hard long, tomato red large,
tree young small tall, trumpet golden small loud, tulip yellow red tall, umbrella large black old,
violin old fine small, waltz slow lively graceful, wave tall dark wild, window small round narrow
"""
QUALITIES = {noun: adjectives for noun, *adjectives in map(str.split, ADJECTIVES.split(","))}
TEMPERS = ("cheerful", "tired", "friendly", "patient", "clever", "quiet", "kind", "tall")
PRONOUNS: tuple[Pronoun, ...] = ("he", "she", "we", "they")
NAMES: dict[str, Pronoun] = {
    **dict.fromkeys(("Anna", "Clara", "Emma", "Nora", "Ruth"), "she"),
    **dict.fromkeys(("Daniel", "Oscar", "Peter", "Tom", "Victor"), "he"),
}
GENDERS: dict[str, Pronoun] = {"boy": "he", "fisherman": "he", "postman": "he", "girl": "she"}
POSSESSIVES = {"he": "his", "she": "her", "it": "its", "we": "our", "they": "their"}
OWNED = """boat net sail violin guitar harp piano trumpet flute horn rose tulip hedge fence gate
essay letter poem desk coat boot jacket umbrella"""
MASS = ("bread", "soup", "sauce", "stew", "milk", "rain", "snow", "thunder")
UNIQUE = ("sun", "wind")
IRREGULAR = """begin began, blow blew, build built, catch caught, draw drew, fall fell, feed fed,
light lit, ring rang, rise rose, shine shone, sing sang, sleep slept, sweep swept, swim swam,
write wrote, child children, fish fish, leaf leaves, scarf scarves, snowman snowmen,
fisherman fishermen, postman postmen"""
DOUBLING = ("begin", "hop", "hum", "knit", "stir", "swim", "trim")  # hop, hopping
TENSES: tuple[Tense, ...] = ("past", "past", "present", "future")
TIMES: dict[Tense, tuple[str, ...]] = {
    "past": ("yesterday", "last week", "an hour ago", "this morning", "on Monday"),
    "present": ("every day", "every morning", "on Sundays", "in the morning"),
    "future": ("tomorrow", "next week", "soon", "on Friday"),
}
ADVERBS = ("always", "often", "usually", "sometimes")
# `draw_words` says what the names stand for. The first templates serve in every tense.
TEMPLATES = (
    "{who} {does} {what} {maybe_there} {time}",
    "{time}, {who} {does} {what} {maybe_there}",
    "{who} {acts} {there} {time}",
    "{thing} {happens} {there} {time}",
    "{time}, {thing} {happens} {there}",
    "{who} {does} {what} and then {does_too}",
    "{time}, {who} {does} {what} and {does_too}",
    "{who} {does} {plain_what} {maybe_there} because {reason}",
    "{who} {does} {plain_what} because {reason}",
    "{who} {do} not {verb} {what} {maybe_there} {time}",
    "{do} {who} {verb} {what} {maybe_there} {time}?",
    "where {do} {who} {verb} {what} {time}?",
    "when {do} {who} {verb} {what} {there}?",
    "who {one_does} {known} {there} {time}?",
    "{worker} who {did} {known} {worker_does} {second_what} {time}",
)
TEMPLATES_BY_TENSE: dict[Tense, tuple[str, ...]] = {
    "past": (
        "while {who} {be} {doing} {what} {maybe_there}, {thing} {happens}",
        "{who} {be} {doing} {what} {maybe_there} when {thing} {happens}",
        "{known} that {who} {did} {maybe_there} {known_be} {quality}",
        "{who} wanted to {verb} {what} {there}",
    ),
    "present": (
        "{who} {often} {does} {what} {maybe_there}",
        "{who} never {does} {what} {there}",
        "{who} {be} {doing} {what} {maybe_there} {now}",
        "{who} {be} not {doing} {what} {maybe_there} {now}",
        "{be} {who} {doing} {what} {maybe_there} {now}?",
        "{who} {be} {doing} {what} while {thing} {thing_be} {happening}",
        "{known} that {who} {did} {maybe_there} {known_be} {quality}",
    ),
    "future": (
        "{who} {hope} to {verb} {what} {maybe_there} {time}",
        "{time}, {who} {be} going to {verb} {what} {maybe_there}",
    ),
}


@dataclass(frozen=True)
class Deed:
    """A verb, what it can be done to, and why it is done."""

    verb: str
    objects: list[str]
    reason_of: str
    reason: str


@dataclass(frozen=True)
class Topic:
    """Words that go together; verbs are plain, nouns singular."""

    people: list[str]
    places: list[str]
    acts: list[str]
    scenes: list[str]
    deeds: list[Deed]


@dataclass(frozen=True)
class NounPhrase:
    """A subject or an object, and the pronoun that can stand for it."""

    text: str
    pronoun: Pronoun

    @property
    def is_plural(self) -> bool:
        """Whether its verb is plural."""
        return self.pronoun in ("we", "they")


def write_sentences(file: Path, *, num_sentences: int = 6000, seed: int = 0) -> None:
    """Write distinct sentences of 5 to 14 words, one a line.

    A larger `num_sentences` adds lines and leaves the first as they are.
    """
    rng = Random(seed)
    topics = read_topics()
    sentences: dict[str, None] = {}  # a set that keeps its order
    while len(sentences) < num_sentences:
        sentence = draw_sentence(rng.choice(topics), rng)
        if 5 <= len(sentence.split()) <= 14:
            sentences[sentence] = None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes("".join(f"{sentence}\n" for sentence in sentences).encode())


def read_topics() -> list[Topic]:
    """The lexicon, one topic a paragraph."""
    topics = []
    for paragraph in LEXICON.strip().split("\n\n"):
        lines = paragraph.replace("\n    ", " ").splitlines()
        people, places, acts, scenes, deeds = (line.split(": ")[1].split(", ") for line in lines)
        topics.append(Topic(people, places, acts, scenes, [read_deed(deed) for deed in deeds]))
    return topics


def read_deed(entry: str) -> Deed:
    """A deed as the lexicon writes it."""
    words, reason = entry.rstrip(")").split(" (")
    verb, *objects = words.split()
    reason_of, _, state = reason.partition(" ")
    return Deed(verb, objects, reason_of, state)


def draw_sentence(topic: Topic, rng: Random) -> str:
    """Fill a template, and choose the articles that suit it."""
    tense = rng.choice(TENSES)
    template = rng.choice(TEMPLATES + TEMPLATES_BY_TENSE[tense])
    scope: Scope = "free"
    if tense == "present" and "{be}" not in template:
        scope = "general"  # a habit: she bakes pies
    elif template.startswith(("where", "when")):
        scope = "definite"
    elif template.endswith("?") or " not " in template:
        scope = "negated"
    text = template.format_map(draw_words(topic, tense, scope, rng))
    text = " ".join(text.split()).replace(" ,", ",")
    # Spelling decides: no word of the lexicon begins with a mute h or the sound of `you`.
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")


def draw_words(topic: Topic, tense: Tense, scope: Scope, rng: Random) -> dict[str, str]:
    """What the names in a template stand for."""
    who = draw_person(topic, scope, rng)
    worker = draw_worker(topic, "definite", rng)
    deed, second = rng.sample(topic.deeds, 2)
    noun = rng.choice(deed.objects)
    second_noun = rng.choice([other for other in second.objects if other != noun])
    known, plain_what = draw_thing(noun, "definite", rng), draw_thing(noun, scope, rng)
    scene_noun, scene_verb = rng.choice(topic.scenes).split()
    thing = draw_thing(scene_noun, scope, rng)
    there = rng.choice(topic.places)
    holder = plain_what if deed.reason_of == "it" else who
    also = inflect(second.verb, who, tense).removeprefix("will ")  # one `will` serves both
    return {
        "who": who.text,
        "verb": deed.verb,
        "does": inflect(deed.verb, who, tense),
        "one_does": inflect(deed.verb, NounPhrase("who", "it"), tense),
        "did": past(deed.verb),
        "doing": f"{stem(deed.verb)}ing",
        "do": do(who, tense),
        "be": be(who, tense),
        "hope": inflect(rng.choice(("hope", "want", "need")), who, "present"),
        "what": draw_object(noun, who, scope, rng),
        "plain_what": plain_what.text,
        "reason": f"{holder.pronoun} {be(holder, tense)} {deed.reason}",
        "does_too": f"{also} {draw_object(second_noun, who, scope, rng)}",
        "known": known.text,
        "known_be": be(known, tense),
        "quality": rng.choice(QUALITIES[noun]),
        "worker": worker.text,
        "worker_does": inflect(second.verb, worker, tense),
        "second_what": draw_object(second_noun, worker, scope, rng),
        "acts": inflect(rng.choice(topic.acts), who, tense),
        "thing": thing.text,
        "thing_be": be(thing, tense),
        "happens": inflect(scene_verb, thing, tense),
        "happening": f"{stem(scene_verb)}ing",
        "there": there,
        "maybe_there": rng.choice((there, "")),
        "time": rng.choice(TIMES[tense]),
        "often": rng.choice(ADVERBS),
        "now": rng.choice(("now", "right now", "at the moment")),
    }


def draw_person(topic: Topic, scope: Scope, rng: Random) -> NounPhrase:
    """Someone by name, by pronoun or by occupation."""
    kind = rng.random()
    if kind < 0.25:
        name = rng.choice(list(NAMES))
        return NounPhrase(name, NAMES[name])
    if kind < 0.35:
        return NounPhrase(" and ".join(rng.sample(list(NAMES), 2)), "they")
    if kind < 0.5:
        pronoun = rng.choice(PRONOUNS)
        return NounPhrase(pronoun, pronoun)
    return draw_worker(topic, scope, rng)


def draw_worker(topic: Topic, scope: Scope, rng: Random) -> NounPhrase:
    """Someone by occupation, or several."""
    noun = rng.choice(topic.people)
    pronoun: Pronoun = "they"
    if rng.random() < 0.6:
        pronoun = GENDERS.get(noun, rng.choice(PRONOUNS[:2]))
    articles = ["the"]
    if scope == "free":
        articles += ["two", "three"] if pronoun == "they" else ["the", "a"]
    temper = rng.choice(("", rng.choice(TEMPERS)))
    noun = pluralise(noun) if pronoun == "they" else noun
    return NounPhrase(f"{rng.choice(articles)} {temper} {noun}", pronoun)


def draw_thing(noun: str, scope: Scope, rng: Random, quality: str = "") -> NounPhrase:
    """One or several of a thing, with an adjective if one is given."""
    countable = noun not in MASS + UNIQUE
    many = countable and (scope == "general" or rng.random() < 0.45)
    articles = ["the"]
    if scope == "general" and noun not in UNIQUE:
        articles = ["the", "", ""]
    elif many and scope == "negated":
        articles = ["the", "any"]
    elif many and scope == "free":
        articles = ["the", "some", "two", "three"]
    elif countable and scope != "definite":
        articles = ["the", "a"]
    noun = pluralise(noun) if many else noun
    return NounPhrase(f"{rng.choice(articles)} {quality} {noun}", "they" if many else "it")


def draw_object(noun: str, subject: NounPhrase, scope: Scope, rng: Random) -> str:
    """What the subject acts on, sometimes something of its own."""
    thing = draw_thing(noun, scope, rng, rng.choice(("", "", *QUALITIES[noun])))
    # One thing for several owners may be right (a boat) or wrong (a coat).
    shared = subject.is_plural and not thing.is_plural
    if noun in OWNED and not shared and rng.random() < 0.3:
        return re.sub(r"^\w+", POSSESSIVES[subject.pronoun], thing.text)
    return thing.text


def irregular(word: str) -> str | None:
    """The irregular plural of a noun or past of a verb."""
    found = re.search(rf"\b{word} (\w+)", IRREGULAR)
    return found and found[1]


def add_s(word: str) -> str:
    """The regular plural of a noun; also a verb after `she`."""
    if re.search(r"(s|x|z|ch|sh|tato|mato)$", word):
        return word + "es"
    return re.sub(r"([^aeiou])y$", r"\1ie", word) + "s"


def pluralise(noun: str) -> str:
    """Several of a noun."""
    return irregular(noun) or add_s(noun)


def stem(verb: str) -> str:
    """A verb as it is before `ed` and `ing`."""
    return verb + verb[-1] if verb in DOUBLING else verb.removesuffix("e")


def past(verb: str) -> str:
    """The past of a verb."""
    return irregular(verb) or re.sub(r"([^aeiou])y$", r"\1i", stem(verb)) + "ed"


def inflect(verb: str, subject: NounPhrase, tense: Tense) -> str:
    """A verb after its subject."""
    if tense == "past":
        return past(verb)
    if tense == "future":
        return f"will {verb}"
    return verb if subject.is_plural else add_s(verb)


def be(subject: NounPhrase, tense: Tense) -> str:
    """The form of `be` after its subject; a reason to do something later is in the present."""
    if tense == "past":
        return "were" if subject.is_plural else "was"
    return "are" if subject.is_plural else "is"


def do(subject: NounPhrase, tense: Tense) -> str:
    """The auxiliary of questions and negations."""
    if tense == "present":
        return "do" if subject.is_plural else "does"
    return "did" if tense == "past" else "will"


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description="Write the default sentences.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--num_sentences", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_sentences(args.file, num_sentences=args.num_sentences, seed=args.seed)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
