"""A file of questions: what is taken, and that everything wrong with it is told at once."""

import json
from pathlib import Path

import pytest

from ragstone.api.schemas.query import MAX_QUESTION as MOST_OF_THE_API
from ragstone.evaluation import questions
from ragstone.evaluation.questions import MAX_LINE_BYTES, MAX_NAMED, BadQuestions, Question, read_questions


def file_of(folder: Path, *lines: bytes | str) -> Path:
    path = folder / "questions.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def told(path: Path) -> str:
    with pytest.raises(BadQuestions) as caught:
        read_questions(path)
    return str(caught.value)


class TestGoodFiles:
    def test_every_member_is_read_and_one_value_is_a_list_of_one(self, tmp_path: Path) -> None:
        line = {
            "question": "How long?",
            "id": "q1",
            "document": ["a.md", "b.md", "a.md"],
            "passage": "two  days",
            "answer": "2 days",
            "filter": {"field": "title", "eq": "A"},
        }

        assert read_questions(file_of(tmp_path, json.dumps(line))) == [
            Question(
                text="How long?",
                id="q1",
                documents=("a.md", "b.md"),
                passages=("two  days",),
                answers=("2 days",),
                is_answerable=True,
                filter={"field": "title", "eq": "A"},
            )
        ]

    def test_blank_lines_line_ends_of_windows_and_a_byte_order_mark_are_skipped(self, tmp_path: Path) -> None:
        path = file_of(
            tmp_path, b'\xef\xbb\xbf{"question": "Ein Stra\xc3\x9fe?"}\r', b"  \r", b'{"question": "b"}'
        )

        assert [question.text for question in read_questions(path)] == ["Ein Straße?", "b"]

    def test_without_an_expectation_nothing_says_whether_it_is_answerable(self, tmp_path: Path) -> None:
        path = file_of(
            tmp_path,
            '{"question": "a"}',
            '{"question": "b", "unanswerable": true}',
            '{"question": "c", "unanswerable": false}',
        )

        assert [question.is_answerable for question in read_questions(path)] == [None, False, True]

    def test_the_same_question_twice_needs_ids(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, '{"question": "a", "id": "1"}', '{"question": "a", "id": "2"}')

        assert [question.key for question in read_questions(path)] == ["1", "2"]

    def test_a_question_is_as_long_as_the_api_takes(self) -> None:
        assert questions.MAX_QUESTION == MOST_OF_THE_API


class TestWrongLines:
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("{", "not JSON: "),
            ('{"question": "a", "weight": NaN}', "NaN is not JSON"),
            ('{"question": "a", "question": "b"}', 'member "question" is there twice'),
            ('{"question": "a", "filter": {"x": 1, "x": 2}}', 'member "x" is there twice'),
            (r'{"question": "\ud800"}', "lone surrogate"),
            (r'{"question": "a", "filter": {"\udc00": 1}}', "lone surrogate"),
            (b'{"question": "\xff"}', "not UTF-8 at byte 15"),
            ('{"question": "a", "awnser": "b"}', 'unknown member "awnser"; known: question, id, '),
            ('{"id": "a"}', "member 'question' is missing"),
            ('{"question": null}', "member 'question' is missing"),
            ('{"question": " \\n"}', "question is blank"),
            ('{"question": 5}', "question is not text but 5"),
            ('{"question": "a", "id": ["x"]}', 'id is not text but ["x"]'),
            ('{"question": "a", "document": {}}', "document is not text but {}"),
            ('{"question": "a", "document": []}', "document has 0 values"),
            ('{"question": "a", "answer": ["b", 1]}', "answer is not text but 1"),
            ('{"question": "a", "answer": "The…?!"}', None),
            ('{"question": "a", "answer": "the !"}', "has no word to look for"),
            ('{"question": "a", "unanswerable": 1}', "unanswerable is not true or false but 1"),
            ('{"question": "a", "unanswerable": true, "answer": "b"}', "it is unanswerable and has 'answer'"),
            ('{"question": "a", "filter": []}', "filter is not an object but []"),
            ("[]", "a JSON object is expected"),
            ("1" * 5_000, "not JSON: "),
            ("[" * 100_000, "nested too deep"),
            (json.dumps({"question": "a" * 8_001}), "question has 8,001 characters; at most 8,000"),
            ('{"question": "' + "a" * 1_000_000 + '"}', f"longer than {MAX_LINE_BYTES:,} bytes"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_it_is_named_with_its_number_and_reason(
        self, tmp_path: Path, line: bytes | str, why: str | None
    ) -> None:
        path = file_of(tmp_path, '{"question": "fine"}', "", line, '{"question": "fine as well"}')

        if why is None:
            assert len(read_questions(path)) == 3
            return
        message = told(path)
        assert message.startswith(f"{path}: 1 line is wrong\n  line 3: ")
        assert why in message
        assert len(message) < 500

    def test_all_of_them_are_told_in_one_message(self, tmp_path: Path) -> None:
        message = told(file_of(tmp_path, "{", '{"question": "a"}', "[]", '{"question": "a"}'))

        assert "3 lines are wrong" in message
        assert "line 1: " in message
        assert "line 3: " in message
        assert "line 4: the same question as in line 2; give each an id" in message

    def test_of_very_many_the_first_are_told_and_the_rest_counted(self, tmp_path: Path) -> None:
        message = told(file_of(tmp_path, *["{"] * 50))

        assert message.count("\n  line ") == MAX_NAMED
        assert message.endswith(f"and {50 - MAX_NAMED} more")

    def test_a_file_of_something_else_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        assert "at least 1,000 lines are wrong" in told(file_of(tmp_path, *["\0"] * 5_000))

    def test_the_same_id_twice(self, tmp_path: Path) -> None:
        path = file_of(tmp_path, '{"question": "a", "id": "1"}', '{"question": "b", "id": "1"}')

        assert 'line 2: the same id as in line 1: "1"' in told(path)

    def test_more_questions_than_a_run_may_have(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(questions, "MAX_QUESTIONS", 2)

        assert "more than 2 questions" in told(
            file_of(tmp_path, *(f'{{"question": "{n}"}}' for n in range(3)))
        )


class TestNoFile:
    def test_an_empty_one(self, tmp_path: Path) -> None:
        assert told(file_of(tmp_path, "", "\n")).endswith("holds no question")

    def test_a_missing_one(self, tmp_path: Path) -> None:
        assert told(tmp_path / "none").endswith("cannot be read: No such file or directory")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert told(tmp_path).endswith("cannot be read: Is a directory")
