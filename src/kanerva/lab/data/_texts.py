"""Sentences to embed, which ship with the library."""

from importlib import resources

__all__ = ["sentences"]


def sentences() -> list[tuple[str, str]]:
    """Return English sentences of everyday and scientific life, 20 on each topic.

    About three pairs on each topic have nearly the same meaning in other words, so that nearest
    neighbours are meaningful. They were written for this library and are under its licence.

    Returns:
        (topic, sentence) pairs in the order of the file, topic after topic.

    Example:
        >>> from kanerva.lab import data
        >>> pairs = data.sentences()
        >>> len(pairs), len({topic for topic, _ in pairs}), pairs[40]
        (520, 26, ('astronomy', 'Venus is the brightest planet in our night sky.'))
    """
    text = resources.files("kanerva.lab.data").joinpath("sentences.txt").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in text.splitlines())
    return [(topic, sentence) for topic, sentence in pairs]
