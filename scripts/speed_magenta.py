"""Times Magenta's own MusicVAE graph. Run by `benchmark_speed.py`, in an environment of its own.

    python scripts/speed_magenta.py CHECKOUT < jobs.json

`CHECKOUT` is a checkout of magenta/magenta. Weights are random: time does not depend on them. A job
is a line of JSON on standard input, such as {"do": "decode", "size": "small", "batch": 16,
"threads": 2}; the answer is a line with the seconds of each round on standard output. The process
stays for all jobs, so that its caller can alternate between programs.
"""

import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

VOCAB_SIZE = 90  # of a melody
SIZES: dict[str, dict[str, Any]] = {
    "small": {"z_size": 256, "enc_rnn_size": [512], "dec_rnn_size": [256, 256], "max_seq_len": 32},
    "hier": {"z_size": 512, "enc_rnn_size": [1024], "dec_rnn_size": [512, 512], "max_seq_len": 256},
}


def load_magenta(checkout: Path) -> tuple[Any, Any, Any]:
    """TensorFlow and the two modules, without the packages' `__init__`, which need far more."""
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    for name in ("magenta", "magenta.models", "magenta.models.music_vae"):
        module = types.ModuleType(name)
        module.__path__ = [str(checkout.joinpath(*name.split(".")))]
        sys.modules[name] = module
    from magenta.models.music_vae import base_model, lstm_models

    return tf, base_model, lstm_models


def build(checkout: Path, job: dict[str, Any]) -> Callable[[], None]:
    """A function that does the job once."""
    tf, base_model, lstm_models = load_magenta(checkout)
    graph = tf.Graph()
    with graph.as_default():
        hparams = lstm_models.get_default_hparams()
        hparams.override_from_dict({**SIZES[job["size"]], "batch_size": job["batch"]})
        decoder = lstm_models.CategoricalLstmDecoder()
        if job["size"] == "hier":
            decoder = lstm_models.HierarchicalLstmDecoder(
                decoder, level_lengths=[16, 16], disable_autoregression=True
            )
        model = base_model.MusicVAE(lstm_models.BidirectionalLstmEncoder(), decoder)
        model.build(hparams, VOCAB_SIZE, is_training=job["do"] == "train")
        fetches = FETCHES[job["do"]](tf, model, job["batch"], hparams.max_seq_len)
        session = tf.Session(
            config=tf.ConfigProto(
                intra_op_parallelism_threads=job["threads"],
                inter_op_parallelism_threads=job["threads"],
            )
        )
        session.run(tf.global_variables_initializer())
    return lambda: session.run(fetches)


def decode(tf: Any, model: Any, batch: int, length: int) -> Any:
    """Greedy sequences of random codes."""
    z = tf.random_normal([batch, model.hparams.z_size])
    return model.sample(batch, max_length=length, z=z, temperature=1e-5)[0]


def random_sequences(tf: Any, batch: int, length: int) -> tuple[Any, Any]:
    """One-hot sequences of full length, and their lengths."""
    tokens = tf.random_uniform([batch, length], maxval=VOCAB_SIZE, dtype=tf.int32)
    sequences = tf.one_hot(tokens, VOCAB_SIZE)
    sequences.set_shape([batch, length, VOCAB_SIZE])
    return sequences, tf.fill([batch], length)


def encode(tf: Any, model: Any, batch: int, length: int) -> Any:
    """The means of random sequences."""
    return model.encode(*random_sequences(tf, batch, length)).mean()


def train(tf: Any, model: Any, batch: int, length: int) -> Any:
    """One step with clipped gradients, as in music_vae_train."""
    sequences, lengths = random_sequences(tf, batch, length)
    optimizer = model.train(sequences, sequences, lengths)
    gradients, variables = zip(*optimizer.compute_gradients(model.loss), strict=True)
    clipped = tf.clip_by_global_norm(gradients, model.hparams.grad_clip)[0]
    pairs = zip(clipped, variables, strict=True)
    return optimizer.apply_gradients(pairs, global_step=model.global_step)


FETCHES = {"decode": decode, "encode": encode, "train": train}


def main() -> None:
    """Answer jobs until standard input ends."""
    checkout = Path(sys.argv[1])
    sys.path.insert(0, str(checkout))
    built: dict[str, Callable[[], None]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        key = json.dumps({name: job[name] for name in ("do", "size", "batch", "threads")})
        if key not in built:
            built[key] = build(checkout, job)
            built[key]()
        seconds = []
        for _ in range(job["repeats"]):
            start = time.perf_counter()
            built[key]()
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
