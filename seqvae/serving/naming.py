"""What visitors are told that a model is."""

from pathlib import Path

from seqvae.inference.cards import CARD, read_card


def about_model(bundle: Path | None) -> str:
    """The first paragraph of the card of a model, and its licence; nothing where there is none."""
    if bundle is None or not (bundle / CARD).is_file():
        return ""
    head, body = read_card(bundle / CARD)
    parts = [" ".join(part.split()) for part in body.split("\n\n") if part.strip()]
    prose = [part for part in parts if not part.startswith(("#", "|", "`"))]
    licence = [f"Licence: {head['license']}."] if head.get("license") else []
    return " ".join(prose[:1] + licence)
