"""The kinds of values a calibration's configuration holds, and what each of them refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from calibration.folders import NAME
from calibration.prompts import template_fault
from calibration.registry import evaluator_entry, evaluator_names, model_entry, model_names
from poq_abm.errors import InputError
from poq_abm.scenario.checks.problems import shown
from poq_abm.scenario.schema.strict import complaint

__all__ = [
    "Address",
    "AsTuple",
    "Checkpoint",
    "Count",
    "Counts",
    "Device",
    "Dollars",
    "Dtype",
    "Folder",
    "Name",
    "Names",
    "Templates",
    "Text",
    "Variable",
    "registered_evaluator",
    "registered_model",
    "somebody",
]

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?|xpu(:\d{1,3})?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _as_tuple(value)


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise complaint(f"must be made of a-z, 0-9 and _, at most 80, got {shown(value)}")
    return value


def _device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise complaint(f"must be auto, cpu, cuda, cuda:0 or the like, got {shown(value)}")
    return value


def _variable(value: str) -> str:
    # what stands here may be the key itself, put in the wrong place: it must not be repeated
    if not _VARIABLE.fullmatch(value):
        raise complaint(
            "must be the name of an environment variable, A-Z, 0-9 and _; "
            "the key itself never stands in a file"
        )
    return value


def _address(value: str) -> str:
    try:
        parts = urlsplit(value)
        secret = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise complaint("is not the address of a server") from error
    if secret:
        raise complaint("must not hold a user name or password; the key comes from key_variable")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise complaint(
            f"must be the address of a server, http://... or https://..., got {shown(value)}"
        )
    return value.rstrip("/")


def _folder_of(info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", ""))


def _placed(value: Any, info: ValidationInfo) -> Any:
    """Turn the text of a path into a path, relative to the folder of the file it stands in."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise complaint(f"must be the path of a file or folder, got {shown(value)}")
    return _folder_of(info) / Path(value).expanduser()


def _checkpoint(value: str, info: ValidationInfo) -> str:
    """Return a folder's path if it is one or can be nothing else; otherwise the hub id."""
    folder = _folder_of(info) / Path(value).expanduser()
    is_path = value.startswith((".", "/", "~", "\\")) or Path(value).is_absolute()
    return str(folder) if is_path or folder.is_dir() else value


def _template(value: str) -> str:
    if wrong := template_fault(value):
        raise complaint(wrong)
    return value


def somebody(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the entries of a list that is not empty and names nothing twice."""
    if not entries:
        raise complaint("needs at least one entry")
    names = [getattr(entry, "name", entry) for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise complaint(f"names {shown(name)} twice")
    return entries


def registered_model(value: Any) -> Any:
    """Turn the name of a registered model into its settings; settings go before the registry's.

    >>> registered_model({"name": "qwen2_1_5b", "batch_size": 4})["model"]
    'Qwen/Qwen2-1.5B-Instruct'
    """
    return _registered(value, model_entry, model_names())


def registered_evaluator(value: Any) -> Any:
    """Turn the name of a registered evaluator into its settings, as :func:`registered_model`."""
    return _registered(value, evaluator_entry, evaluator_names())


def _registered(value: Any, entry: Callable[[str], dict[str, Any]], names: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        try:
            return entry(value)
        except InputError as error:
            raise complaint(str(error)) from error
    if not isinstance(value, dict) or "model" in value:
        return value
    name = value.get("name")
    if isinstance(name, str) and name in names:
        return {**entry(name), **value}
    return value


Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, AfterValidator(_name)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_names), AfterValidator(somebody)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Counts = Annotated[tuple[Count, ...], BeforeValidator(_as_tuple), AfterValidator(somebody)]
Dollars = Annotated[float, Field(ge=0)]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]
Device = Annotated[str, AfterValidator(_device)]
Variable = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]
Folder = Annotated[Path, BeforeValidator(_placed)]
Checkpoint = Annotated[Text, AfterValidator(_checkpoint)]
Templates = dict[Text, Annotated[str, AfterValidator(_template)]]
AsTuple = BeforeValidator(_as_tuple)
