"""A trained model as scikit-learn knows transformers: a step of its `Pipeline`.

Nothing is learned in `fit`, because the model is trained already, and nothing is copied where
scikit-learn clones a pipeline, as in cross-validation.

Axes: N inputs, Z latent.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from seqvae.inference.codec import Codec, Item
from seqvae.inference.options import Codes, Source

E = TypeVar("E", bound="Estimator")


class Estimator(ABC):
    """What scikit-learn asks of a transformer, without importing it."""

    codec: Codec

    @abstractmethod
    def decode(self, z: Codes) -> list[Item]:
        """An output for each code."""

    def fit(self: E, inputs: Any = None, labels: Any = None) -> E:
        """Learn nothing: the model is trained."""
        return self

    def transform(self, inputs: Source | Sequence[Source]) -> Float32[np.ndarray, "N Z"]:
        """The posterior mean of each input, one row each.

        That of a clip of several windows is the mean of theirs.

        Raises:
            InputError: there are none, one cannot be read, or the model is a language model.
        """
        means = [clip.z.mean(0) for clip in self.codec.read(inputs)]
        return np.stack([mean.cpu().numpy() for mean in means])

    def fit_transform(
        self, inputs: Source | Sequence[Source], labels: Any = None
    ) -> Float32[np.ndarray, "N Z"]:
        """The same as `transform`."""
        return self.transform(inputs)

    def inverse_transform(self, codes: Codes) -> list[Item]:
        """The most likely output for each code (N, Z); a clip is one window long.

        Raises:
            InputError: the codes have another shape, or are not finite.
        """
        return self.decode(codes)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """No settings: a search over a pipeline has nothing to change here."""
        return {}

    def set_params(self: E, **settings: Any) -> E:
        """Take no settings.

        Raises:
            ValueError: there are some, as scikit-learn has it.
        """
        if settings:
            raise ValueError(f"a trained model has no parameter {next(iter(settings))!r}")
        return self

    def __sklearn_clone__(self: E) -> E:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False, string=True),
            requires_fit=False,
        )
