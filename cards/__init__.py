"""Describe a dataset and publish it.

In reading order, to a card: `label_facts` and `facts` (what the shards hold), `samples` (clips to
hear), `markdown`, `tables`, `figures`, `page` and `template.md` (what people read), `front_matter`
(what the Hub reads), `croissant` (what other machines read), `prose` (what people wrote), `card`
(all of it); `rules` judges the outcome before it is sent.

To the Hub: `listing` and `contents` (what there is to send), `remote` (what the Hub has), `edits`
(what people wrote there), `difference`, `transfer` and `upload`, `verify`, `failures` (what went
wrong, in a line), `push` (all of it in order); `prepared` and `splits` do the same with splits that
a user prepared.

`info` tells a folder or a Hub id in one screen. `commands` is the command line.
"""

from typing import Any

__all__ = ["push_splits"]


def __getattr__(name: str) -> Any:
    """Import what pushes splits when it is asked for: describing a folder does not need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sousa.cards import splits

    return getattr(splits, name)
