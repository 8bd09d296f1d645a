"""The metrics of an evaluation as a table: each with its unit, definition and ceiling."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from seqvae.inference.evaluation import Evaluation
from seqvae.inference.options import field_docs
from seqvae.pages.page import Data, plain

METRICS_IN = {  # unit: metrics
    "nats per sequence": ("neg_elbo", "nll", "kl", "iw_nll"),
    "nats": ("mi_aggregate", "mi_batch"),
    "dimensions": ("active_units",),
    "fraction of tokens": ("accuracy_teacher_forced", "accuracy_free_running", "accuracy_constant"),
    "fraction of tokens: model / constant answer": ("accuracy_by_channel",),
    "fraction of sequences": ("exact_match",),
    "from 0 to 1": ("onset_f1",),
    "fraction of right onsets": ("duration_within_step",),
    "from 0 to 100": ("bleu",),
    "MIDI velocities": ("velocity_error", "velocity_error_constant"),
    "milliseconds": ("timing_error_ms",),
    "per word": ("word_perplexity", "iw_word_perplexity"),
    "bits per byte": ("bits_per_byte",),
    "overlapping area: samples / training split": ("overlap",),
    "fraction of notes: samples / data": ("scale_share",),
    "fraction of spans: samples / data": ("copied",),
    "from 0 to 1: samples / data": ("self_similarity",),
    "fraction of steps: samples / data": ("consonance", "crossing"),
}
UNITS = {name: unit for unit, names in METRICS_IN.items() for name in names}
CEILINGS = {  # the field that holds the largest value that a metric can have
    "active_units": "latent_dim",
    "mi_aggregate": "mi_aggregate_ceiling",
    "mi_batch": "mi_batch_ceiling",
}
BASELINES = {  # the field that holds what a metric of several parts is compared with
    "accuracy_by_channel": "accuracy_constant_by_channel",
}


def metric_table(evaluation: Evaluation) -> list[Data]:
    """A row for each metric that was measured, in the order of the fields of `Evaluation`.

    A row has `values`, or `parts` that have values; two values are those that the unit names.
    """
    fields = {name: value for name, value in vars(evaluation).items() if value is not None}
    definitions = field_docs(Evaluation)
    rows: list[Data] = []
    for name in (name for name in fields if name in UNITS):
        row: Data = {"name": name, "unit": UNITS[name], "definition": definitions[name]}
        if isinstance(fields[name], dict):
            row["parts"] = _parts(fields[name], fields.get(BASELINES.get(name, ""), {}))
        else:
            row["values"] = plain(np.atleast_1d(fields[name]))
            row["ceiling"] = plain(fields[CEILINGS[name]]) if name in CEILINGS else None
            row["stderr"] = fields.get(f"{name}_stderr")
        rows.append(row)
    return rows


def _parts(values: Mapping[str, Any], baselines: Mapping[str, float]) -> list[Data]:
    """The values of each part; its baseline comes second, if there is one."""
    return [
        {"name": name, "values": plain(np.append(value, baselines.get(name, [])))}
        for name, value in values.items()
    ]
