"""The publications on entropic associative memories."""

from kanerva.lab.citations._source import Source

__all__ = ["ENTROPIC"]

ENTROPIC = {
    "pineda2021": Source(
        "article",
        "Pineda, Luis A. and Fuentes, Gibr{\\'a}n and Morales, Rafael",
        "An Entropic Associative Memory",
        2021,
        "Scientific Reports",
        {"volume": "11", "pages": "6948", "eprint": "2009.13058", "archiveprefix": "arXiv"},
    ),
    "morales2022": Source(
        "article",
        "Morales, Rafael and Hern{\\'a}ndez, No{\\'e} and Cruz, Ricardo and Cruz, Victor D. and "
        "Pineda, Luis A.",
        "Entropic Associative Memory for Manuscript Symbols",
        2022,
        "PLOS ONE",
        {"volume": "17", "number": "8", "pages": "e0272386"},
    ),
    "pineda2022": Source(
        "article",
        "Pineda, Luis A. and Morales, Rafael",
        "Weighted Entropic Associative Memory and Phonetic Learning",
        2022,
        "Scientific Reports",
        {"volume": "12", "pages": "16703"},
    ),
    "pineda2023": Source(
        "article",
        "Pineda, Luis A. and Morales, Rafael",
        "Imagery in the Entropic Associative Memory",
        2023,
        "Scientific Reports",
        {"volume": "13", "doi": "10.1038/s41598-023-36761-6"},
    ),
    "hernandez2024": Source(
        "misc",
        "Hernandez, Noe and Morales, Rafael and Pineda, Luis A.",
        "Entropic Associative Memory for Real World Images",
        2024,
        "",
        {"eprint": "2405.12500", "archiveprefix": "arXiv"},
    ),
    "morales2024": Source(
        "misc",
        "Morales, Rafael and Pineda, Luis A.",
        "Entropic Hetero-Associative Memory",
        2024,
        "",
        {"eprint": "2411.02438", "archiveprefix": "arXiv"},
    ),
}
