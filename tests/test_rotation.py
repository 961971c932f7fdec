from __future__ import annotations

import pytest

from api_keys_client.rotation import Undo, bears, temporary_mark, unmarked

NONCE = "0123456789ab"


@pytest.mark.parametrize("description", ["ci", "", "(temporary)", "a (temporary #xyz)", "🔑 [x] (y)", "a\nb", " "])
def test_a_mark_is_written_and_read_back(description: str) -> None:
    marked = temporary_mark(description, NONCE)
    assert marked.endswith("(temporary #0123456789ab)")
    assert unmarked(marked) == description
    assert bears(marked, NONCE)
    assert not bears(marked, "ba9876543210")
    assert not bears(marked + ".", NONCE)


def test_no_description() -> None:
    assert temporary_mark(None, NONCE) == "(temporary #0123456789ab)"
    assert unmarked(None) is None
    assert not bears(None, NONCE)


def test_an_undo_says_only_what_it_saw() -> None:
    undo = Undo(NONCE)
    assert str(undo).startswith("The keys could not be listed")
    undo.looked = True
    assert str(undo) == "No such key was seen; one may still appear, with #0123456789ab in its description."
    assert NONCE in undo.next_step
    undo.ended = ["one"]
    assert str(undo) == "Key one was made and has been deactivated."
    undo.alive = ["two"]
    assert str(undo) == "Key two was made and could not be deactivated."
