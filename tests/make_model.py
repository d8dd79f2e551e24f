"""Writes a two-layer llama model with random weights and a byte-level vocabulary: its words are noise, its wire is real.

    python make_model.py tiny.gguf        # 435 kB, written in a second
"""

import sys

import gguf
import numpy as np

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, FEED_FORWARD = 260, 64, 2, 4, 2, 128
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


def byte_tokens() -> list[str]:
    """One printable character for each byte, as GPT-2's vocabulary has it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    for offset, byte in enumerate(byte for byte in range(256) if byte not in names):
        names[byte] = chr(256 + offset)
    return [names[byte] for byte in range(256)]


def main(path: str) -> None:
    random = np.random.default_rng(0)

    def noise(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.05).astype(np.float32)

    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny-random")
    out.add_context_length(4096)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(FEED_FORWARD)
    out.add_head_count(HEADS)
    out.add_head_count_kv(KV_HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(VOCAB)
    out.add_file_type(0)

    tokens = [*byte_tokens(), "<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([1] * 256 + [3] * 4)
    out.add_token_merges(["Ġ t"])
    out.add_bos_token_id(256)
    out.add_eos_token_id(257)
    out.add_chat_template(CHAT_TEMPLATE)

    ones = np.ones(WIDTH, np.float32)
    # Half a letter would be held back by the server, and sometimes the beginning of its answer with it. So the first
    # dimension is the same for every token, and speaks against all but the printable letters of ASCII.
    embedding, output = noise(VOCAB, WIDTH), noise(VOCAB, WIDTH)
    embedding[:, 0], output[:, 0] = 1, -4
    output[32:127, 0] = 0
    out.add_tensor("token_embd.weight", embedding)
    out.add_tensor("output_norm.weight", ones)
    out.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        out.add_tensor(name + "attn_norm.weight", ones)
        out.add_tensor(name + "ffn_norm.weight", ones)
        out.add_tensor(name + "attn_q.weight", noise(WIDTH, WIDTH))
        out.add_tensor(name + "attn_k.weight", noise(KV_HEADS * WIDTH // HEADS, WIDTH))
        out.add_tensor(name + "attn_v.weight", noise(KV_HEADS * WIDTH // HEADS, WIDTH))
        out.add_tensor(name + "attn_output.weight", noise(WIDTH, WIDTH))
        out.add_tensor(name + "ffn_gate.weight", noise(FEED_FORWARD, WIDTH))
        out.add_tensor(name + "ffn_up.weight", noise(FEED_FORWARD, WIDTH))
        out.add_tensor(name + "ffn_down.weight", noise(WIDTH, FEED_FORWARD))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main(sys.argv[1])
