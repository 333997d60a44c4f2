"""The commands that describe and publish datasets: `sousa card`, `sousa push`, `sousa info`."""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Final

from sousa.cards import card, contents, info, push
from sousa.cards.rights import require_rights
from sousa.cards.target import MESSAGE, Target, check_names, read_token
from sousa.cards.transfer import Transfer


def _add_card(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=_folder, metavar="OUT", help="a dataset's folder")
    parser.add_argument(
        "--repo", default=card.PLACE, metavar="org/name", help="the dataset's name on the Hub"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a README.md not ours")


def _card(options: argparse.Namespace) -> int:
    try:
        check_names(options.repo, "main")
    except ValueError as error:
        raise argparse.ArgumentError(None, str(error)) from error
    written = card.write(options.out, place=options.repo, overwrite=options.overwrite)
    for name in written.homeless:
        sys.stdout.write(f"the page has no place for prose {name!r} any more: it is at its end\n")
    return 0


def _add_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=_folder, metavar="OUT", help="a dataset's folder")
    parser.add_argument("repo", metavar="org/name", help="the dataset's name on the Hub")
    parser.add_argument("--configs", type=_names, metavar="A,B", help="only these configs")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", default="main", metavar="R", help="branch, made if new")
    parser.add_argument("--create-pr", action="store_true", help="open a pull request instead")
    parser.add_argument("--tag", metavar="T", help="name for the commit, once it is verified")
    parser.add_argument("--message", metavar="M", help="of the commit")
    parser.add_argument("--prune", action="store_true", help="remove files of older layouts")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--force", action="store_true", help="push in spite of what is wrong")
    _add_token(parser)


def _push(options: argparse.Namespace) -> int:
    target = _target(options)
    configs = contents.chosen_in(options.out, options.configs)
    require_rights(target)
    found = contents.prepare(
        options.out,
        target.repo,
        configs=configs,
        check=options.faults,
        bar=partial(Transfer, verb="read"),
    )
    if not options.force:
        contents.refuse(found, str(options.out), ADVICE)
    plan = push.compare(found, target, prune=options.prune, force=options.force)
    sys.stdout.writelines(f"{line}\n" for line in plan.lines())
    if options.dry_run:
        return 0
    sys.stdout.flush()
    with Transfer(plan.difference.send_bytes) as progress:
        pushed = push.carry_out(plan, progress)
    sys.stdout.write(f"{pushed}\n")
    return 0


def _target(options: argparse.Namespace) -> Target:
    names = {"repo": options.repo, "revision": options.revision, "tag": options.tag}
    try:
        check_names(**names)
    except ValueError as error:
        raise argparse.ArgumentError(None, str(error)) from error
    return Target(
        **names,
        private=options.private,
        create_pr=options.create_pr,
        message=options.message or MESSAGE,
        token=read_token(options.token_file),
    )


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--token-file", type=Path, metavar="F", help="holds the Hub's token (default: HF_TOKEN)"
    )
    parser.add_argument("--token", type=_refuse_token, help=argparse.SUPPRESS)


def _refuse_token(_: str) -> str:
    """Refuse a token where others can see it, without showing it once more."""
    raise argparse.ArgumentTypeError("put the token in a file, and give --token-file")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"names are needed, such as audio,midi_only; got {text!r}")
    return names


def _source(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a folder or a Hub id is needed, got ''")
    return text


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name of a folder is needed, got ''")
    return Path(text)


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=_source, metavar="OUT|org/name", help="a folder, or a Hub id"
    )
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit on the Hub")
    _add_token(parser)


def _info(options: argparse.Namespace) -> int:
    token = read_token(options.token_file) if options.token_file else None
    text = info.describe(options.source, revision=options.revision, token=token)
    sys.stdout.write(text)
    return 0


ADVICE: Final = "`sousa validate` tells more, --force pushes it all the same"
"""For who would push a dataset with faults."""

OPTIONS: Final = {"card": _add_card, "push": _add_push, "info": _add_info}
RUN: Final = {"card": _card, "push": _push, "info": _info}
