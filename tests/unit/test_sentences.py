import pytest

from ragstone.core.sentences import sentence_spans

WRAPPED = (
    "This paragraph was wrapped by an editor at some seventy characters, as mail\n"
    "and source files are, so its line breaks say nothing. It has two sentences.\n"
)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "text",
    [
        "The first sentence ends. | The second one follows! | Does the third do so? | Yes, it really does…",
        "He said “it is done.” | Then he left (at last.) | That was all.",
        "See e.g. the manual, i.e. its index. | Dr. Smith and Mr. J. R. Jones agree.",
        "A. Lincoln was the president then. | J. Doe was not.",
        "It costs 3.50 in v1.2.3 at www.example.org today. | Nothing else does.",
        "See No. 5 and Fig. 3 on p. 12 of it. | He told her no. | They went home.",
        "The U.S. Army left the U.S. | The end was near at 5 p.m. | Nobody saw it.",
        "Acme Inc. sells things. | They bought Acme Inc. | The price was high.",
        "It was first found here.[10] | Others deny it.[11][b] | See also the notes.",
        "Install the package first. | 2. Run the program then.",
        "... and then nothing happened ... at all. | What a day?! | Nobody had expected it.",
        "all in lower case here. | and another sentence there. | is that one too?",
        "这是第一个句子。|第二个句子在这里！|第三个呢？|最后一个句子。",
        "「これは引用です。」|次の文です。",
        "यह पहला वाक्य है। | यह दूसरा वाक्य है।",
        "هل هذا سؤال بالعربية؟ | نعم هذا جواب.",
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str) -> None:
    expected = [part.strip() for part in text.split("|")]
    assert sentences(text.replace(" | ", " ").replace("|", "")) == expected


def test_line_break_of_a_wrapped_paragraph_ends_nothing() -> None:
    assert [part.replace("\n", " ") for part in sentences(WRAPPED)] == [
        "This paragraph was wrapped by an editor at some seventy characters, as mail and source files are, so its line"
        " breaks say nothing.",
        "It has two sentences.",
    ]


def test_line_break_of_short_lines_ends_a_sentence() -> None:
    assert sentences("Roses are red\nViolets are blue\nSugar is sweet") == [
        "Roses are red",
        "Violets are blue",
        "Sugar is sweet",
    ]


def test_items_are_sentences_without_their_marks() -> None:
    text = f"{WRAPPED}- the first item of it\n* the second item of it\n3) the third item of it\n"
    assert sentences(text)[2:] == ["the first item of it", "the second item of it", "the third item of it"]


def test_fragments_are_joined_to_the_next_sentence_and_the_last_one_to_the_one_before() -> None:
    assert sentences("Yes. It is as I said before. Did you not hear? Ok.") == [
        "Yes. It is as I said before.",
        "Did you not hear? Ok.",
    ]


def test_part_of_a_text_keeps_its_offsets() -> None:
    text = "Not this one. But this one here. Not that one."
    assert [text[start:end] for start, end in sentence_spans(text, 14, 32)] == ["But this one here."]


@pytest.mark.parametrize("text", ["", " ", "\n\n \t", "\u3000"])
def test_blank_text_has_no_sentences(text: str) -> None:
    assert sentences(text) == []


@pytest.mark.parametrize("text", [".", "...", "a", "-", '"', "。"])
def test_all_that_is_visible_belongs_to_a_sentence(text: str) -> None:
    assert sentences(text) == [text]
