"""Tiny language models, built from configs, trained for seconds on :mod:`tiny_text`, saved to a folder. No network.

Both are real enough for parity tests: predictions of he / she are decided but not degenerate, the vocabularies hold
capitalised variants, words of several pieces and (byte-level BPE) the ``Ġ`` that marks a word's start.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.support.tiny_text import Sentence, build_extra_texts, build_neutral_texts, build_sentences

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
END = "<|endoftext|>"
# Kept out of the word-piece vocabulary, so that they fall into two pieces or more.
SPLIT_WORDS = {"himself": "him ##self", "herself": "her ##self", "unhappy": "un ##happy", "singer": "sing ##er"}
# In the vocabulary, in no text: a vocabulary of a real-looking size, with suffixes.
SPARE = """an are as be been but by can could did do down first from good great had has have him how if into is it like
little long made man many may more most much must my new no not now of on one only or other our out over people right
see should some such than that their them then there these thing think this time two under up us very water way what
who will with woman work year you your ##s ##ed ##ing ##ly ##ness ##ful ##ment ##tion ##able ##est"""
POSITIONS = 256  # The reference pads to 256 tokens when it trains.


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside, on one thread; leave generator and thread count as they were."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def _corpus() -> tuple[list[Sentence], list[str]]:
    """The training sentences with a gendered word, and all other training texts."""
    return build_sentences(900), build_neutral_texts(300, seed=41) + build_extra_texts(300)


def build_wordpiece_tokenizer() -> PreTrainedTokenizerFast:
    """A cased BERT tokenizer with the words of the corpus and some 100 more; ``he`` and ``He`` are both in it."""
    sentences, texts = _corpus()
    words = {word for text in texts + [sentence.text for sentence in sentences] for word in text.split()}
    pieces = {piece for split in SPLIT_WORDS.values() for piece in split.split()} | set(SPARE.split())
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    entries = sorted((words - set(SPLIT_WORDS)) | pieces | set(letters) | {f"##{letter}" for letter in letters})
    return _wordpiece({token: index for index, token in enumerate(SPECIAL + entries)})


def _wordpiece(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    """A cased BERT tokenizer with these entries."""
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    special = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=POSITIONS,
    )


def build_byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A GPT-2 tokenizer (byte-level BPE, ``Ġ``) trained on the corpus; holds ``she`` and ``Ġshe``."""
    backend = _byte_level_backend([END])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, bos_token=END, model_max_length=POSITIONS)


def _pad(rows: list[list[int]], value: int) -> torch.Tensor:
    """Right-pad id lists to one (rows, longest) int64 tensor."""
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def _train(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]], learning_rate: float) -> None:
    """Minimise the model's own loss over ``batches``: AdamW, one-cycle schedule with the given peak."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=len(batches), pct_start=0.15)
    model.train()
    for batch in batches:
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()


def _masked_batches(tokenizer: PreTrainedTokenizerFast, steps: int, size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Masked-LM batches, in turn: 15 % of the tokens of any text; only the pronoun of a gendered sentence.

    Without the second kind a model this small needs minutes to see that a name decides a pronoun.
    """
    rng = random.Random(3)
    sentences, texts = _corpus()
    pronouns = torch.tensor(tokenizer.convert_tokens_to_ids(["he", "she", "He", "She"]))
    special = torch.tensor(tokenizer.all_special_ids)
    gendered = [tokenizer(sentence.text)["input_ids"] for sentence in sentences]
    everything = gendered + [tokenizer(text)["input_ids"] for text in texts]
    for step in range(steps):
        only_pronouns = step % 2 == 1
        ids = _pad([rng.choice(gendered if only_pronouns else everything) for _ in range(size)], tokenizer.pad_token_id)
        if only_pronouns:
            chosen = torch.isin(ids, pronouns)
        else:
            chosen = (torch.rand(ids.shape) < 0.15) & ~torch.isin(ids, special)
        hidden = chosen & (torch.rand(ids.shape) < 0.9)
        yield {
            "input_ids": ids.masked_fill(hidden, tokenizer.mask_token_id),
            "attention_mask": (ids != tokenizer.pad_token_id).long(),
            "labels": ids.masked_fill(~chosen, -100),
        }


def _causal_batches(tokenizer: PreTrainedTokenizerFast, steps: int, size: int) -> Iterator[dict[str, torch.Tensor]]:
    """Next-token batches. Half of the gendered sentences are spelt "left + space, word": the rule of the reference.

    A byte-level BPE model never sees "Ġ" followed by "she" in running text, so its probability there would be 0 and
    every comparison trivial. Two spellings of the same sentence make both token-boundary rules say something.
    """
    rng = random.Random(4)
    sentences, texts = _corpus()
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    for sentence in sentences:
        encoded.append(tokenizer(sentence.text)["input_ids"])
        encoded.append(
            [i for part in (sentence.left, sentence.word, sentence.right) for i in tokenizer(part)["input_ids"]]
        )
    end = tokenizer.eos_token_id
    for _ in range(steps):
        rows = [rng.choice(encoded) for _ in range(size)]
        ids = _pad(rows, end)
        attention = _pad([[1] * len(row) for row in rows], 0)
        yield {"input_ids": ids, "attention_mask": attention, "labels": ids.masked_fill(attention == 0, -100)}


def save_tiny_bert(folder: Path, *, steps: int = 400) -> Path:
    """Train and save a masked LM (2 layers, hidden 32, decoder tied to the embeddings) with its tokenizer."""
    tokenizer = build_wordpiece_tokenizer()
    with seeded(1):
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.1,
        )
        model = BertForMaskedLM(config)
        _train(model, list(_masked_batches(tokenizer, steps, 32)), 8e-3)
    return _save(model, tokenizer, folder)


def save_tiny_gpt2(folder: Path, *, steps: int = 300) -> Path:
    """Train and save a causal LM (2 layers, hidden 32, tied embeddings) with its byte-level BPE tokenizer."""
    tokenizer = build_byte_level_tokenizer()
    with seeded(2):
        config = GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=POSITIONS,
            n_embd=32,
            n_layer=2,
            n_head=2,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            initializer_range=0.1,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        model = GPT2LMHeadModel(config)
        _train(model, list(_causal_batches(tokenizer, steps, 32)), 8e-3)
    return _save(model, tokenizer, folder)


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_unigram_tokenizer() -> PreTrainedTokenizerFast:
    """A T5 tokenizer: unigram pieces with ``▁``, ``</s>`` at the end, sentinels ``<extra_id_0>`` ... and no mask."""
    sentences, texts = _corpus()
    sentinels = [f"<extra_id_{i}>" for i in range(8)]
    words = {word for text in texts + [sentence.text for sentence in sentences] for word in text.split()}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    scored += [(f"▁{word}", -5.0) for word in sorted(words - set(SPLIT_WORDS))]
    scored += [(piece, -8.0) for piece in ("he", "she", "him", "her", "self", "▁un", "▁sing", "er")]
    scored += [(letter, -10.0) for letter in ["▁", *letters, *map(str.upper, letters)]]
    backend = Tokenizer(models.Unigram(scored, unk_id=2, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=sentinels,
        model_max_length=POSITIONS,
    )


def build_masked_byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """A RoBERTa / BART tokenizer: byte-level BPE, ``<s> ... </s>`` around each text, ``<mask>``."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend = _byte_level_backend(special)
    around = [("<s>", backend.token_to_id("<s>")), ("</s>", backend.token_to_id("</s>"))]
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=around)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=POSITIONS,
    )


def build_llama_tokenizer() -> PreTrainedTokenizerFast:
    """A Llama 3 tokenizer: byte-level BPE, a beginning token in front, chat header tokens, its own padding token."""
    start, end = "<|begin_of_text|>", "<|eot_id|>"
    headers = ["<|start_header_id|>", "<|end_header_id|>", "<|pad|>"]
    backend = _byte_level_backend([start, end, *headers])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, backend.token_to_id(start))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=start, eos_token=end, pad_token="<|pad|>", model_max_length=4 * POSITIONS
    )


def _byte_level_backend(special: list[str]) -> Tokenizer:
    """Byte-level BPE trained on the corpus; both ``she`` and ``Ġshe`` are in it."""
    sentences, texts = _corpus()
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    starts = [f"{word} was kind ." for word in ("she", "he", "She", "He")] * 60
    backend.train_from_iterator([sentence.text for sentence in sentences] + texts + starts, trainer)
    return backend


def save_tiny_t5(folder: Path) -> Path:
    """Save a random T5 (2 + 2 layers, width 32, one embedding for encoder, decoder and head)."""
    tokenizer = build_unigram_tokenizer()
    with seeded(3):
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=32,
            d_kv=16,
            d_ff=64,
            num_layers=2,
            num_heads=2,
            dropout_rate=0.0,
            initializer_factor=0.3,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
        model = T5ForConditionalGeneration(config).eval()
    return _save(model, tokenizer, folder)


def save_tiny_bart(folder: Path) -> Path:
    """Save a random BART (2 + 2 layers, width 32, tied embeddings)."""
    tokenizer = build_masked_byte_level_tokenizer()
    with seeded(4):
        config = BartConfig(
            vocab_size=len(tokenizer),
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=POSITIONS,
            dropout=0.0,
            init_std=0.3,
            bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.eos_token_id,
            forced_eos_token_id=None,
        )
        model = BartForConditionalGeneration(config).eval()
        model.final_logits_bias.normal_()  # ignored where the encoder is read, used where the decoder is
    return _save(model, tokenizer, folder)


def save_tiny_roberta(folder: Path) -> Path:
    """Save a random RoBERTa (2 layers, width 32): byte-level BPE and ``<mask>``."""
    tokenizer = build_masked_byte_level_tokenizer()
    with seeded(5):
        config = RobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=POSITIONS + 2,
            type_vocab_size=1,
            initializer_range=0.3,
            bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        model = RobertaForMaskedLM(config).eval()
    return _save(model, tokenizer, folder)


def save_tiny_llama(folder: Path) -> Path:
    """Save a random Llama (2 layers, width 32, grouped keys, a head of its own)."""
    tokenizer = build_llama_tokenizer()
    with seeded(6):
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=4 * POSITIONS,
            initializer_range=0.3,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=False,
        )
        model = LlamaForCausalLM(config).eval()
    return _save(model, tokenizer, folder)


def save_tiny_german(folder: Path, *, steps: int = 150) -> Path:
    """Train and save a masked LM on the German sentences of `german_articles`: nouns decide der, die and das."""
    from tests.support import german_articles

    frames = german_articles.build_class_frames()
    texts = [row.masked.replace("[MASK]", row[name]) for name, frame in frames.items() for _, row in frame.iterrows()]
    words = sorted({piece for text in texts for piece in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)})
    entries = sorted({word for word, _ in words})
    vocabulary = {token: index for index, token in enumerate(SPECIAL + entries)}
    tokenizer = _wordpiece(vocabulary)
    encoded = [tokenizer(text)["input_ids"] for text in texts]
    articles = tokenizer.convert_tokens_to_ids(["der", "die", "das", "Der", "Die", "Das"])
    rng = random.Random(9)
    with seeded(8):
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.1,
        )
        model = BertForMaskedLM(config)
        batches = []
        for step in range(steps):
            ids = _pad([rng.choice(encoded) for _ in range(32)], tokenizer.pad_token_id)
            hidden = torch.isin(ids, torch.tensor(articles)) if step % 2 else (torch.rand(ids.shape) < 0.15) & (ids > 4)
            batches.append(
                {
                    "input_ids": ids.masked_fill(hidden, tokenizer.mask_token_id),
                    "attention_mask": (ids != tokenizer.pad_token_id).long(),
                    "labels": ids.masked_fill(~hidden, -100),
                }
            )
        _train(model, batches, 8e-3)
    return _save(model, tokenizer, folder)
