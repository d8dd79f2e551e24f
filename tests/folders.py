"""Folders of small models, as published ones are laid out."""

import json
import struct
from pathlib import Path


def model2vec(folder: Path, words: dict[str, list[float]]) -> Path:
    """A model that knows these words, by their vectors."""
    folder.mkdir()
    rows = [[9] * len(vector) for vector in list(words.values())[:1]] + list(words.values())
    vocabulary = {"[UNK]": 0, **{word: number for number, word in enumerate(words, 1)}}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None, "model": model,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "config.json").write_text(json.dumps({"normalize": True, "hidden_dim": len(rows[0])}))
    numbers = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    tensor = {"dtype": "F32", "shape": [len(rows), len(rows[0])], "data_offsets": [0, len(numbers)]}
    header = json.dumps({"embeddings": tensor}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + numbers)
    return folder
