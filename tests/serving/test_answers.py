"""What is shown of results."""

from seqvae.inference.surprise import Part
from seqvae.inference.trained import Score
from seqvae.serving.answers import spans, surprises

PARTS = (
    Part("A", 1.0, is_odd=False), Part(" <b>", 4.0, is_odd=True), Part("ig", 2.0, is_odd=True),
    Part(" ", 0.04, is_odd=False),
)  # fmt: skip


def test_tokens_have_their_nats_above_them_and_the_oddest_span_is_marked() -> None:
    assert spans(PARTS, apart=False) == (
        '<ruby style="--odd: 25%">A<rt>1.0</rt></ruby>'
        '<mark> <ruby style="--odd: 100%">&lt;b&gt;<rt>4.0</rt></ruby>'
        '<ruby style="--odd: 50%">ig<rt>2.0</rt></ruby></mark>'
        ' <ruby style="--odd: 1%">&blank;<rt>0.0</rt></ruby>'
    )
    assert spans(PARTS, apart=True).count(" <ruby") == 4


def test_an_input_that_cannot_be_read_has_no_tokens() -> None:
    ranked = [(Score(1.0, 2.0, PARTS), "A <b>ig"), (Score(float("inf"), float("inf")), "b.mid")]
    told = surprises(ranked, apart=False)
    assert told.count("<section") == 1
    assert "<h3>A &lt;b&gt;ig</h3>" in told
