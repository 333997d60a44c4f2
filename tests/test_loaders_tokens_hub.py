"""Token columns on the Hub: the folder that was pushed, with its tokenizer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import Hub
from hub_client import connected_hub
from token_data import clips, write_folder

from sousa.loaders import TokenDataset, create_token_dataloader

NAME = "org/sousa"
TOKENIZER = "tokenizers/tokens.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tokens"), clips())


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> Iterator[Hub]:
    with connected_hub(monkeypatch, tmp_path) as hub:
        hub.create(NAME)
        hub.upload_folder(NAME, folder)
        yield hub


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("streaming", [False, True])
def test_a_published_dataset_is_its_folder(folder: Path, *, streaming: bool) -> None:
    options: dict[str, Any] = {"max_seq_len": 24, "mode": "window", "bos": True}
    here, there = (
        TokenDataset(folder, **options),
        TokenDataset(NAME, streaming=streaming, **options),
    )
    assert [each["input_ids"].tolist() for each in there] == [
        each["input_ids"].tolist() for each in here
    ]
    assert there.accounting == here.accounting
    assert there.vocabulary is not None
    assert there.vocabulary.text == (folder / TOKENIZER).read_text()


@pytest.mark.usefixtures("hub")
def test_a_stream_from_the_hub_goes_on_from_any_batch() -> None:
    tokens = TokenDataset(NAME, max_seq_len=32, mode="pack", streaming=True)
    loader = create_token_dataloader(tokens, 4)
    whole, states = [], []
    for batch in loader:
        whole.append(batch["input_ids"].tolist())
        states.append(loader.state_dict())
    for made in range(0, len(whole) - 1, 2):
        other = create_token_dataloader(tokens, 4)
        other.load_state_dict(states[made])
        assert [batch["input_ids"].tolist() for batch in other] == whole[made + 1 :]


def test_a_changed_tokenizer_on_the_hub_is_refused(hub: Hub, folder: Path) -> None:
    text = (folder / TOKENIZER).read_text().replace("Tempo_90", "Tempo_95")
    hub.commit(NAME, {TOKENIZER: text.encode()})
    with pytest.raises(ValueError, match=r"org/sousa/tokenizers/tokens\.json was changed since"):
        TokenDataset(NAME)


def test_another_tokenizer_than_that_of_the_manifest_on_the_hub_is_refused(hub: Hub) -> None:
    assert TokenDataset(NAME).vocabulary is not None
    hub.commit(NAME, {"manifest.json": b'{"tokenizers": {"tokens": "another"}}'})
    with pytest.raises(ValueError, match=r"org/sousa/tokenizers/tokens\.json is another token"):
        TokenDataset(NAME)


@pytest.mark.usefixtures("hub")
def test_what_the_hub_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="has no column tokens_ms"):
        TokenDataset(NAME, "tokens_ms")
    with pytest.raises(FileNotFoundError, match="no folder org/none"):
        TokenDataset("org/none")
