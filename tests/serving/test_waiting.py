"""Who waits for what."""

from seqvae.serving.waiting import Waiting


def test_a_visitor_ends_what_is_his_alone() -> None:
    waiting = Waiting()
    with waiting.request_of("me") as mine, waiting.request_of("me") as second:
        with waiting.request_of("another") as other:
            assert waiting.cancel("me") == 2
            assert mine.is_set()
            assert second.is_set()
            assert not other.is_set()
        assert waiting.cancel("another") == 0
    assert waiting.cancel("me") == 0
