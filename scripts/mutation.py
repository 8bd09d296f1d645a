"""The lists of mutations, `scripts/mutations/ROOM.toml`.

Each entry replaces one text in one file, and names the tests that must fail then:

    [[mutation]]
    name = "kl_factor"                            # unique in all lists
    file = "seqvae/model/latent.py"
    from = 'variance = torch.exp(2 * self.log_stddev)'    # occurs exactly once in the file
    to = 'variance = torch.exp(self.log_stddev)'
    tests = ["tests/model/test_latent.py"]        # arguments of pytest; also "-k=expression"
    allowed = "why no user could see it"          # only where no test has to fail
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One change of one line, and the tests that must notice it."""

    room: str
    name: str
    file: str
    """Relative to the root."""
    old: str
    """What is replaced; it occurs once in the file."""
    new: str
    tests: tuple[str, ...]
    """Arguments of pytest."""
    allowed: str = ""
    """Why no user could see the difference, where no test has to."""

    def source(self, root: Path) -> str | None:
        """The mutated file, or None where the text to replace does not occur exactly once."""
        file = root / self.file
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return text.replace(self.old, self.new) if text.count(self.old) == 1 else None


class ListError(ValueError):
    """A list of mutations, or the choice from it, is wrong."""


def read_list(file: Path) -> list[Mutation]:
    """The mutations of one room."""
    keys = {"name", "file", "from", "to", "tests", "allowed"}
    mutations = []
    for entry in tomllib.loads(file.read_text(encoding="utf-8")).get("mutation", []):
        name = entry.get("name", "a mutation without a name")
        missing, unknown = keys - entry.keys() - {"allowed"}, entry.keys() - keys
        if missing or unknown:
            raise ListError(f"{file}: {name}: missing {sorted(missing)}, unknown {sorted(unknown)}")
        if entry["from"] == entry["to"] or not entry["tests"]:
            raise ListError(f"{file}: {name}: it must change the text and name tests")
        entry["old"], entry["new"] = entry.pop("from"), entry.pop("to")
        entry["tests"] = tuple(entry["tests"])
        mutations.append(Mutation(room=file.stem, **entry))
    return mutations


def read_lists(folder: Path) -> list[Mutation]:
    """The mutations of all rooms; names are unique."""
    mutations = [mutation for file in sorted(folder.glob("*.toml")) for mutation in read_list(file)]
    names = [mutation.name for mutation in mutations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ListError(f"{folder}: several mutations have the same name: {', '.join(twice)}")
    return mutations


def choose(mutations: list[Mutation], wanted: list[str]) -> list[Mutation]:
    """Those with one of the names or of one of the rooms; all where nothing is wanted."""
    rooms = sorted({mutation.room for mutation in mutations})
    unknown = set(wanted) - {mutation.name for mutation in mutations} - set(rooms)
    if unknown:
        raise ListError(
            f"no mutation or room is called {', '.join(sorted(unknown))}; rooms: {', '.join(rooms)}"
        )
    return [m for m in mutations if not wanted or {m.name, m.room} & set(wanted)]
