"""The run-time type checker of the typed run: beartype, taking an int for a float as Python's own type rules do."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
