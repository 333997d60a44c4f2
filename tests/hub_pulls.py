"""Pull requests on the stand-in Hub."""

import re
from collections.abc import Iterable
from typing import Final

from hub_state import DATASET, State
from hub_store import DEFAULT_BRANCH, Pull, Refused, Repository
from hub_wire import Call, Reply, Route, json_reply

CREATED: Final = "2026-01-01T00:00:00.000Z"


class Pulls:
    """The routes of discussions, of which only pull requests are kept."""

    def __init__(self, state: State) -> None:
        self.state = state

    def routes(self) -> Iterable[Route]:
        pulls = f"{DATASET}/discussions"
        yield Route("GET", re.compile(pulls), self.list_all)
        yield Route("POST", re.compile(pulls), self.open)
        yield Route("GET", re.compile(rf"{pulls}/(\d+)"), self.details)
        yield Route("POST", re.compile(rf"{pulls}/(\d+)/merge"), self.merge)

    def list_all(self, call: Call, name: str) -> Reply:
        repository = self.state.readable(call, name)
        found = [_summary(repository, pull) for pull in repository.pulls.values()]
        return json_reply({"discussions": found, "count": len(found), "start": 0})

    def open(self, call: Call, name: str) -> Reply:
        call.query["create_pr"] = "1"
        repository, account = self.state.writable(call, name), self.state.account(call)
        if not call.json().get("pullRequest"):
            raise Refused(400, "discussions are not kept")
        author = account.name if account else ""
        pull = repository.open_pull(call.json()["title"], author, DEFAULT_BRANCH)
        return json_reply({"num": pull.number})

    def details(self, call: Call, name: str, number: str) -> Reply:
        repository = self.state.readable(call, name)
        pull = self._find(repository, number)
        rest = {"changes": {"base": "refs/heads/main"}, "filesWithConflicts": [], "events": []}
        return json_reply(_summary(repository, pull) | rest)

    def merge(self, call: Call, name: str, number: str) -> Reply:
        repository = self.state.writable(call, name)
        pull = self._find(repository, number)
        if pull.status != "open":
            raise Refused(400, "This pull request is not open")
        head = repository.at(pull.ref)
        main = repository.at(DEFAULT_BRANCH)
        if main not in repository.history(head.id):
            raise Refused(409, "This branch has conflicts that must be resolved")
        texts = (f"{pull.title} (#{number})", "", pull.author)
        repository.add_commit(DEFAULT_BRANCH, head.files, *texts)
        pull.status = "merged"
        about = {"id": f"{number}-merged", "createdAt": CREATED, "author": {"name": pull.author}}
        change = {"type": "status-change", "data": {"status": pull.status}}
        return json_reply({"newStatus": about | change})

    def _find(self, repository: Repository, number: str) -> Pull:
        if pull := repository.pulls.get(int(number)):
            return pull
        raise Refused(404, "Discussion not found")


def _summary(repository: Repository, pull: Pull) -> dict[str, object]:
    return {
        "num": pull.number,
        "title": pull.title,
        "status": pull.status,
        "isPullRequest": True,
        "author": {"name": pull.author},
        "repo": {"name": repository.id, "type": "dataset"},
        "createdAt": CREATED,
    }
