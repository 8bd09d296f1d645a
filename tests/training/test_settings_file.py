"""YAML files of settings."""

from pathlib import Path

import pytest
import yaml

from seqvae.errors import InputError
from seqvae.training.flags import parse_config
from seqvae.training.settings_file import read_settings

TEXT = """\
# caf\u00e9
name: fran\u00e7ais \U0001f600
base: &base {learning_rate: 2e-3, seed: 1}
trainer: {<<: *base, seed: 2}
more: [{seed: 1}, {seed: 2}]
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_become_ascii_and_stay_the_same(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.yaml").write_text(TEXT, encoding=encoding)
    settings = read_settings(tmp_path / "a.yaml")
    assert settings.isascii()
    assert yaml.safe_load(settings) == yaml.safe_load(TEXT)
    assert "learning_rate: 2e-3" in settings  # no string, for those who read it as a number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: a\nmodel: {}\nname: b\n", "line 3: name stands here for the second time"),
        ("data: {source: a,\n source: b}\n", "line 2: source stands here for the second time"),
        ("data:\n- x: 1\n  x: 2\n", "line 3: x stands here for the second time"),
        ("name: [a\n", r"line 2: not YAML \(expected ',' or ']'"),
        ("name: a\n\tb: c\n", r"line 2: not YAML \(found character"),
        ("- a\n", "holds no settings, such as name: my_run"),
        ("", "holds no settings"),
        ("name: *nothing\n", r"line 1: not YAML \(found undefined alias"),
        ("name: !!python/object:os.system {}\n", "line 1: not YAML"),
        ("%PDF-1.4\n", "a PDF, no text"),
    ],
)
def test_what_holds_no_settings_is_an_input_error(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"a\.yaml: {reason}"):
        read_settings(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "model: {latent_dimm: 3}",
            r"no setting 'model.latent_dimm'; did you mean model.latent_dim\?",
        ),
        (
            "model.latent_dimm: 3",
            r"no setting 'model.latent_dimm'; did you mean model.latent_dim\?",
        ),
        ("latent_dim: 3", r"no setting 'latent_dim'; did you mean model.latent_dim\?"),
        ("modell: {latent_dim: 3}", r"no setting 'modell'; did you mean model\?"),
        (
            "objective: {beta: {max_betta: 3}}",
            r"no setting 'objective.beta.max_betta'; did you mean .*max_beta",
        ),
        (
            "A man sees: a boat",
            "no setting 'A man sees'; a preset or .*, and data by --data.source",
        ),
        ("1: a", "no setting '1'; a preset or"),
        ("resum: true", r"no setting 'resum'; did you mean resume\?"),
        ("model: 3", "model is 3; it takes settings by their names"),
        ("model:", "model is None; it takes settings by their names"),
    ],
)
def test_what_is_no_setting_is_named_with_the_file_and_the_nearest(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "my.yaml").write_text(f"name: a\n{text}\n", encoding="utf-8")
    for words in ([str(tmp_path / "my.yaml")], [f"--config={tmp_path / 'my.yaml'}"]):
        with pytest.raises(InputError, match=rf"my\.yaml: {reason}"):
            parse_config("train", words)


def test_other_flags_and_tokenizers_stand_in_a_file_too(tmp_path: Path) -> None:
    text = (
        "name: a\nruns: b\ndedupe: true\nmodel: {}\ndata: {tokenizer: {kind: text, max_steps: 9}}\n"
    )
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    config, others = parse_config("train", [str(tmp_path / "a.yaml")])
    assert (config.data.tokenizer["max_steps"], config.data.dedupe, others["runs"]) == (
        9,
        True,
        "b",
    )


def test_a_config_that_is_not_there_or_not_utf_8(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.yaml: no such config file"):
        read_settings(tmp_path / "b.yaml")
    (tmp_path / "a.yaml").write_bytes(b"name: a\n# caf\xe9\n")
    with pytest.raises(InputError, match=r"a\.yaml: line 2 is not UTF-8"):
        read_settings(tmp_path / "a.yaml")


@pytest.mark.parametrize("loggers", ["tb", "[tb]", "tensorboard"])
def test_loggers_are_told_by_their_names(loggers: str) -> None:
    message = "trainer.loggers is .*; it takes a list such as .tensorboard., of tensorboard, wandb"
    with pytest.raises(InputError, match=message):
        parse_config("train", ["text", f"--trainer.loggers={loggers}"])
