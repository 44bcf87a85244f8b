"""Where a model is (a folder, the hub's cache, the hub), which version, and if it can be loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from calibration.configuration import Calibration
from calibration.libraries import library, quiet, require
from calibration.models.devices import chosen_device, is_out_of_memory
from calibration.stage_settings import EvaluatorSpec, ModelSpec
from calibration.workspace import naming
from poq_abm.errors import InputError

__all__ = [
    "GGUF",
    "ModelSource",
    "check_models",
    "folder_digest",
    "loading",
    "locate",
    "locate_all",
]

#: What can change what a model says: configurations, weights, tokenizers, templates, own code.
_KINDS = frozenset(
    (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py", ".pt", ".pth", ".tiktoken")
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_MODULES = "modules.json"  # the parts of an encoder, which need not be a transformer
GGUF = ".gguf"  #: what the files of llama.cpp end in
_MAGIC = b"GGUF"
_CHUNK = 1 << 20
_TIMEOUT_S = 15


@dataclass(frozen=True)
class ModelSource:
    """Where one model is loaded from.

    ``where`` is a folder if ``is_local``, otherwise a hub id that has yet to be downloaded.
    ``revision`` is the commit of a hub snapshot, or ``sha256:`` and the digest of a folder or of
    the ``gguf`` file in it that is the model.
    """

    where: str
    revision: str
    is_local: bool
    gguf: str | None = None

    @property
    def commit(self) -> str | None:
        """What to ask the hub for; ``None`` for a folder."""
        return None if self.is_local else self.revision


def locate(model: str, revision: str | None = None) -> ModelSource:
    """Return where a model is, without loading or downloading it.

    What ends in ``.gguf`` is a file. Otherwise a folder comes first, then a complete snapshot in
    the hub's cache, then the hub itself, of which only the headers of ``config.json`` are asked:
    they say whether a download would be allowed, and the commit it would bring.

    Raises :class:`~poq_abm.errors.InputError` naming everything that was tried.
    """
    folder = Path(model).expanduser()
    if model.endswith(GGUF):
        return _in_file(folder, revision)
    if folder.is_dir():
        return _in_folder(folder, revision)
    if folder.is_absolute() or model.startswith((".", "~", "\\")) or model.count("/") > 1:
        raise InputError(f"there is no folder {str(folder)!r}")
    cached, gap = _in_cache(model, revision)
    return cached or _on_hub(model, revision, [f"there is no folder {model!r}", gap])


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 (hex) over the names and contents of a folder's files.

    Files that cannot change an output (a read-me, hidden files) do not count. A file that has kept
    its size and time since this process last read it is not read again.
    """
    whole = hashlib.sha256()
    for path in _files(folder):
        state = path.stat()
        content = _file_digest(path, state.st_size, state.st_mtime_ns)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def _in_file(file: Path, revision: str | None) -> ModelSource:
    """Return a file of llama.cpp, which is read by transformers and dequantised."""
    if not file.is_file():
        raise InputError(f"there is no file {str(file)!r}")
    if revision is not None:
        raise InputError(f"{str(file)!r} is a file, which has no revisions: it takes no 'revision'")
    require("gguf", "accelerate")
    with naming(file, "read"), file.open("rb") as stream:
        if stream.read(4) != _MAGIC:
            raise InputError(f"{str(file)!r} is no GGUF file")
        state = file.stat()
        content = _file_digest(file, state.st_size, state.st_mtime_ns)
    return ModelSource(str(file.parent), f"sha256:{content}", is_local=True, gguf=file.name)


def _in_folder(folder: Path, revision: str | None) -> ModelSource:
    if revision is not None:
        raise InputError(
            f"{str(folder)!r} is a folder, which has no revisions: it takes no 'revision'"
        )
    if wrong := _fault(folder):
        raise InputError(f"the folder {str(folder)!r} {wrong}")
    with naming(folder, "read"):
        return ModelSource(str(folder), f"sha256:{folder_digest(folder)}", is_local=True)


def _in_cache(model: str, revision: str | None) -> tuple[ModelSource | None, str]:
    """Return the snapshot in the cache, or what is wrong with it."""
    hub = library("huggingface_hub")
    place = library("huggingface_hub.constants").HF_HUB_CACHE
    try:
        found = hub.try_to_load_from_cache(model, "config.json", revision=revision)
    except ValueError as error:  # a name that no repository can have
        raise InputError(f"there is no folder {model!r}, and it is no hub id: {error}") from error
    if not isinstance(found, str):
        return None, f"the cache {place} has no snapshot of it"
    snapshot = Path(found).parent
    if wrong := _fault(snapshot):
        return None, f"the snapshot {snapshot} {wrong}"
    return ModelSource(str(snapshot), snapshot.name, is_local=True), ""


def _on_hub(model: str, revision: str | None, tried: list[str]) -> ModelSource:
    hub = library("huggingface_hub")
    try:
        address = hub.hf_hub_url(model, "config.json", revision=revision)
        commit = hub.get_hf_file_metadata(address, timeout=_TIMEOUT_S).commit_hash
    except Exception as error:  # whatever the network did, the user needs the list of what failed
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        tried.append(f"the hub does not give it ({type(error).__name__}: {reason})")
        wanted = model if revision is None else f"{model} at revision {revision}"
        raise InputError(f"{wanted} cannot be had: {'; '.join(tried)}") from error
    return ModelSource(model, str(commit), is_local=False)


def _fault(folder: Path) -> str | None:
    """Return what a model's folder lacks, or ``None``."""
    if not (folder / "config.json").is_file():
        if (folder / _MODULES).is_file():  # of sentence-transformers: word vectors, say, or counts
            return None
        return "has no config.json"
    if not any(path.suffix in _WEIGHTS for path in _files(folder)):
        return f"has no weights ({', '.join(_WEIGHTS)})"
    if any((folder / whole).is_file() for whole in _WHOLE):
        return None
    gaps = [_gap(index) for index in sorted(folder.glob("*.index.json"))]
    return gaps[0] if gaps and all(gaps) else None  # one complete set of shards is enough


def _gap(index: Path) -> str | None:
    """Return what is missing of the shards that an index lists, or ``None``."""
    try:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return f"has an unreadable {index.name}"
    missing = sorted(shard for shard in shards if not (index.parent / shard).is_file())
    if not missing:
        return None
    return f"lacks {missing[0]} ({len(missing)} of {len(shards)} shards are missing)"


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _KINDS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


@lru_cache(maxsize=4096)
def _file_digest(path: Path, size: int, changed_ns: int) -> str:  # noqa: ARG001  (key of the cache)
    content = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            content.update(chunk)
    return content.hexdigest()


Spec = ModelSpec | EvaluatorSpec


def check_models(
    calibration: Calibration, report: Callable[[str], None] = lambda _: None
) -> dict[str, ModelSource]:
    """Return where every model and evaluator is, before any work, and report a line for each.

    Raises :class:`~poq_abm.errors.InputError` listing every one that is neither on this disk nor
    allowed to be downloaded, every one whose code would have to be trusted first, and a device
    that this machine lacks.
    """
    wrong = [*_device_faults(calibration)]
    found: dict[str, ModelSource] = {}
    specs: list[Spec] = [*calibration.checkpoints, *calibration.encoders]
    for spec in specs:
        try:
            found[spec.name] = locate(spec.model, spec.revision)
            _check_architecture(spec, found[spec.name])
        except InputError as error:
            wrong.append(f"{spec.name}: {error}")
        else:
            report(f"{spec.name}: {_described(found[spec.name])}")
    if wrong:
        raise InputError("\n".join(wrong))
    return found


def locate_all(specs: Sequence[Spec]) -> dict[str, ModelSource]:
    """Return where each model is; an error for any of them comes before work on the first."""
    found = {}
    for spec in specs:
        try:
            found[spec.name] = locate(spec.model, spec.revision)
        except InputError as error:
            raise InputError(f"{spec.name}: {error}") from error
    return found


@contextlib.contextmanager
def loading(name: str, source: ModelSource) -> Iterator[None]:
    """Turn every refusal to load a model into an input error that names the model.

    Checkpoints are what others made: they fail in as many ways as there are libraries to read them.
    """
    try:
        with quiet():
            yield
    except Exception as error:
        if is_out_of_memory(error):
            raise InputError(
                f"{name}: {source.where} does not fit into the memory of this device; "
                "choose a smaller dtype or another device"
            ) from error
        reason = " ".join(str(error).split())[:500]
        raise InputError(
            f"{name}: {source.where} cannot be loaded ({type(error).__name__}): {reason}"
        ) from error


def _device_faults(calibration: Calibration) -> Iterator[str]:
    used = [calibration.generation.device] if calibration.checkpoints else []
    used += [calibration.scoring.device] if calibration.encoders else []
    for setting in sorted(set(used)):
        try:
            chosen_device(setting)
        except InputError as error:
            yield str(error)


def _described(source: ModelSource) -> str:
    where = source.where if source.gguf is None else str(Path(source.where) / source.gguf)
    place = f"in {where}" if source.is_local else f"to be downloaded from {source.where}"
    return f"{place}, revision {source.revision[:19]}"


def _check_architecture(spec: Spec, source: ModelSource) -> None:
    """Raise for a folder whose architecture this version of transformers cannot build by itself."""
    if not source.is_local or source.gguf is not None:
        return
    file = Path(source.where) / "config.json"
    if not file.is_file() and file.with_name(_MODULES).is_file():
        return
    try:
        configuration = json.loads(file.read_text(encoding="utf-8"))
        kind, own_code = configuration.get("model_type"), "auto_map" in configuration
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{file} is not a readable configuration") from error
    if kind in library("transformers").CONFIG_MAPPING or (own_code and spec.trust_remote_code):
        return
    if own_code:
        raise InputError(
            f"{source.where} brings its own code, which runs only with 'trust_remote_code: true'"
        )
    raise InputError(f"{file}: this version of transformers knows no model type {kind!r}")
