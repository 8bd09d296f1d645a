"""A prior that draws a code slice by slice, each from those before it.

The code of a hierarchical model is made of slices, one for each segment. An LSTM reads the slices
so far, and from its state a slice is written in groups of `GROUP` dimensions: each group has a
mixture of diagonal Gaussians, whose numbers depend on the groups before it (a mixture density
network, Bishop 1994, made autoregressive). The joint density is exact by the chain rule. Dimensions
are the principal axes of all slices, the largest variance first, in units of their standard
deviation.

Axes: N codes, U slices, S dimensions of a slice, G groups, K components, Z latent = U * S.
"""

import copy
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn, unflatten
from torch.nn.functional import pad
from tqdm import tqdm

from seqvae.model.latent import DiagonalGaussian

GROUP, COMPONENTS, HIDDEN_DIM, DROPOUT = 8, 8, 256, 0.1
LOG_STDDEV_RANGE = (-5.0, 3.0)  # so that no component collapses on one code
# A sample takes its components as they are, but stays this much nearer to their means: codes are
# draws, and a sample that carries their noise as well is decoded less surely than a real code.
SPREAD = 0.7
BATCH_SIZE, LEARNING_RATE = 128, 2e-3  # of fitting
MAX_STEPS, MAX_EPOCHS = 1500, 40  # whichever is less
STEPS_PER_CHECK, PATIENCE = 100, 3  # checks on held-out codes that may pass without a better one


class SlicePrior(nn.Module):
    """The network, and the axes that it sees slices in."""

    centre: Float[Tensor, " S"]
    axes: Float[Tensor, "S S"]
    """The principal axes of slices as columns, each as long as its standard deviation."""

    def __init__(self, num_slices: int, slice_dim: int, hidden_dim: int | None = None) -> None:
        """Fresh weights; `hidden_dim` is the width of the network, by default `HIDDEN_DIM`."""
        super().__init__()
        self.num_slices, self.slice_dim = num_slices, slice_dim
        self.group = min(GROUP, slice_dim)
        self.num_groups = -(-slice_dim // self.group)
        self.hidden_dim = hidden_dim or HIDDEN_DIM
        self.register_buffer("centre", torch.zeros(slice_dim))
        self.register_buffer("axes", torch.eye(slice_dim))
        self.reader = nn.LSTM(slice_dim + num_slices, self.hidden_dim, batch_first=True)
        self.hidden = nn.Linear(self.hidden_dim + slice_dim + self.num_groups, self.hidden_dim)
        self.output = nn.Linear(self.hidden_dim, COMPONENTS * (1 + 2 * self.group))
        self.dropout = nn.Dropout(DROPOUT)

    # The density

    def log_prob(self, z: Float[Tensor, "N Z"]) -> Float[Tensor, " N"]:
        """The log density of codes, in nats."""
        volume = self.axes.detach().double().slogdet().logabsdet * self.num_slices
        return self.whitened_log_prob(self.whitened(z)) - volume.to(z.dtype)

    def whitened(self, z: Float[Tensor, "N Z"]) -> Float[Tensor, "N U S"]:
        """Codes along the axes."""
        slices = unflatten(z, 1, (self.num_slices, self.slice_dim)) - self.centre
        whitened: Tensor = torch.linalg.solve(self.axes, slices.mT).mT
        return whitened

    def whitened_log_prob(self, slices: Float[Tensor, "N U S"]) -> Float[Tensor, " N"]:
        """The log density of whitened slices, all at once."""
        before = pad(slices[:, :-1], (0, 0, 1, 0))
        places = torch.eye(self.num_slices, device=slices.device).expand(len(slices), -1, -1)
        states = self.dropout(self.reader(torch.cat([before, places], dim=-1))[0])
        total = slices.new_zeros(slices.shape[:2])
        for number in range(self.num_groups):
            first, last = self._limits(number)
            log_weights, means, log_stddevs = self._mixture(states, slices, number)
            values = slices[..., None, first:last]
            white = (values - means) * torch.exp(-log_stddevs)
            densities = -0.5 * white.square() - log_stddevs - 0.5 * math.log(2 * math.pi)
            total = total + torch.logsumexp(log_weights + densities.sum(-1), dim=-1)
        return total.sum(1)

    def _limits(self, number: int) -> tuple[int, int]:
        """The dimensions of a group."""
        return number * self.group, min((number + 1) * self.group, self.slice_dim)

    def _mixture(
        self, states: Float[Tensor, "*N H"], slices: Float[Tensor, "*N S"], number: int
    ) -> tuple[Float[Tensor, "*N K"], Float[Tensor, "*N K _"], Float[Tensor, "*N K _"]]:
        """Log weights, means and log standard deviations of a group, from the groups before it."""
        first, last = self._limits(number)
        known = pad(slices[..., :first], (0, self.slice_dim - first))
        which = torch.eye(self.num_groups, device=slices.device)[number]
        which = which.expand(*known.shape[:-1], -1)
        hidden = torch.relu(self.hidden(torch.cat([states, known, which], dim=-1)))
        numbers = self.output(self.dropout(hidden)).unflatten(-1, (COMPONENTS, -1))
        means, log_stddevs = numbers[..., 1:].unflatten(-1, (2, -1)).unbind(-2)
        return (
            numbers[..., 0].log_softmax(-1),
            means[..., : last - first],
            log_stddevs[..., : last - first].clamp(*LOG_STDDEV_RANGE),
        )

    # Samples

    def sample(self, num_codes: int, generator: torch.Generator) -> Float[Tensor, "N Z"]:
        """Draw codes, on the device of the generator, with `SPREAD` of the standard deviations."""
        return self.draw(num_codes, SPREAD, generator)

    @torch.no_grad()
    def draw(
        self, num_codes: int, spread: float, generator: torch.Generator
    ) -> Float[Tensor, "N Z"]:
        """Draw codes; a spread of 1 draws them from the density."""
        self.to(generator.device)
        slices = torch.zeros(num_codes, self.num_slices, self.slice_dim, device=generator.device)
        places, state = torch.eye(self.num_slices, device=generator.device), None
        before = slices[:, 0].clone()
        for place in range(self.num_slices):
            inputs = torch.cat([before, places[place].expand(num_codes, -1)], dim=-1)
            states, state = self.reader(inputs[:, None], state)
            before = slices[:, place]
            for number in range(self.num_groups):
                first, last = self._limits(number)
                before[:, first:last] = _drawn(
                    *self._mixture(states[:, 0], before, number), spread, generator
                )
        return (slices @ self.axes.mT + self.centre).flatten(1)

    # Files

    def parts(self) -> dict[str, Tensor]:
        """What a file holds."""
        return {name: value.cpu().contiguous() for name, value in self.state_dict().items()}

    @classmethod
    def of_parts(cls, parts: dict[str, Tensor], latent_dim: int) -> "SlicePrior":
        """The prior of such `parts`.

        Raises:
            ValueError: they are of another model, or no such prior.
        """
        slice_dim = max(1, len(parts["centre"]))
        with torch.device("meta"):
            prior = cls(latent_dim // slice_dim, slice_dim, len(parts["hidden.bias"]))
        for name, value in prior.state_dict().items():
            if latent_dim % slice_dim or value.shape != parts[name].shape:
                raise ValueError(f"{name} of shape {tuple(parts[name].shape)}")
        prior.load_state_dict(parts, assign=True)
        return prior.eval().requires_grad_(requires_grad=False)


def _drawn(
    log_weights: Float[Tensor, "N K"],
    means: Float[Tensor, "N K D"],
    log_stddevs: Float[Tensor, "N K D"],
    spread: float,
    generator: torch.Generator,
) -> Float[Tensor, "N D"]:
    """A draw from each mixture, with this part of its standard deviation."""
    chosen = torch.multinomial(log_weights.exp(), 1, generator=generator)[:, 0]
    rows = torch.arange(len(means), device=means.device)
    mean, stddev = means[rows, chosen], log_stddevs[rows, chosen].exp()
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + spread * stddev * noise


# Fitting


def fit_slices(
    train: DiagonalGaussian,
    held_out: DiagonalGaussian,
    num_slices: int,
    *,
    base: SlicePrior | None = None,
    hidden_dim: int | None = None,
    seed: int = 0,
) -> SlicePrior:
    """Fit a prior to draws of posteriors, as far as draws of the held-out ones gain from it.

    Each step draws anew, so that few posteriors go far. A `base` is where the fit begins, and what
    it ends as if no step is better; the prior has its width then.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the initial weights, and of dropout
        hidden_dim = hidden_dim if base is None else base.hidden_dim
        prior = SlicePrior(num_slices, train.mean.shape[1] // num_slices, hidden_dim)
        draws = train.sample(rng)
        if base is None:
            _set_axes(prior, draws)
        else:
            prior.load_state_dict(base.state_dict())
        target = prior.whitened(held_out.sample(rng))
        best, checks_since = copy.deepcopy(prior.state_dict()), 0
        best_score = -math.inf if base is None else _score(prior, target)
        for _ in _steps(prior, train, rng):
            score = _score(prior, target)
            if score > best_score:
                best, best_score = copy.deepcopy(prior.state_dict()), score
                checks_since = 0
            elif (checks_since := checks_since + 1) == PATIENCE:
                break
    prior.load_state_dict(best)
    return prior.eval().requires_grad_(requires_grad=False)


def _set_axes(prior: SlicePrior, z: Float[Tensor, "N Z"]) -> None:
    """Centre and principal axes of the slices of codes; small variances are raised a little."""
    slices = unflatten(z, 1, (prior.num_slices, prior.slice_dim)).flatten(0, 1).double()
    centred = slices - slices.mean(0)
    variances, directions = torch.linalg.eigh(centred.mT @ centred / len(slices))
    stddevs = variances.clamp(min=1e-6).sqrt()
    prior.centre.copy_(slices.mean(0))
    prior.axes.copy_((directions * stddevs).flip(1))


def _steps(prior: SlicePrior, train: DiagonalGaussian, rng: torch.Generator) -> Iterator[int]:
    """Train, and come back each `STEPS_PER_CHECK` steps and at the end."""
    num_steps = min(MAX_STEPS, MAX_EPOCHS * -(-len(train.mean) // BATCH_SIZE))
    optimizer = torch.optim.AdamW(prior.parameters(), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, num_steps, pct_start=0.1
    )
    stddev = train.log_stddev.exp()
    for step in tqdm(range(1, num_steps + 1), desc="prior", unit=" steps", leave=False,
                     disable=None, delay=1):  # fmt: skip
        drawn = torch.randint(len(stddev), (BATCH_SIZE,), generator=rng)
        noise = torch.randn((BATCH_SIZE, stddev.shape[1]), generator=rng)
        z = train.mean[drawn] + stddev[drawn] * noise
        loss = -prior.train().whitened_log_prob(prior.whitened(z)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # of torch
        nn.utils.clip_grad_norm_(prior.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % STEPS_PER_CHECK == 0 or step == num_steps:
            yield step


@torch.no_grad()
def _score(prior: SlicePrior, slices: Float[Tensor, "N U S"]) -> float:
    """Mean log density of whitened codes."""
    parts = [prior.eval().whitened_log_prob(part) for part in torch.split(slices, 4 * BATCH_SIZE)]
    return float(torch.cat(parts).mean())
