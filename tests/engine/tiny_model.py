"""Writes a tiny Llama whose tokens are words: one word `w0` to `w999` is one token, plus one for the start.

It writes no weights: the server makes them up. It needs no library of models.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = 1000
UNKNOWN, START, END = "<unk>", "<s>", "</s>"
UNKNOWN_ID, START_ID, END_ID = WORDS, WORDS + 1, WORDS + 2
START_TOKENS = 1


def write_tiny_model(folder: Path) -> Path:
    """Write configuration and tokenizer into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": _make_config(),
        "tokenizer.json": _make_tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": START,
            "eos_token": END,
            "unk_token": UNKNOWN,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _make_config() -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": 1024,
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 4096,
        "bos_token_id": START_ID,
        "eos_token_id": END_ID,
    }


def _make_tokenizer() -> dict[str, Any]:
    special = {UNKNOWN: UNKNOWN_ID, START: START_ID, END: END_ID}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    before = [{"SpecialToken": {"id": START, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": content, **flags} for content, number in special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": before,
            "pair": [*before, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {START: {"id": START, "ids": [START_ID], "tokens": [START]}},
        },
        "decoder": None,
        "model": {
            "type": "WordLevel",
            "vocab": {f"w{number}": number for number in range(WORDS)} | special,
            "unk_token": UNKNOWN,
        },
    }
