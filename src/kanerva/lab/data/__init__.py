"""Data for the memories: named sets, your own files, damaged cues, and sentences to embed.

``load`` returns a set as -1/+1 bits and as real numbers, so that all memories store the same
patterns; ``DataSet.of`` does the same with an array. ``damage`` damages a copy of the patterns.
``sentences`` are texts for language models. ``SETS`` and ``DOWNLOADED`` list the named sets,
``KINDS`` the kinds of damage. Nothing is unpickled, and only the sets of ``DOWNLOADED`` are
downloaded, once, when they are first loaded.
"""

import lazy_loader

# The names are listed in __init__.pyi; each is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
