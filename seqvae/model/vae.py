"""SequenceVAE: an encoder and a decoder with one latent code per sequence.

Axes: B sequences, T steps, C channels, Z latent. Saved as `model.safetensors` + `config.json`;
nothing is pickled.
"""

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from seqvae.errors import InputError
from seqvae.model.decoder import DECODERS, GREEDY, FlatDecoder, Sampling, Sequences
from seqvae.model.encoder import ENCODERS, Encoder, HierarchicalEncoder
from seqvae.model.latent import DiagonalGaussian
from seqvae.model.objective import NegativeELBO, over_sequence


class SequenceVAE(nn.Module):
    """A variational autoencoder of sequences of `C` tokens a step.

    With `latent_dim` 0 there is no encoder, and the decoder is a language model: its KL is 0 and
    its bound exact.
    """

    def __init__(
        self,
        *,
        vocab_sizes: tuple[int, ...],
        max_steps: int,
        eos_id: int | None,
        latent_dim: int,
        embedding_dim: int,
        encoder_dim: int,
        encoder_layers: int,
        encoder_pooling: str,
        encoder_dropout: float,
        bn_gamma: float,
        decoder: str,
        decoder_dim: int,
        decoder_layers: int,
        z_wiring: list[str],
        tied_embeddings: bool,
        num_softmaxes: int,
        dropout: float,
        locked_dropout: bool,
        embedding_dropout: float,
        weight_dropout: float,
        token_dropout: float,
        # Bundles from before there were conductors, chords and subsets name none of these.
        conductor_dim: int = 256,
        conductor_layers: int = 1,
        segment_length: int = 16,
        given_sizes: tuple[int, ...] = (),
        num_members: tuple[int, ...] = (),
    ) -> None:
        """Build the model; `max_steps` bounds decoding, `eos_id` is None for fixed lengths.

        `num_members` tells of each channel of how many things its tokens are subsets, or 0.
        """
        super().__init__()
        self.settings: dict[str, Any] = {
            name: value for name, value in locals().items() if name not in ("self", "__class__")
        }
        self.vocab_sizes, self.max_steps, self.eos_id = vocab_sizes, max_steps, eos_id
        self.latent_dim, self.given_sizes = latent_dim, given_sizes
        members = num_members or (0,) * len(vocab_sizes)
        self.segments: dict[str, int] = {}
        if decoder == "hierarchical":
            num_segments = -(-max_steps // segment_length)
            self.segments = {"num_segments": num_segments, "segment_length": segment_length}
        self.encoder: Encoder | HierarchicalEncoder | None = (
            ENCODERS[decoder](
                **self.segments,
                vocab_sizes=vocab_sizes + given_sizes,
                num_members=members + (0,) * len(given_sizes),
                embedding_dim=embedding_dim,
                hidden_dim=encoder_dim,
                num_layers=encoder_layers,
                latent_dim=latent_dim,
                pooling=encoder_pooling,
                dropout=encoder_dropout,
                bn_gamma=bn_gamma,
            )
            if latent_dim > 0
            else None
        )
        self.decoder = self.make_decoder()

    def make_decoder(self) -> FlatDecoder:
        """A decoder with fresh weights."""
        settings = self.settings
        conductor = ("conductor_dim", "conductor_layers") if self.segments else ()
        decoder: FlatDecoder = DECODERS[settings["decoder"]](
            **self.segments,
            **{name: settings[name] for name in conductor},
            vocab_sizes=self.vocab_sizes,
            num_members=settings["num_members"],
            given_sizes=self.given_sizes,
            embedding_dim=settings["embedding_dim"],
            hidden_dim=settings["decoder_dim"],
            num_layers=settings["decoder_layers"],
            latent_dim=self.latent_dim,
            z_wiring=tuple(settings["z_wiring"]),
            tied_embeddings=settings["tied_embeddings"],
            num_softmaxes=settings["num_softmaxes"],
            dropout=settings["dropout"],
            locked_dropout=settings["locked_dropout"],
            embedding_dropout=settings["embedding_dropout"],
            weight_dropout=settings["weight_dropout"],
            token_dropout=settings["token_dropout"],
        )
        return decoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, ids: Int[Tensor, "B T C"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """q(z|x) of each sequence."""
        if self.encoder is None:
            nothing = torch.zeros(len(ids), 0, device=ids.device)
            return DiagonalGaussian(nothing, nothing)
        posterior: DiagonalGaussian = self.encoder(ids, lengths)
        return posterior

    def decode(
        self,
        z: Float[Tensor, "B Z"],
        sampling: Sampling = GREEDY,
        generator: torch.Generator | None = None,
        *,
        given: Int[Tensor, "B T K"] | None = None,
    ) -> Sequences:
        """Free-running sequences from codes, and from what is given beside the tokens if anything.

        Where nothing is given to a model that knows of it, it is all 0: no chord.
        """
        if given is None and self.given_sizes:
            shape = (len(z), self.max_steps, len(self.given_sizes))
            given = torch.zeros(shape, dtype=torch.long, device=z.device)
        return self.decoder.sample(
            z,
            num_steps=self.max_steps,
            given=given,
            eos_id=self.eos_id,
            sampling=sampling,
            generator=generator,
        )

    def forward(
        self,
        ids: Int[Tensor, "B T C"],
        lengths: Int[Tensor, " B"],
        generator: torch.Generator | None = None,
        *,
        seen: Int[Tensor, "B T C"] | None = None,
    ) -> NegativeELBO:
        """One-sample estimate of the bound, per sequence; the encoder may read something else."""
        posterior = self.encode(ids if seen is None else seen, lengths)
        token_nll = self.decoder.token_nll(posterior.sample(generator), ids)
        return NegativeELBO(over_sequence(token_nll, lengths), posterior.kl_per_dim())

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `config.json`."""
        save_model(self, str(folder / "model.safetensors"))
        (folder / "model.safetensors").chmod(0o644)  # it is written as private
        (folder / "config.json").write_text(json.dumps(self.settings, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "SequenceVAE":
        """Read what `save` wrote, in evaluation mode on the CPU.

        Raises:
            InputError: a file is missing, truncated or of another model.
        """
        settings_file, weights_file = folder / "config.json", folder / "model.safetensors"
        for file in (settings_file, weights_file):
            if not file.is_file():
                raise InputError(f"{folder}: {file.name} is missing; is this a seqvae bundle?")
        try:
            settings = json.loads(settings_file.read_text())
            names = ("vocab_sizes", "given_sizes", "num_members")
            model = cls(**settings | {name: tuple(settings.get(name, ())) for name in names})
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise InputError(f"{settings_file}: not the settings of a model ({error})") from error
        try:
            load_model(model, str(weights_file))
        except (SafetensorError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{weights_file}: damaged, or not of this model ({reason}); copy the bundle again"
            ) from error
        return model.eval()
