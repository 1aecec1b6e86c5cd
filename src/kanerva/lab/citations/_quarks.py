"""The publication on gates, and on how many functions gated units compute."""

from kanerva.lab.citations._source import Source

__all__ = ["QUARKS"]

QUARKS = {
    "baldi2022": Source(
        "misc",
        "Baldi, Pierre and Vershynin, Roman",
        "The Quarks of Attention",
        2022,
        "",
        {"eprint": "2202.08371", "archiveprefix": "arXiv"},
    ),
}
