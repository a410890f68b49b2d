"""The demo base's tokenizer: byte-level BPE, so that any emoji or script can be written."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from snap2caption.post import Emoji, Length, Request, Tone, build_prompt

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a tokenizer of *vocabulary* tokens on *texts*. The result depends on the texts and their order alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, bos)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens={"image_token": IMAGE},
        model_max_length=512,
        padding_side="left",
    )


def add_signs(
    model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, signs: Sequence[str], seed: int
) -> None:
    """Make each of *signs* one token, with small random weights: the model is yet to learn them."""
    tokenizer.add_tokens([AddedToken(sign, normalized=False) for sign in signs])
    known = model.get_input_embeddings().num_embeddings
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.get_input_embeddings().weight[known:].normal_(0, 0.02, generator=drawn)


def prompt_lines() -> list[str]:
    """Return the lines that prompts of training are made of, but for the place: the instruction, and one for each
    wish.
    """
    wishes = [
        *(Request(tone=tone) for tone in Tone),
        *(Request(length=length) for length in Length),
        *(Request(emoji=emoji) for emoji in Emoji),
    ]
    return [build_prompt(Request()), *(build_prompt(wish).splitlines()[-1] for wish in wishes)]


def add_phrases(
    model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, phrases: Sequence[str]
) -> None:
    """Make each of *phrases* one token, as control codes are (CTRL, Keskar et al. 2019), for the price of one instead
    of a dozen.

    A phrase starts as the mean of the pieces that it alone was spelled with, as "witty" of "Tone: witty.": with those
    that all share, tones would start all but alike, and whether LoRA learns to tell them apart would depend on its
    seed. Half as long as a word, a phrase is never the likeliest token to write. Doing it twice changes nothing.
    """
    pieces = {phrase: tokenizer(phrase, add_special_tokens=False)["input_ids"] for phrase in phrases}
    new = {phrase: spelled for phrase, spelled in pieces.items() if len(spelled) > 1}
    spellings = Counter(piece for spelled in new.values() for piece in set(spelled))
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in new])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    weight = model.get_input_embeddings().weight
    with torch.no_grad():
        for phrase, spelled in new.items():
            own = [piece for piece in spelled if spellings[piece] == 1] or spelled
            mean = weight[own].float().mean(dim=0)
            weight[tokenizer.convert_tokens_to_ids(phrase)] = (mean / 2).to(weight.dtype)
