"""A bundle to the Hugging Face Hub: with a licence, a card, and what the model sounds like.

The bundle stays as it is. What is published is a copy, whose card has what a hub asks for.
"""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from seqvae.errors import InputError
from seqvae.exchange.rolls import draw_samples
from seqvae.hub import FILES, INSTALL, REPOSITORY, first_line
from seqvae.inference import options
from seqvae.inference.bundle import as_path, bundle_in
from seqvae.inference.cards import (
    CARD,
    NO_LICENCE,
    TEMPERATURES,
    as_card,
    read_card,
    tags,
    usage,
)
from seqvae.inference.trained import TrainedVAE

PICTURE = "samples.png"
NUM_SAMPLES = 4
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
USAGE = re.compile(r'(```python\nimport seqvae\n.*?seqvae\.load\(")[^"]*(".*?\n```)', re.DOTALL)


def push(run: str | Path, how: options.Push) -> str:
    """Publish a run, a bundle or a model that ships; the address of what was written is returned.

    Raises:
        InputError: there is no such model, no licence, or the hub refuses.
    """
    run, repository = as_path(run), how.repository
    named = REPOSITORY.fullmatch(repository)
    if named is None or named["revision"]:
        raise InputError(f"{repository!r} is no repository; name it as owner/name")
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise InputError(f"the Hugging Face Hub needs huggingface_hub; {INSTALL}") from error
    vae = TrainedVAE.load(run, "cpu")
    bundle = bundle_in(run)
    head, body = read_card(bundle / CARD)
    found_by = {"library_name": "seqvae", "tags": tags(vae.tokenizer.kind, vae.tokenizer.modality)}
    head = licensed(found_by | head, how)
    if how.datasets:
        head["datasets"] = list(how.datasets)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for source in (bundle, run):  # a run has its directions beside its bundle
            for name in FILES:
                if (source / name).is_file() and not (folder / name).exists():
                    shutil.copyfile(source / name, folder / name)
        shown = samples(vae, folder)
        text = published(body, repository, head, shown, is_text=vae.tokenizer.modality == "text")
        (folder / CARD).write_text(as_card(head, text), encoding="utf-8")
        api = HfApi(token=how.token)
        try:
            if not how.create_pr:  # who proposes something need not own the repository
                api.create_repo(repository, private=how.private, exist_ok=True)
            made: Any = api.upload_folder(
                repo_id=repository, folder_path=folder, create_pr=how.create_pr,
                commit_message=how.commit_message,
            )  # fmt: skip
        except Exception as error:  # of the hub, or of whatever it asks the network with
            raise InputError(f"{repository}: the hub says: {first_line(error)}") from error
    return str(made.pr_url or made.commit_url)


def licensed(head: dict[str, Any], how: options.Push) -> dict[str, Any]:
    """The head of a card with the licence.

    Raises:
        InputError: there is none, it is no name of a licence, or the card states another.
    """
    stated, said = head.get("license"), how.license
    if stated and said and said != stated:
        raise InputError(f"--license {said}: the card of this model states {stated}")
    licence = said or stated
    if not licence:
        raise InputError(
            "--license is missing: state the licence of the weights, such as cc-by-4.0. "
            "It follows from the licence of the data that they were trained on"
        )
    if not LICENCE.fullmatch(str(licence)):
        raise InputError(f"--license {licence!r}: write its short name, such as cc-by-4.0")
    if how.license_link is None:
        return {**head, "license": licence}
    return {
        **head, "license": "other", "license_name": licence, "license_link": how.license_link,
    }  # fmt: skip


def samples(vae: TrainedVAE, folder: Path) -> str:
    """What a card shows of samples that nobody picked: sentences, or a picture in the folder."""
    modality = vae.tokenizer.modality
    drawn = vae.sample(NUM_SAMPLES, temperature=TEMPERATURES[modality], seed=0)
    if modality == "text":
        return "\n".join(f"> {text}\n>" for text in drawn).removesuffix("\n>")
    draw_samples(drawn, folder / PICTURE)
    return f"![Four samples as piano rolls]({PICTURE})"


def published(
    body: str, repository: str, head: dict[str, Any], shown: str, *, is_text: bool
) -> str:
    """The text of a card as others read it, who load the model from the hub."""
    licence = head.get("license_name", head["license"])
    body = body.replace(NO_LICENCE, f"The weights are under {licence}.")
    told = f"Four samples with the seed 0, which nobody picked:\n\n{shown}"
    if USAGE.search(body):
        return USAGE.sub(lambda code: f"{code[1]}{repository}{code[2]}\n\n{told}", body, count=1)
    return f"{body.rstrip()}\n\n{usage(repository, is_text=is_text)}\n\n{told}\n"
