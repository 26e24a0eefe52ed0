"""Answers kept in the call's row move out when they grow, and are found wherever they are."""

from gettone.operations.ports import StoredAnswer
from gettone.storage.answers import RECENT_BYTES_MAX, Answers

CALL = ("acme", "c1")


def test_an_answer_is_found_again_by_its_request_number() -> None:
    """Among several of the same call, and none of another."""
    answers = Answers()
    given = {(*CALL, 0): StoredAnswer(7, b'["granted",300]'), (*CALL, 3): StoredAnswer(8, b'["settled"]')}

    assert answers.add(given) == []
    assert answers.find([(*CALL, 0), (*CALL, 1), (*CALL, 3), ("acme", "c2", 0)]) == given


def test_many_answers_of_one_call_all_move_out_and_none_is_lost() -> None:
    """What the row no longer holds has been handed over as rows, each once."""
    answers = Answers()
    body = b'["granted","a text of some length",300]'
    moved: list[tuple[object, ...]] = []
    for number in range(500):
        moved += answers.add({(*CALL, number): StoredAnswer(number, body)})

    kept = answers.find((*CALL, number) for number in range(500))
    assert len(answers.recent(CALL)) <= RECENT_BYTES_MAX + 200
    assert sorted([row[2] for row in moved] + [key[2] for key in kept]) == list(range(500))
    assert all(row[:2] == CALL and row[3:] == (row[2], body) for row in moved)
