"""Tiny models with random weights: real architectures, made on the spot, that mean nothing.

Language models of four families, a cross encoder with one logit, one with the three classes of
natural language inference, and a bi encoder, each saved to a folder that the ordinary Auto classes
reload. For tests and for the demonstration: everything runs, nothing is downloaded, and no score
says anything about quality.
"""

from __future__ import annotations

import re
import shutil
import string
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.libraries import library, quiet

__all__ = ["FAMILIES", "TinyModels", "build_tiny"]

#: Model type of transformers to what its configuration needs besides the common part. Gemma 2 is
#: untied: it scales embeddings, so that tied random weights would repeat one token for ever.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 64,
        "tie_word_embeddings": False,
    },
    "phi3": {},
    "qwen2": {},
}
CLASSES = ("contradiction", "entailment", "neutral")
_HIDDEN = 64
_WINDOW = 512
_SPREAD = 0.3  # of the initial weights: wide enough that different texts get different scores
_VOCABULARY = 2000
_CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@dataclass(frozen=True)
class TinyModels:
    """The folders of the models: ``language`` by family, then the three evaluators."""

    language: dict[str, Path]
    cross_encoder: Path
    entailment: Path
    bi_encoder: Path


def build_tiny(folder: str | Path, texts: Iterable[str], seed: int = 1) -> TinyModels:
    """Build, save and return all tiny models; tokenizers learn their words from ``texts``.

    Takes a second or two. The same texts and seed give the same models. Raises
    :class:`~poq_abm.errors.InputError` when the libraries are missing.
    """
    folder = Path(folder)
    words = list(texts)
    with quiet(), library("torch").random.fork_rng(devices=[]):
        library("torch").manual_seed(seed)
        return TinyModels(
            {
                family: _language_model(folder / f"tiny_{family}", family, words)
                for family in FAMILIES
            },
            _classifier(folder / "tiny_cross_encoder", words, ()),
            _classifier(folder / "tiny_entailment", words, CLASSES),
            _bi_encoder(folder / "tiny_bi_encoder", words),
        )


def _language_model(folder: Path, family: str, texts: list[str]) -> Path:
    transformers = library("transformers")
    tokenizer = _writer_tokenizer(texts)
    configuration = transformers.AutoConfig.for_model(
        family,
        **{
            **_common(tokenizer),
            "num_key_value_heads": 2,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            **FAMILIES[family],
        },
    )
    transformers.AutoModelForCausalLM.from_config(configuration).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _classifier(folder: Path, texts: list[str], classes: tuple[str, ...]) -> Path:
    """Save a BERT cross encoder: one logit without ``classes``, otherwise one per class."""
    transformers = library("transformers")
    tokenizer = _reader_tokenizer(texts)
    names = dict(enumerate(classes)) or {0: "LABEL_0"}
    configuration = transformers.BertConfig(
        **_common(tokenizer),
        num_labels=len(names),
        id2label=names,
        label2id={name: number for number, name in names.items()},
    )
    model = transformers.AutoModelForSequenceClassification.from_config(configuration)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _bi_encoder(folder: Path, texts: list[str]) -> Path:
    """Save a BERT encoder with mean pooling as sentence-transformers lays it out."""
    transformers = library("transformers")
    tokenizer = _reader_tokenizer(texts)
    model = transformers.AutoModel.from_config(transformers.BertConfig(**_common(tokenizer)))
    plain = folder.with_name(f".{folder.name}")
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    library("sentence_transformers").SentenceTransformer(
        str(plain), device="cpu", local_files_only=True
    ).save_pretrained(str(folder), create_model_card=False)
    shutil.rmtree(plain)
    return folder


def _common(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": _HIDDEN,
        "intermediate_size": 2 * _HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": _WINDOW,
        "initializer_range": _SPREAD,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _writer_tokenizer(texts: list[str]) -> Any:
    """Return a byte-level tokenizer, which can read and write any text, with a chat template."""
    tokenizers = library("tokenizers")
    level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = level
    core.decoder = tokenizers.decoders.ByteLevel()
    special = ("<pad>", "<s>", "</s>")
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(special),
        initial_alphabet=level.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = library("transformers").PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=special[0],
        bos_token=special[1],
        eos_token=special[2],
        padding_side="left",
        model_max_length=_WINDOW,
    )
    tokenizer.chat_template = _CHAT
    return tokenizer


def _reader_tokenizer(texts: list[str]) -> Any:
    """Return a word-piece tokenizer that reads one text or a pair, as BERT does."""
    tokenizers = library("tokenizers")
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = _word_pieces(texts, special)
    core = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token=special[1]))
    core.normalizer = tokenizers.normalizers.BertNormalizer()
    core.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    core.decoder = tokenizers.decoders.WordPiece()
    ends = [(name, vocabulary[name]) for name in special[2:4]]
    core.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return library("transformers").PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=special[0],
        unk_token=special[1],
        cls_token=special[2],
        sep_token=special[3],
        mask_token=special[4],
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=_WINDOW,
    )


def _word_pieces(texts: list[str], special: tuple[str, ...]) -> dict[str, int]:
    """Return a vocabulary of the most frequent words, and of letters for every other word.

    Counted here because the trainer of the library breaks ties differently from run to run.
    """
    counts = Counter(re.findall(r"\w+|[^\w\s]", " ".join(texts).lower()))
    words = sorted(counts, key=lambda word: (-counts[word], word))[:_VOCABULARY]
    letters = sorted({letter for word in counts for letter in word} | set(string.printable.strip()))
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *words]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
