"""Where models are: folders, the hub's cache, and a hub that answers or does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from calibration.models.checkpoints import locate
from poq_abm.errors import InputError

constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def checkpoint(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"config.json": "{}", "model.safetensors": "w", **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


class Hub(BaseHTTPRequestHandler):
    """Knows one open model and one gated one."""

    def do_HEAD(self) -> None:
        known = self.path.startswith(f"/org/open/resolve/{COMMIT}/") or self.path in (
            "/org/open/resolve/main/config.json",
            "/org/gated/resolve/main/config.json",
        )
        gated = "gated" in self.path
        self.send_response(403 if gated else 200 if known else 404)
        if gated:
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("X-Error-Message", "Access to model org/gated is restricted.")
        elif known:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", '"abc"')
            self.send_header("Content-Length", "2")
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub at which nobody listens."""
    place = tmp_path / "cache"
    place.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    point_at(monkeypatch, "http://127.0.0.1:9")
    return place


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def server(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Hub) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        point_at(monkeypatch, f"http://127.0.0.1:{listening.server_port}")
        yield
        listening.shutdown()
        thread.join()


def test_a_folder_is_known_by_what_can_change_its_outputs(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    found = locate(str(folder))
    assert found.is_local
    assert found.commit is None
    assert found.revision.startswith("sha256:")
    checkpoint(folder, **{"README.md": "news", ".gitattributes": "x"})
    (folder / ".cache").mkdir()
    checkpoint(folder / ".cache")
    assert locate(str(folder)) == found
    seen = {found.revision}
    for change in ({"model.safetensors": "weights"}, {"tokenizer.json": "{}"}, {"config.json": ""}):
        checkpoint(folder, **change)
        seen.add(locate(str(folder)).revision)
    assert len(seen) == 4


def test_equal_folders_have_equal_revisions(tmp_path: Path) -> None:
    one, other = (locate(str(checkpoint(tmp_path / name))) for name in ("one", "other"))
    assert one.revision == other.revision


def test_a_folder_without_configuration_or_weights_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="has no weights"):
        locate(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json"):
        locate(str(folder))


def test_every_shard_of_an_index_must_be_there(tmp_path: Path) -> None:
    shards = ["model-1-of-2.safetensors", "model-2-of-2.safetensors"]
    index = json.dumps({"weight_map": {"a": shards[0], "b": shards[1], "c": shards[1]}})
    folder = checkpoint(tmp_path / "m", **{"model.safetensors.index.json": index, shards[0]: "w"})
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks model-2-of-2\.safetensors \(1 of 2 shards"):
        locate(str(folder))
    (folder / shards[1]).write_text("w")
    assert locate(str(folder)).is_local
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(InputError, match=r"unreadable model\.safetensors\.index\.json"):
        locate(str(folder))


def test_a_second_index_need_not_be_complete(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "absent.bin"}})
    folder = checkpoint(tmp_path / "m", **{"pytorch_model.bin.index.json": index})
    assert locate(str(folder)).is_local


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no 'revision'"):
        locate(str(checkpoint(tmp_path / "m")), "main")


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "~/none", "a/b/c"])
def test_what_can_only_be_a_folder_is_not_asked_of_the_hub(path: str) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        locate(path)


def test_a_snapshot_in_the_cache_needs_no_hub(cache: Path) -> None:
    repository = cache / "models--org--open"
    snapshot = checkpoint(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for revision in (None, "main", COMMIT):
        found = locate("org/open", revision)
        assert (found.where, found.revision, found.is_local) == (str(snapshot), COMMIT, True)


def test_without_network_everything_that_was_tried_is_said(cache: Path) -> None:
    checkpoint(cache / "models--org--open" / "snapshots" / COMMIT)
    (cache / "models--org--open" / "refs").mkdir()
    (cache / "models--org--open" / "refs" / "main").write_text(COMMIT)
    (cache / "models--org--open" / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(InputError) as caught:
        locate("org/open")
    message = str(caught.value)
    for part in ("no folder 'org/open'", "has no weights", "hub does not give it (ConnectError"):
        assert part in message
    with pytest.raises(InputError, match=r"other at revision v1 cannot be had: .*has no snapshot"):
        locate("org/other", "v1")


def test_what_can_be_no_hub_id_is_refused(cache: Path) -> None:
    with pytest.raises(InputError, match="it is no hub id"):
        locate("two words")


@pytest.mark.usefixtures("server")
def test_the_hub_says_which_commit_a_download_would_bring() -> None:
    for revision in (None, "main", COMMIT):
        found = locate("org/open", revision)
        assert (found.where, found.commit, found.is_local) == ("org/open", COMMIT, False)


@pytest.mark.usefixtures("server")
def test_a_gated_or_unknown_model_is_refused_before_any_download() -> None:
    with pytest.raises(InputError, match="GatedRepoError"):
        locate("org/gated")
    with pytest.raises(InputError, match="RepositoryNotFoundError"):
        locate("org/unknown")
