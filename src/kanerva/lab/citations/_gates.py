"""The publications on gates that the blocks of a network share."""

from kanerva.lab.citations._source import Source

__all__ = ["GATES"]

GATES = {
    "huang2020": Source(
        "inproceedings",
        "Huang, Zhongzhan and Liang, Senwei and Liang, Mingfu and Yang, Haizhao",
        "DIANet: Dense-and-Implicit Attention Network",
        2020,
        "Proceedings of the AAAI Conference on Artificial Intelligence",
        {"eprint": "1905.10671", "archiveprefix": "arXiv"},
    ),
    "huang2024": Source(
        "misc",
        "Huang, Zhongzhan and Liang, Senwei and Liang, Mingfu and Lin, Liang",
        "A Generic Shared Attention Mechanism for Various Backbone Neural Networks",
        2024,
        "",
        {"eprint": "2210.16101", "archiveprefix": "arXiv"},
    ),
}
