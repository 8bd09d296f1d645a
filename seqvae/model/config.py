"""Parameter objects: what a user sets, what a tokenizer tells the model, how tokens are drawn.

Torch is not imported here, so that tokenizers and the command line can use them at once.
"""

from dataclasses import dataclass

from seqvae.errors import InputError, at_least, at_most, check_types, one_of, shown, within

DECODERS = ("flat", "hierarchical", "musicvae")
STDDEVS = ("exp", "softplus")
POOLINGS = ("last", "mean", "max")
Z_WIRINGS = ("state", "input", "output")
MAX_DIM, MAX_LAYERS, MAX_SOFTMAXES = 2**16, 100, 1000  # beyond what any machine holds
MAX_STEPS, MAX_VOCABULARY, MAX_CHANNELS = 2**20, 2**24, 1000


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: its sizes, how z is made and used, and its dropout."""

    latent_dim: int = 64
    """Dimensions of z; 0 leaves the decoder alone, a language model."""
    embedding_dim: int = 128
    """Dimensions of a token's embedding."""
    encoder_dim: int = 256
    """Hidden units of the encoder, per direction."""
    encoder_layers: int = 1
    """Bidirectional LSTM layers of the encoder; 0 is a decoder that came without its encoder."""
    encoder_pooling: str = "last"
    """How the encoder's states become one: last (of each direction), mean or max."""
    encoder_dropout: float = 0.0
    """Locked dropout of the encoder's embeddings."""
    stddev: str = "exp"
    """How the encoder's output gives the posterior's standard deviation: exp or softplus."""
    bn_gamma: float = 0.0
    """Standard deviation to which posterior means are batch-normalised (BN-VAE); 0 is off. It keeps
    the KL at about latent_dim * bn_gamma^2 / 2 nats or more; 0.5 to 0.7 are usual."""
    decoder: str = "flat"
    """flat (one LSTM over all steps), hierarchical (a conductor gives each segment its code, and
    the encoder reads segments too) or musicvae (the same two levels as MusicVAE has them: all of z
    is the conductor's initial state, and one state of the encoder yields all of z)."""
    decoder_dim: int = 512
    """Hidden units of the decoder."""
    decoder_layers: int = 1
    """LSTM layers of the decoder."""
    conductor_dim: int = 256
    """Width of a segment's code; each direction of the conductor has half as many hidden units, and
    that of musicvae, which has one direction, as many."""
    conductor_layers: int = 1
    """LSTM layers of the conductor."""
    segment_length: int = 16
    """Steps of a hierarchical decoder's segment; 16 are a bar of sixteenths in 4/4."""
    z_wiring: tuple[str, ...] = ("state", "input")
    """How z enters the decoder: state (initial, of every layer), input (beside the token at each
    step), output (past the LSTM into the softmax)."""
    tied_embeddings: bool = False
    """The decoder's softmax shares the weights of its embedding."""
    num_softmaxes: int = 1
    """Components of a mixture of softmaxes; 1 is a plain softmax."""
    nade_dim: int = 0
    """Hidden units of a NADE, which decides on one drum after the other, in place of the softmax
    over sets of drums; 0 is the softmax."""
    dropout: float = 0.0
    """Dropout of the decoder's inputs and outputs, and between its layers."""
    locked_dropout: bool = True
    """That dropout drops the same features at all steps of a sequence; false draws each step."""
    embedding_dropout: float = 0.0
    """Probability that a token type is invisible to the decoder in a training step."""
    weight_dropout: float = 0.0
    """Dropout of the decoder's recurrent weights."""
    token_dropout: float = 0.0
    """Probability that an input token of the decoder is blanked in training ("word dropout")."""

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_types(self)
        at_least(self, 0, "latent_dim", "bn_gamma", "encoder_layers", "nade_dim")
        at_least(self, 1, "embedding_dim", "encoder_dim")
        at_least(self, 1, "decoder_dim", "decoder_layers", "num_softmaxes")
        at_least(self, 1, "conductor_dim", "conductor_layers", "segment_length")
        at_most(self, MAX_DIM, "latent_dim", "embedding_dim", "encoder_dim", "decoder_dim")
        at_most(self, MAX_DIM, "conductor_dim", "nade_dim")
        at_most(self, MAX_LAYERS, "encoder_layers", "decoder_layers", "conductor_layers")
        at_most(self, MAX_SOFTMAXES, "num_softmaxes")
        at_most(self, MAX_STEPS, "segment_length")
        within(self, 0.0, 1.0, "dropout", "token_dropout", "encoder_dropout")
        within(self, 0.0, 1.0, "embedding_dropout", "weight_dropout")
        one_of(self, "decoder", DECODERS)
        one_of(self, "encoder_pooling", POOLINGS)
        one_of(self, "stddev", STDDEVS)
        for way in self.z_wiring:
            if way not in Z_WIRINGS:
                raise InputError(f"z_wiring has {way!r}; choose from {', '.join(Z_WIRINGS)}")
        if self.decoder != "flat" and self.latent_dim == 0:
            raise InputError(f"decoder is {self.decoder}, which needs a code, but latent_dim is 0")
        if self.nade_dim and (self.tied_embeddings or self.num_softmaxes > 1):
            raise InputError(
                f"nade_dim is {self.nade_dim}, which replaces the softmax; set tied_embeddings "
                "false and num_softmaxes 1"
            )
        if self.conductor_dim % 2:
            raise InputError(
                f"conductor_dim is {self.conductor_dim}; it must be even, for two directions"
            )
        if self.latent_dim > 0 and not self.z_wiring:
            raise InputError(
                f"z_wiring is empty, so the {self.latent_dim} dimensions of z reach nothing; "
                f"choose from {', '.join(Z_WIRINGS)}, or set latent_dim 0 for a language model"
            )


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps of a tokenizer's sequences: what the model must know of them."""

    vocab_sizes: tuple[int, ...]
    """Number of tokens of each channel."""
    max_steps: int
    """The longest sequence, its end token included."""
    eos_id: int | None = None
    """The token of channel 0 that ends a sequence; None where every sequence has max_steps."""
    num_members: tuple[int, ...] = ()
    """For each channel whose tokens are subsets of M things, M; 0 for other channels. A drum token
    5 = 0b101 is the subset of kick and hi-hat, of M = 9. Empty means no channel has subsets."""
    condition_sizes: tuple[int, ...] = ()
    """Number of values of each condition column, such as chords: read, but not predicted."""
    slot_size: int = 0
    """Where a step holds a set of notes, the channels of a note: the first so many are the lowest
    note, the next so many the one above it. The first of them is the pitch, of which 0 ends the
    set; the second is the duration, whose token d stands for d + 1 steps. 0 for other steps."""
    unison: bool = False
    """Whether two notes of a step may have the same pitch, for two instruments."""
    segment_eos_id: int | None = None
    """The token of channel 0 that ends a segment of the model, such as a track. The rest of that
    segment has no meaning. None where every segment is full."""

    def __post_init__(self) -> None:
        """Write out an empty num_members; refuse sizes that no model has."""
        check_types(self)
        at_most(self, MAX_STEPS, "max_steps")
        sizes = (*self.vocab_sizes, *self.condition_sizes)
        if max(sizes) > MAX_VOCABULARY or len(sizes) > MAX_CHANNELS or min(sizes) < 0:
            raise InputError(f"there are channels of {shown(sizes)} tokens; no model holds them")
        if not self.num_members:
            object.__setattr__(self, "num_members", (0,) * len(self.vocab_sizes))
        assert len(self.num_members) == len(self.vocab_sizes)
        if self.slot_size:
            assert self.slot_size >= 2
            assert self.vocab_sizes == self.slot_sizes * self.num_slots

    @property
    def num_channels(self) -> int:
        """Channels that are predicted: the first columns of ids."""
        return len(self.vocab_sizes)

    @property
    def slot_sizes(self) -> tuple[int, ...]:
        """Number of tokens of each channel of a note, where a step holds a set of notes."""
        return self.vocab_sizes[: self.slot_size]

    @property
    def num_slots(self) -> int:
        """The most notes of a step, where it holds a set of them."""
        return len(self.vocab_sizes) // self.slot_size


def num_segments(config: ModelConfig, steps: Steps) -> int:
    """Segments that the longest sequence is cut into; the last may be shorter than the others."""
    return -(-steps.max_steps // config.segment_length)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn from logits."""

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the most probable token."""
    top_k: int = 0
    """Keep only the k most probable tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the fewest most probable tokens whose probabilities reach p (Holtzman et al. 2020)."""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        check_types(self)
        at_least(self, 0, "temperature", "top_k")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p is {self.top_p}; it must lie in (0, 1]")
