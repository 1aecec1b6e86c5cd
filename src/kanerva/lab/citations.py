"""The publications on which this library is based, and their BibTeX entries."""

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab._cited import MEMORIES
from kanerva.lab._entropic import ENTROPIC
from kanerva.lab._source import Source

__all__ = ["MEMORIES", "SOURCES", "Source", "bibtex", "is_bibtex", "short"]


VENUES = {
    "book": "publisher",
    "article": "journal",
    "inproceedings": "booktitle",
    "incollection": "booktitle",
    "phdthesis": "school",
}

SOURCES = {
    "kanerva1988": Source(
        "book",
        "Kanerva, Pentti",
        "Sparse Distributed Memory",
        1988,
        "MIT Press",
        {"address": "Cambridge, MA"},
    ),
    "kanerva1993": Source(
        "incollection",
        "Kanerva, Pentti",
        "Sparse Distributed Memory and Related Models",
        1993,
        "Associative Neural Memories: Theory and Implementation",
        {"editor": "Hassoun, Mohamad H.", "publisher": "Oxford University Press"},
    ),
    "jaeckel1989": Source(
        "misc",
        "Jaeckel, Louis A.",
        "An Alternative Design for a Sparse Distributed Memory",
        1989,
        "",
        {"howpublished": "RIACS Technical Report 89.28, NASA Ames Research Center"},
    ),
    "jaeckel1989b": Source(
        "misc",
        "Jaeckel, Louis A.",
        "A Class of Designs for a Sparse Distributed Memory",
        1989,
        "",
        {"howpublished": "RIACS Technical Report 89.30, NASA Ames Research Center"},
    ),
    "keeler1988": Source(
        "article",
        "Keeler, James D.",
        "Comparison Between Kanerva's SDM and Hopfield-Type Neural Networks",
        1988,
        "Cognitive Science",
        {"volume": "12", "number": "3", "pages": "299--329"},
    ),
    "chou1989": Source(
        "article",
        "Chou, Philip A.",
        "The Capacity of the Kanerva Associative Memory",
        1989,
        "IEEE Transactions on Information Theory",
        {"volume": "35", "number": "2", "pages": "281--298"},
    ),
    "bricken2021": Source(
        "inproceedings",
        "Bricken, Trenton and Pehlevan, Cengiz",
        "Attention Approximates Sparse Distributed Memory",
        2021,
        "Advances in Neural Information Processing Systems",
        {"volume": "34", "eprint": "2111.05498", "archiveprefix": "arXiv"},
    ),
    "miyashita1988": Source(
        "article",
        "Miyashita, Yasushi",
        "Neuronal Correlate of Visual Associative Long-Term Memory in the Primate Temporal Cortex",
        1988,
        "Nature",
        {"volume": "335", "pages": "817--820"},
    ),
    "haga2019": Source(
        "article",
        "Haga, Tatsuya and Fukai, Tomoki",
        "Extended Temporal Association Memory by Modulations of Inhibitory Circuits",
        2019,
        "Physical Review Letters",
        {"volume": "123", "pages": "078101", "eprint": "1809.05254", "archiveprefix": "arXiv"},
    ),
    "henry2020": Source(
        "inproceedings",
        "Henry, Alex and Dachapally, Prudhvi Raj and Pawar, Shubham Shantaram and Chen, Yuxuan",
        "Query-Key Normalization for Transformers",
        2020,
        "Findings of the Association for Computational Linguistics: EMNLP 2020",
        {"eprint": "2010.04245", "archiveprefix": "arXiv"},
    ),
    "vaswani2017": Source(
        "inproceedings",
        "Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and "
        "Jones, Llion and Gomez, Aidan N. and Kaiser, Lukasz and Polosukhin, Illia",
        "Attention Is All You Need",
        2017,
        "Advances in Neural Information Processing Systems",
        {"volume": "30", "eprint": "1706.03762", "archiveprefix": "arXiv"},
    ),
    "hopfield1982": Source(
        "article",
        "Hopfield, John J.",
        "Neural Networks and Physical Systems with Emergent Collective Computational Abilities",
        1982,
        "Proceedings of the National Academy of Sciences",
        {"volume": "79", "number": "8", "pages": "2554--2558"},
    ),
    "charikar2002": Source(
        "inproceedings",
        "Charikar, Moses S.",
        "Similarity Estimation Techniques from Rounding Algorithms",
        2002,
        "Proceedings of the 34th Annual ACM Symposium on Theory of Computing",
        {"pages": "380--388"},
    ),
    "willshaw1969": Source(
        "article",
        "Willshaw, David J. and Buneman, O. Peter and Longuet-Higgins, H. Christopher",
        "Non-Holographic Associative Memory",
        1969,
        "Nature",
        {"volume": "222", "pages": "960--962"},
    ),
    "tsodyks1988": Source(
        "article",
        "Tsodyks, Misha V. and Feigel'man, Mikhail V.",
        "The Enhanced Storage Capacity in Neural Networks with Low Activity Level",
        1988,
        "Europhysics Letters",
        {"volume": "6", "number": "2", "pages": "101--105"},
    ),
    "krotov2016": Source(
        "inproceedings",
        "Krotov, Dmitry and Hopfield, John J.",
        "Dense Associative Memory for Pattern Recognition",
        2016,
        "Advances in Neural Information Processing Systems",
        {"volume": "29", "eprint": "1606.01164", "archiveprefix": "arXiv"},
    ),
    "demircigil2017": Source(
        "article",
        'Demircigil, Mete and Heusel, Judith and L{\\"o}we, Matthias and Upgang, Sven and '
        "Vermet, Franck",
        "On a Model of Associative Memory with Huge Storage Capacity",
        2017,
        "Journal of Statistical Physics",
        {"volume": "168", "pages": "288--299", "eprint": "1702.01929", "archiveprefix": "arXiv"},
    ),
    "ramsauer2021": Source(
        "inproceedings",
        'Ramsauer, Hubert and Sch{\\"a}fl, Bernhard and Lehner, Johannes and Seidl, Philipp and '
        "Widrich, Michael and others",
        "Hopfield Networks is All You Need",
        2021,
        "International Conference on Learning Representations",
        {"eprint": "2008.02217", "archiveprefix": "arXiv"},
    ),
    "hu2023": Source(
        "inproceedings",
        "Hu, Jerry Yao-Chieh and Yang, Donglin and Wu, Dennis and Xu, Chenwei and Chen, Bo-Yu and "
        "Liu, Han",
        "On Sparse Modern Hopfield Model",
        2023,
        "Advances in Neural Information Processing Systems",
        {"volume": "36", "eprint": "2309.12673", "archiveprefix": "arXiv"},
    ),
    "santos2024": Source(
        "inproceedings",
        "Santos, Saul and Niculae, Vlad and McNamee, Daniel and Martins, Andr{\\'e} F. T.",
        "Sparse and Structured Hopfield Networks",
        2024,
        "International Conference on Machine Learning",
        {"eprint": "2402.13725", "archiveprefix": "arXiv"},
    ),
    "griniasty1993": Source(
        "article",
        "Griniasty, Meir and Tsodyks, Misha V. and Amit, Daniel J.",
        "Conversion of Temporal Correlations Between Stimuli to Spatial Correlations Between "
        "Attractors",
        1993,
        "Neural Computation",
        {"volume": "5", "number": "1", "pages": "1--17"},
    ),
    "chaudhry2023": Source(
        "inproceedings",
        "Chaudhry, Hamza Tahir and Zavatone-Veth, Jacob A. and Krotov, Dmitry and Pehlevan, Cengiz",
        "Long Sequence Hopfield Memory",
        2023,
        "Advances in Neural Information Processing Systems",
        {"volume": "36", "eprint": "2306.04532", "archiveprefix": "arXiv"},
    ),
    "xiao2024": Source(
        "inproceedings",
        "Xiao, Guangxuan and Tian, Yuandong and Chen, Beidi and Han, Song and Lewis, Mike",
        "Efficient Streaming Language Models with Attention Sinks",
        2024,
        "International Conference on Learning Representations",
        {"eprint": "2309.17453", "archiveprefix": "arXiv"},
    ),
    "burns2024": Source(
        "inproceedings",
        "Burns, Thomas F.",
        "Semantically-Correlated Memories in a Dense Associative Model",
        2024,
        "International Conference on Machine Learning",
        {
            "series": "Proceedings of Machine Learning Research",
            "volume": "235",
            "eprint": "2404.07123",
            "archiveprefix": "arXiv",
        },
    ),
    "schaeffer2024": Source(
        "misc",
        "Schaeffer, Rylan and Zahedi, Nika and Khona, Mikail and Pai, Dhruv and Truong, Sang "
        "and Du, Yilun and Ostrow, Mitchell and Chandra, Sarthak and Carranza, Andres "
        "and Fiete, Ila Rani and Gromov, Andrey and Koyejo, Sanmi",
        "Bridging Associative Memory and Probabilistic Modeling",
        2024,
        "",
        {"eprint": "2402.10202", "archiveprefix": "arXiv"},
    ),
    "hoover2023diffusion": Source(
        "misc",
        "Hoover, Benjamin and Strobelt, Hendrik and Krotov, Dmitry and Hoffman, Judy and "
        "Kira, Zsolt and Chau, Duen Horng",
        "Memory in Plain Sight: Surveying the Uncanny Resemblances of Associative Memories and "
        "Diffusion Models",
        2023,
        "",
        {"eprint": "2309.16750", "archiveprefix": "arXiv"},
    ),
    "ambrogioni2023": Source(
        "misc",
        "Ambrogioni, Luca",
        "In Search of Dispersed Memories: Generative Diffusion Models Are Associative Memory "
        "Networks",
        2023,
        "",
        {"eprint": "2309.17290", "archiveprefix": "arXiv"},
    ),
    "pham2025": Source(
        "misc",
        "Pham, Bao and Raya, Gabriel and Negri, Matteo and Zaki, Mohammed J. and "
        "Ambrogioni, Luca and Krotov, Dmitry",
        "Memorization to Generalization: Emergence of Diffusion Models from Associative Memory",
        2025,
        "",
        {"eprint": "2505.21777", "archiveprefix": "arXiv"},
    ),
    "openai2025": Source(
        "misc",
        "OpenAI",
        "gpt-oss-120b \\& gpt-oss-20b Model Card",
        2025,
        "",
        {"eprint": "2508.10925", "archiveprefix": "arXiv"},
    ),
    **ENTROPIC,
}


@door
def bibtex(key: str) -> str:
    """Write a publication as a BibTeX entry.

    Args:
        key: of ``SOURCES``, or a BibTeX entry as text, which is returned as it is.

    Returns:
        the entry, one field a line.

    Raises:
        InputError: the key is unknown.

    Example:
        >>> from kanerva.lab.citations import bibtex
        >>> print(bibtex("kanerva1988"))
        @book{kanerva1988,
          author = {Kanerva, Pentti},
          title = {{Sparse Distributed Memory}},
          year = {1988},
          publisher = {MIT Press},
          address = {Cambridge, MA},
        }
    """
    if is_bibtex(key):
        return key.strip()
    source = SOURCES[checks.choice("key", key, tuple(SOURCES))]
    fields = {"author": source.authors, "title": f"{{{source.title}}}", "year": str(source.year)}
    if source.where:
        fields[VENUES[source.kind]] = source.where
    lines = [f"  {name} = {{{value}}}," for name, value in (fields | source.more).items()]
    return "\n".join([f"@{source.kind}{{{key},", *lines, "}"])


def is_bibtex(source: object) -> bool:
    """Return whether a source is given as the text of a BibTeX entry, rather than by its key.

    Example:
        >>> from kanerva.lab.citations import is_bibtex
        >>> is_bibtex("hopfield1982")
        False
    """
    return isinstance(source, str) and source.lstrip().startswith("@")


@door
def short(source: str) -> str:
    """Name a source in running text.

    Args:
        source: a key of ``SOURCES``, or a BibTeX entry as text, which is named by its own key.

    Example:
        >>> from kanerva.lab.citations import short
        >>> short("hopfield1982"), short("@misc{mine2026, title = {Mine}}")
        ('Hopfield 1982', 'mine2026')
    """
    if is_bibtex(source):
        return source.partition("{")[2].partition(",")[0].strip()
    return SOURCES[checks.choice("source", source, tuple(SOURCES))].short()
