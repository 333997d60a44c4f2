"""A push is complete and proved to be so, or says in one line why not."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import damage
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset
from hub import Hub
from hub_client import PLAIN_UPLOADS_WARN
from hub_faults import QUOTA, Fault
from huggingface_hub import snapshot_download
from pushing import REPO, killed, push, sent, small, stored

from sousa.builders import cli
from sousa.cards import upload
from sousa.cards.contents import prepare
from sousa.cards.failures import HubError
from sousa.cards.listing import files_in, measured
from sousa.cards.push import carry_out, compare
from sousa.cards.target import Target

pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN


def change_labels(folder: Path, score: float = 1.25) -> None:
    """Make one label in one config another, as a new version of the labels would."""
    path = damage.shard(folder, "labels_only")
    table = pq.read_table(path)
    changed = table["overall_score"].to_pylist()
    changed[0] = score
    column = table.schema.get_field_index("overall_score")
    field = table.schema.field(column)
    damage.rewrite(path, table.set_column(column, field, pa.array(changed, field.type)))
    damage.record(folder)


@pytest.mark.usefixtures("mode")
def test_a_push_makes_the_repository_what_the_folder_is(
    hub: Hub, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = small(built, tmp_path / "drums", "audio_16k", "labels_only")
    assert push(folder, "--tag", "v1") == 0
    local = {file.path: file for file in measured(dict(files_in(folder)))}
    there = stored(hub)
    assert there.keys() == local.keys()
    shards = [path for path in local if path.endswith(".parquet")]
    assert {p: there[p].sha256 for p in shards} == {p: local[p].sha256 for p in shards}
    commit = hub.commits(REPO, "main")[0]
    assert hub.repository(REPO).tags["v1"] == commit.id
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"{REPO} is complete and verified: commit {commit.id} on main" in last
    rows = load_dataset(REPO, "labels_only", split="test", streaming=True)
    assert (
        next(iter(rows))["sample_id"]
        == pq.read_table(damage.shard(folder, "labels_only", "test"))["sample_id"][0].as_py()
    )


@pytest.mark.usefixtures("mode")
def test_the_second_push_sends_no_file(hub: Hub, folder: Path):
    assert push(folder) == 0
    commits = len(hub.commits(REPO, "main"))
    hub.forget_requests()
    assert push(folder) == 0
    assert hub.bytes_received() == 0
    assert hub.requests("POST", "/preupload/|/commit/") == []
    assert len(hub.commits(REPO, "main")) == commits


@pytest.mark.usefixtures("mode")
def test_a_change_of_labels_sends_the_changed_shard_and_what_describes_it(hub: Hub, folder: Path):
    assert push(folder) == 0
    hub.forget_requests()
    change_labels(folder)
    assert push(folder) == 0
    assert [path for path in sent(hub) if path.endswith(".parquet")] == [
        "labels_only/train-00000-of-00001.parquet"
    ]
    assert hub.bytes_received() <= damage.shard(folder, "labels_only").stat().st_size + 10_000


def test_the_card_on_the_hub_knows_its_place(hub: Hub, folder: Path):
    assert push(folder) == 0
    page = hub.content(REPO, "README.md", "main").decode()
    assert REPO in page
    assert "org/sousa" not in page


def test_a_file_that_changes_meanwhile_is_not_published(hub: Hub, folder: Path):
    plan = compare(prepare(folder, REPO), Target(repo=REPO))
    with (folder / "splits.json").open("a") as file:
        file.write(" ")
    with pytest.raises(HubError, match=r"splits.json was changed while it was pushed"):
        carry_out(plan)
    assert stored(hub) == {}


def test_everything_becomes_visible_in_one_commit(hub: Hub, folder: Path):
    assert push(folder) == 0
    assert len(hub.commits(REPO, "main")) == 2  # the first is the Hub's own


def test_what_takes_several_commits_has_its_card_in_the_last(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upload, "COMMIT_FILES", 2)
    assert push(folder) == 0
    commits = hub.commits(REPO, "main")[::-1][1:]
    assert len(commits) > 2
    shards = [sum(path.endswith(".parquet") for path in commit.files) for commit in commits]
    assert shards == sorted(shards)
    assert shards[-1] == 3
    for name in ("README.md", "manifest.json"):
        assert [name in commit.files for commit in commits] == [*[False] * (len(commits) - 1), True]
    assert all(len(commit.title) > 0 for commit in commits)


def test_a_push_that_stops_between_its_commits_doubles_no_rows(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first commit makes the card that is there mean only the shards that were."""
    assert push(folder) == 0
    before = load_dataset(REPO, "labels_only", split="train")["sample_id"][:]
    reshard(folder)
    monkeypatch.setattr(upload, "COMMIT_FILES", 2)
    hub.inject(Fault(QUOTA, path="/commit/", after=1, times=None))
    assert push(folder) == 1
    assert len([path for path in stored(hub) if "/train-" in path]) == 2
    assert load_dataset(REPO, "labels_only", split="train")["sample_id"][:] == before
    hub.heal()
    assert push(folder) == 0
    assert load_dataset(REPO, "labels_only", split="train")["sample_id"][:] == before


def reshard(folder: Path) -> None:
    """Split the training shard of a config in two."""
    path = damage.shard(folder, "labels_only")
    table = pq.read_table(path)
    for part in range(2):
        name = f"train-{part:05d}-of-00002.parquet"
        pq.write_table(table.slice(8 * part, 8), path.with_name(name))
    path.unlink()
    damage.record(folder)


def test_files_of_an_older_layout_are_named_and_do_no_harm(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    old = "labels_only/train-00000-of-00001.parquet"
    assert push(folder) == 0
    reshard(folder)
    assert push(folder) == 0
    shown = capsys.readouterr().out
    assert "--prune removes them" in shown
    assert old in shown
    assert old in stored(hub)
    rows = load_dataset(REPO, "labels_only", split="train")
    assert rows.num_rows == len(set(rows["sample_id"])) == 16
    page = hub.content(REPO, "README.md", "main").decode()
    patterns = re.findall(r"labels_only/[\w{}:*-]+\*[\w.*-]*", page)
    assert len(patterns) == 5  # of three splits, and in polars and DuckDB
    sets = json.loads(hub.content(REPO, "croissant.json", "main"))["distribution"]
    patterns += [pattern for each in sets for pattern in each.get("includes", ())]
    assert [pattern for pattern in patterns if fnmatchcase(old, pattern)] == []
    (pandas,) = re.findall(r"(pd\.concat.*)\n", page)
    assert 'labels_only/test-{i:05d}-of-00001.parquet") for i in range(1)])' in pandas
    assert 'read_parquet("hf' not in page
    assert push(folder, "--prune") == 0
    assert old not in stored(hub)
    assert load_dataset(REPO, "labels_only", split="train").num_rows == 16


def test_some_configs_make_a_whole_dataset(hub: Hub, both: Path, tmp_path: Path):
    assert push(both, "--configs", "labels_only") == 0
    assert not any(path.startswith("midi_only") for path in stored(hub))
    _, block, _ = hub.content(REPO, "README.md", "main").decode().split("---\n", 2)
    assert [config["config_name"] for config in yaml.safe_load(block)["configs"]] == ["labels_only"]
    manifest = json.loads(hub.content(REPO, "manifest.json", "main"))
    assert {shard["path"].split("/")[0] for shard in manifest["shards"]} == {"labels_only"}
    there = snapshot_download(REPO, repo_type="dataset", local_dir=tmp_path / "there")
    assert cli.main(["validate", there]) == 0


def test_a_branch_is_made_and_the_main_one_left_alone(hub: Hub, folder: Path):
    assert push(folder) == 0
    before = stored(hub)
    assert push(folder, "--revision", "same") == 0
    assert stored(hub, "same") == before
    change_labels(folder)
    assert push(folder, "--revision", "next") == 0
    assert stored(hub) == before
    assert stored(hub, "next") != before
    assert push(folder, "--revision", "next") == 0


def test_a_pull_request_leaves_the_branch_alone(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    before = stored(hub)
    change_labels(folder)
    assert push(folder, "--create-pr", "--message", "Better labels") == 0
    assert stored(hub) == before
    (number, pull), *others = hub.repository(REPO).pulls.items()
    assert others == []
    assert pull.title == "Better labels"
    assert f"on refs/pr/{number}" in capsys.readouterr().out
    assert stored(hub, f"refs/pr/{number}") != before


def test_a_dry_run_only_reads(hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]):
    assert push(folder, "--dry-run", "--private", "--tag", "v1") == 0
    assert capsys.readouterr().out.startswith(f"{REPO}, new, private: branch main\nsend ")
    assert {request.method for request in hub.requests()} <= {"GET", "HEAD"}


def test_a_new_repository_is_private_if_asked(hub: Hub, folder: Path):
    assert push(folder, "--private") == 0
    assert hub.repository(REPO).private
    assert push(folder, "--private") == 0


def test_what_shall_be_private_is_not_pushed_where_all_can_see_it(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    hub.create(REPO)
    assert push(folder, "--private") == 1
    assert (
        "is there already, and public: only a new one can be made private"
        in capsys.readouterr().err
    )
    assert stored(hub) == {}


def test_hidden_files_stay_at_home(hub: Hub, folder: Path):
    (folder / ".sousa").mkdir(exist_ok=True)
    (folder / ".sousa" / "state.json").write_text("{}")
    (folder / "labels_only" / ".DS_Store").write_text("")
    assert push(folder) == 0
    assert all("/." not in f"/{path}" for path in stored(hub))


def test_a_dataset_that_fails_its_checks_is_refused_unless_forced(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    change_labels(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["sha256"] = "0" * 64
    damage.replace(folder / "manifest.json", json.dumps(manifest).encode())
    path = manifest["shards"][0]["path"]
    assert push(folder) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert f"is not fit to be published: {path}: is not as manifest.json records it" in line
    assert hub.requests("POST") == []
    assert push(folder, "--force") == 0
    assert path in stored(hub)


def test_what_was_judged_good_is_not_judged_twice(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Rows are counted while they are judged. A label that was changed since is seen."""
    assert push(folder, "--dry-run") == 0
    assert "of 48 rows" in capsys.readouterr().err
    assert push(folder, "--dry-run") == 0
    assert capsys.readouterr().err == ""
    change_labels(folder, score=250)
    assert push(folder, "--dry-run") == 1
    assert "overall_score" in capsys.readouterr().err
    assert hub.requests("POST") == []


@pytest.mark.usefixtures("hub")
def test_a_player_in_two_splits_keeps_a_dataset_from_the_hub(
    both: Path, capsys: pytest.CaptureFixture[str]
):
    train, test = (pq.read_table(damage.shard(both, "labels_only", s)) for s in ("train", "test"))
    names = test["profile_id"].to_pylist()
    names[0] = train["profile_id"][0].as_py()
    column = test.schema.get_field_index("profile_id")
    for config in ("labels_only", "midi_only"):
        path = damage.shard(both, config, "test")
        table = pq.read_table(path)
        damage.rewrite(path, table.set_column(column, table.schema.field(column), [names]))
    damage.record(both)
    assert push(both, "--dry-run") == 1
    assert "is in both splits" in capsys.readouterr().err


def test_a_repository_that_holds_something_else_is_left_alone(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    hub.create(REPO)
    hub.commit(REPO, {"README.md": b"# Cats\n", "cats.csv": b"name\n"})
    assert push(folder) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "holds something else (2 files, such as README.md); choose another name" in line
    assert set(stored(hub)) == {"README.md", "cats.csv"}


def test_a_dataset_of_another_kind_is_not_replaced(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    manifest = json.loads(hub.content(REPO, "manifest.json", "main"))
    manifest["plan"]["import"] = "sousa"
    hub.commit(REPO, {"manifest.json": json.dumps(manifest).encode()})
    assert push(folder) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "holds another dataset, imported by `sousa import sousa`, and this one is built" in line
    assert len(hub.commits(REPO, "main")) == 3
    assert push(folder, "--force") == 0


@pytest.mark.usefixtures("hub")
def test_a_script_that_loading_would_refuse_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "drums.py").write_text("")
    assert push(folder, "--dry-run") == 1
    assert "drums.py: `load_dataset` takes it for a loading script" in capsys.readouterr().err


def test_a_script_on_the_hub_is_found_before_anything_is_sent(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    hub.commit(REPO, {"drums.py": b"raise SystemExit"})
    change_labels(folder)
    hub.forget_requests()
    assert push(folder, "--force") == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "has a file drums.py, which `load_dataset` takes for a loading script, and" in line
    assert hub.requests("POST", "/commit/|/preupload/") == []


def test_a_tag_that_is_elsewhere_is_refused_before_anything_is_sent(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder, "--tag", "v1") == 0
    assert push(folder, "--tag", "v1") == 0  # where it is already
    change_labels(folder)
    hub.forget_requests()
    assert push(folder, "--tag", "v1") == 1
    assert "has a tag v1 already" in capsys.readouterr().err
    assert hub.requests("POST") == []


def test_bytes_that_changed_on_the_hub_are_found(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    hub.damage(REPO, "labels_only/test-00000-of-00001.parquet")
    assert push(folder) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "is not what was pushed: config labels_only cannot be read back: " in line


@pytest.mark.usefixtures("hub")
def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "secret").write_text("mine")
    (folder / "notes.txt").symlink_to(tmp_path / "secret")
    assert push(folder, "--dry-run") == 1
    assert "is a link that leaves the folder" in capsys.readouterr().err


@pytest.mark.parametrize("batches", [1, 3])
def test_what_arrived_before_a_kill_is_not_sent_again(
    hub: Hub, mode: str, built: Path, tmp_path: Path, batches: int
):
    """Shards go first, in the order of the listing; each of the three is a batch here."""
    folder = small(built, tmp_path / "drums", "midi_only")
    shards = sorted((folder / "midi_only").iterdir())
    killed(folder, hub, tmp_path / "home", after=batches, xet=mode == "xet")
    assert stored(hub) == {}
    arrived = hub.bytes_received()
    finished = [shard.stat().st_size for shard in shards[:batches]]
    assert arrived >= 0.5 * sum(finished)  # Xet compresses
    hub.forget_requests()
    assert push(folder) == 0
    again = sum(shard.stat().st_size for shard in shards[batches:])
    assert hub.bytes_received() <= again + 5_000 * (mode == "xet")
    assert stored(hub).keys() == files_in(folder).keys()
