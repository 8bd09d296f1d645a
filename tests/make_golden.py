"""The losses of a short training, which a refactor must leave as they are.

`python tests/make_golden.py` writes `tests/golden/losses.txt`. CPU, float32.
"""

from pathlib import Path

import torch
from tiny import random_ids, tiny_vae

from seqvae.model.objective import training_loss
from seqvae.model.remedies import Objective

COMMAND = "python tests/make_golden.py"
GOLDEN_FILE = Path(__file__).parent / "golden" / "losses.txt"
NUM_STEPS = 5


def golden_losses() -> list[float]:
    """The loss before each of five Adam steps of a two-layer model on one padded batch."""
    vocab_sizes = (5, 4)
    model = tiny_vae(
        vocab_sizes=vocab_sizes, encoder_layers=2, decoder_layers=2, token_dropout=0.25
    ).train()
    ids = random_ids(vocab_sizes, 4, 6)
    lengths = torch.tensor([6, 1, 4, 5])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    noise = torch.Generator().manual_seed(1)
    objective = Objective(free_nats=0.5)
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)  # of the token dropout
        for _ in range(NUM_STEPS):
            loss = training_loss(objective, model(ids, lengths, noise), beta=0.5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


if __name__ == "__main__":
    lines = [f"# {COMMAND}", *(f"{loss:.9g}" for loss in golden_losses())]
    GOLDEN_FILE.parent.mkdir(exist_ok=True)
    GOLDEN_FILE.write_text("\n".join(lines) + "\n")
