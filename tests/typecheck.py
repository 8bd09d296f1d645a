"""How shapes and types are checked in the tests: beartype, with int accepted where float is."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
