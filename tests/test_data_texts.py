"""The sentences that ship with the library: their number, their topics and their form."""

import re
from collections import Counter
from pathlib import Path

import pytest

from kanerva.lab import data

FILE = Path(data.__file__).with_name("sentences.txt")


@pytest.fixture(scope="module")
def lines():
    """The lines of the file, with every line end kept as it is."""
    text = FILE.read_bytes().decode("ascii")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def test_every_line_is_a_topic_and_a_sentence(lines):
    assert len(lines) == 520
    wrong = [line for line in lines if not re.fullmatch(r"[a-z]+\t[!-~]+( [!-~]+)*", line)]
    assert not wrong, f"not 'topic<TAB>sentence' with single spaces: {wrong}"


def test_pairs_are_those_of_the_file_in_its_order(lines):
    pairs = data.sentences()
    assert [f"{topic}\t{sentence}" for topic, sentence in pairs] == lines
    assert all(type(pair) is tuple for pair in pairs)


def test_26_topics_have_20_sentences_each_side_by_side():
    topics = [topic for topic, _ in data.sentences()]
    assert sorted(Counter(topics).values()) == [20] * 26
    assert all(len(set(topics[i : i + 20])) == 1 for i in range(0, 520, 20))


def test_no_sentence_comes_twice():
    # Case, punctuation and spaces do not make a sentence another one.
    counted = Counter(
        " ".join(re.findall(r"\w+", sentence.lower())) for _, sentence in data.sentences()
    )
    assert not [sentence for sentence, times in counted.items() if times > 1]


def test_sentences_look_like_sentences():
    for _, sentence in data.sentences():
        assert sentence.isascii()
        assert 5 <= len(sentence.split()) <= 30, sentence
        assert sentence[-1] in ".?!", sentence
        assert sentence[0].isupper(), sentence
