"""Templates, and what is inlined in them."""

import base64
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqvae.pages import page
from seqvae.pages.page import fill, plain


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small template with its files."""
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    (tmp_path / "a.html").write_text(
        '<meta content="script-src {{script hashes}}"><style>{{a.css}}</style>'
        '<script id="data">{{data}}</script><script>{{a.js}}</script><script>\n{{b.js}}</script>'
    )
    (tmp_path / "a.css").write_text("p { color: red }")
    (tmp_path / "a.js").write_text("const one = 1;")
    (tmp_path / "b.js").write_text("const two = 2;")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_files_and_data_are_inlined_and_each_script_is_allowed_by_its_hash() -> None:
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in (b"const one = 1;", b"\nconst two = 2;")
    ]
    assert fill("a.html", {"x": [1, None]}) == (
        f'<meta content="script-src {" ".join(hashes)}"><style>p {{ color: red }}</style>'
        '<script id="data">{"x":[1,null]}</script><script>const one = 1;</script>'
        "<script>\nconst two = 2;</script>"
    )


@pytest.mark.usefixtures("folder")
def test_no_text_of_the_data_becomes_markup_or_a_slot() -> None:
    text = "</script><b>&amp; {{a.js}} {{data}} {{script hashes}} \N{MUSICAL SYMBOL G CLEF}"
    filled = fill("a.html", {"text": text})
    assert filled.count("</script>") == 3
    assert "<b>" not in filled
    assert "&" not in filled
    assert filled.count("const one = 1;") == 1
    assert filled.count("{{data}}") == filled.count("{{script hashes}}") == 1  # those of the text
    assert "\N{MUSICAL SYMBOL G CLEF}" in filled


@pytest.mark.usefixtures("folder")
def test_json_knows_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        fill("a.html", {"x": math.nan})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (3, 3),
        (2 / 3, 0.66667),
        (math.nan, None),
        (math.inf, None),
        (123456.7, 123460.0),
        (torch.tensor([[1.0, math.nan]]), [[1.0, None]]),
        (np.array([1, 2]), [1, 2]),
        ((x / 3 for x in (1, 2)), [0.33333, 0.66667]),
    ],
)
def test_numbers_are_rounded_and_what_is_not_finite_is_none(values: Any, expected: Any) -> None:
    assert plain(values) == expected


def test_every_template_names_files_that_exist_and_loads_nothing() -> None:
    templates = sorted(page.FOLDER.glob("*.html"))
    assert templates
    for template in templates:
        text = template.read_text()
        slots = re.findall(r"\{\{(.+?)\}\}", text)
        assert {"data", "script hashes", "page.css"} <= {*slots}
        assert all((page.FOLDER / name).is_file() for name in slots if "." in name)
        assert "default-src 'none'" in text
        assert not re.search(r"(src|href)=(?!\"data:)", text)


def test_no_script_would_end_its_element_or_fill_a_slot() -> None:
    for file in [*page.FOLDER.glob("*.js"), *page.FOLDER.glob("*.css")]:
        assert not re.search(r"</|<!--|\{\{", file.read_text()), file.name
