import random
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from model_replies import REPLIES, ModelReply

from demo.corpus.captions import write_caption
from demo.corpus.voices import VOICES
from demo.scenes.scene import sample_scene
from serving.prompting.reply_cleaning import clean, clean_description
from snap2caption.post import Post, parse, render

WRAPPED = (
    # Introductions
    ("Sure! Here's a caption for your photo:\nGolden hour.", "Golden hour."),
    ("Absolutely! Here's an engaging Instagram caption: Golden hour.", "Golden hour."),
    ("Certainly! Based on the image, here is a caption in a witty tone:\n\nGolden hour.", "Golden hour."),
    ("What a lovely photo! Here's a caption for it:\n\nGolden hour.", "Golden hour."),
    ("Here is your Instagram post:\n\nGolden hour.", "Golden hour."),
    ("Gerne! Hier ist ein Vorschlag für deinen Beitrag:\nGoldene Stunde.", "Goldene Stunde."),
    ("Natuurlijk! Hier is een bijschrift voor je foto:\nGouden uur.", "Gouden uur."),
    ("Oczywiście! Oto podpis do Twojego zdjęcia:\nZłota godzina.", "Złota godzina."),
    ("Конечно! Вот подпись к вашему фото:\nЗолотой час.", "Золотой час."),
    ("もちろんです！以下はキャプションです：\n黄金の時間。", "黄金の時間。"),
    ("물론입니다! 다음은 인스타그램 캡션입니다:\n황금빛 시간.", "황금빛 시간."),
    ("Elbette! İşte fotoğrafınız için bir başlık:\nAltın saat.", "Altın saat."),
    ("Of course! Here you go:\n\nGolden hour.", "Golden hour."),
    ("Here you go!\n\nGolden hour.", "Golden hour."),
    ("Claro, aqui está:\n\nHora dourada.", "Hora dourada."),
    ("ご提案です：\n\n「黄金の時間」\n\n#夕焼け", "黄金の時間\n#夕焼け"),
    ('A good caption for this photo could be "Golden hour."', "Golden hour."),
    ('I think a good caption would be: "Golden hour."', "Golden hour."),
    ("The image shows a bridge.\n\nCaption: Golden hour.\n#sunset", "Golden hour.\n#sunset"),
    ("The image shows a bridge.\n\n#bridge", "The image shows a bridge.\n#bridge"),
    ("Title: The bridge\nCaption: Golden hour.", "Golden hour."),
    ("The perfect caption for this photo would be: Golden hour. #sunset", "Golden hour.\n#sunset"),
    ("As requested, here is the caption: Golden hour.", "Golden hour."),
    ("Here is a possible Instagram post: Golden hour.", "Golden hour."),
    ("Here's one:\nGolden hour.", "Golden hour."),
    ("Absolutely! 😊\n\nGolden hour.", "Golden hour."),
    ("Sure! Golden hour never gets old.", "Golden hour never gets old."),
    ('Of course! 😊 "Golden hour." #sunset', "Golden hour.\n#sunset"),
    ("¡Claro! Hora dorada ☕", "Hora dorada ☕"),
    ("当然可以！黄金时刻", "黄金时刻"),
    ("물론입니다! 사진에 어울리는 캡션입니다:\n\n황금빛 시간.", "황금빛 시간."),
    ("はい、キャプションです：\n「黄金の時間。」", "黄金の時間。"),
    ("בטח! הנה כיתוב לתמונה:\nשעת הזהב.\n#שקיעה", "שעת הזהב.\n#שקיעה"),
    ("标题：晚霞\n文案：黄金时刻。\n话题：#晚霞", "黄金时刻。\n#晚霞"),
    ("Description: a bridge\nCaption: Golden hour.", "Golden hour."),
    # Labels
    ("Caption for Instagram: Golden hour.", "Golden hour."),
    ("Post caption: Golden hour.", "Golden hour."),
    ("Légende Instagram : L'heure dorée.\nMots-clés : #soleil", "L'heure dorée.\n#soleil"),
    ("1. **Caption**: Golden hour.\n2. **Hashtags**: #sunset #paris", "Golden hour.\n#sunset #paris"),
    ("Golden hour.\nTone: playful\nLength: 2 words\n#sunset", "Golden hour.\n#sunset"),
    ("📸 Caption: Golden hour.\n\n🏷️ Hashtags: #sunset", "Golden hour.\n#sunset"),
    ("Caption: Golden hour.", "Golden hour."),
    ("**Caption:** Golden hour.", "Golden hour."),
    ("**Caption**: Golden hour.", "Golden hour."),
    ("Caption – Golden hour.", "Golden hour."),
    ("Instagram caption: Golden hour.", "Golden hour."),
    ("Bildunterschrift: Goldene Stunde.", "Goldene Stunde."),
    ("Légende : L'heure dorée.", "L'heure dorée."),
    ("Pie de foto: Hora dorada.", "Hora dorada."),
    ("Suggested post:\nGolden hour.", "Golden hour."),
    ("<caption>Golden hour.</caption><hashtags>#sunset</hashtags>", "Golden hour.\n#sunset"),
    # Quotation marks
    *((f"{quoted}\n\n#sunset", "Golden hour.\n#sunset") for quoted in (
        '"Golden hour."', "“Golden hour.”", "„Golden hour.“", "«Golden hour.»", "« Golden hour. »", "»Golden hour.«",
        "'Golden hour.'", "‘Golden hour.’", "「Golden hour.」", "『Golden hour.』", "‹Golden hour.›",
    )),
    ('"Golden hour.\nSilver night."', "Golden hour.\nSilver night."),
    ('"Golden hour." ✨', "Golden hour. ✨"),
    ('"Golden hour', "Golden hour"),
    # Markdown
    ("**Golden** hour with a *very* good [dog](https://example.org/dog)", "Golden hour with a very good dog"),
    ("## Golden hour", "Golden hour"),
    ("*Golden hour* in the city", "Golden hour in the city"),
    ("Golden hour\\n\\n#sunset", "Golden hour\n#sunset"),
    ("> Golden hour", "Golden hour"),
    ("_Golden hour_", "Golden hour"),
    ("```\nGolden hour\n#sunset\n```", "Golden hour\n#sunset"),
    ("---\n\nGolden hour\n\n---\n\n#sunset", "Golden hour\n#sunset"),
    # Several captions
    ("1. Golden hour\n2. Silver night", "Golden hour"),
    ("1. **Witty:** Golden hour\n\n2. **Short:** Silver night\n\n#sunset", "Golden hour\n#sunset"),
    ("- Golden hour\n- Silver night", "Golden hour"),
    ("Option 1: Golden hour\nOption 2: Silver night", "Golden hour"),
    ("**Option 1 – Playful:** Golden hour\n\n**Option 2 – Witty:** Silver night", "Golden hour"),
    ('"Golden hour"\n\n"Silver night"', "Golden hour"),
    ("Golden hour\n\nor\n\nSilver night", "Golden hour"),
    # Hashtags
    ("Golden hour in #Paris with friends #sunset #friends", "Golden hour in Paris with friends\n#paris #sunset #friends"),
    ("Nothing beats #Paris! #sunset", "Nothing beats Paris!\n#paris #sunset"),
    ("Golden hour.\n\nHashtags: sunset, golden hour, Paris", "Golden hour.\n#sunset #goldenhour #paris"),
    ("Golden hour.\n\nHashtags:\n1. #sunset\n2. #paris", "Golden hour.\n#sunset #paris"),
    ("Golden hour. Hashtags: #sunset #paris", "Golden hour.\n#sunset #paris"),
    *((f"Golden hour. ✨\n{line}", "Golden hour. ✨\n#sunset #cityparks") for line in (
        "#sunset #CityParks ✨", "✨ #sunset 🌅 #CityParks 🌳", "#sunset, #CityParks", "#sunset / #CityParks", "#sunset & #CityParks",
        "(#sunset #CityParks)", "[#sunset, #CityParks]", "#sunset #city parks", "1. #sunset\n2. #CityParks", "#sunset# #CityParks#",
        "Hashtags #sunset #CityParks", "Here are some hashtags: #sunset #CityParks", "Hashtags for this post: #sunset #CityParks",
        "#sunset #city parks ✨", "And the hashtags: #sunset #CityParks", "Some relevant hashtags could be #sunset #CityParks.",
    )),
    *((f"Golden hour. ✨{end}", "Golden hour. ✨\n#sunset #paris") for end in (
        " #sunset, #paris.", " (#sunset #paris)", " — #sunset #paris", " #sunset 🌅 #paris ❤️", "#sunset#paris#", "Hashtags: #sunset #paris",
    )),
    ("Golden hour. #sunset 🌅", "Golden hour.\n#sunset"),
    # Remarks
    ("Golden hour.\n\nOr maybe:\n\nSilver night.", "Golden hour."),
    ("Golden hour.\n\nAlternatively, you could go with:\n\nSilver night.", "Golden hour."),
    ("Golden hour. Let me know if you'd like another one! #sunset", "Golden hour.\n#sunset"),
    ("Golden hour. I'm sorry, but I can't identify the person in the photo. #sunset", "Golden hour.\n#sunset"),
    ("Golden hour.\n\nFeel free to adjust it to your style!", "Golden hour."),
    ("Golden hour. Let me know if you'd like me to change anything!", "Golden hour."),
    ("Golden hour.\n\nThis caption captures the warm light of the scene.", "Golden hour."),
    ("Golden hour.\n\n(Note: I kept the caption short.)", "Golden hour."),
    ("Golden hour.\n\nWord count: 2", "Golden hour."),
    ("Golden hour.\n\n#sunset\n\nThis caption is short, fitting your request.", "Golden hour.\n#sunset"),
    ("Goldene Stunde.\n\n#sonne\n\nLass mich wissen, ob du Änderungen wünschst!", "Goldene Stunde.\n#sonne"),
    # Tokens
    ("<|im_start|>assistant\nGolden hour.<|im_end|>", "Golden hour."),
    ("Golden hour.<end_of_turn>\n<start_of_turn>user\nThanks", "Golden hour."),
    ("The user wants a caption.</think>Golden hour.", "Golden hour."),
    ("[THINK]The user wants a caption.[/THINK]Golden hour.", "Golden hour."),
    ("<|channel>thought\nThe user wants a caption.\n<channel|>Golden hour.<turn|>", "Golden hour."),
    ("Golden hour.\nUSER: Another one", "Golden hour."),
    # JSON
    ('{"hashtags": ["sunset"], "caption": "Golden hour."}', "Golden hour.\n#sunset"),
    ('{"caption": "Golden hour. #sunset"}', "Golden hour.\n#sunset"),
    ('{"caption": "Golden hour.\\nSilver ni', "Golden hour.\nSilver ni"),
    ('Here is the JSON:\n```json\n{"caption": "Golden hour."}\n```', "Golden hour."),
    ('{"captions": [{"caption": "Golden hour."}, {"caption": "Silver night."}]}', "Golden hour."),
    ('{"error": "no photo"}', ""),
)  # fmt: skip

REFUSALS = (
    "I'm sorry, but I can't assist with that.",
    "I’m unable to identify people in images.",
    "Sorry, I can't help with that request.",
    "I cannot create captions for this image.",
    "I'm not able to see images, but if you describe it, I can write a caption.",
    "I can't view or analyze images.",
    "I cannot identify who this is.",
    "I can't help with that.",
    "Sorry, I can't do that.",
    "Ich kann dieses Foto leider nicht beschreiben.",
    "As an AI language model, I don't have opinions.",
    "Unfortunately, I can't view the image.",
    "I don't see an image attached. Could you upload it?",
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "Leider kann ich keine Personen auf Fotos beschreiben.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Désolée, je ne peux pas répondre à cette demande.",
    "Mi dispiace, ma non posso aiutarti con questo.",
    "Desculpe, mas não posso ajudar com isso.",
    "Het spijt me, maar ik kan je daar niet bij helpen.",
    "Przykro mi, ale nie mogę w tym pomóc.",
    "Извините, но я не могу помочь с этим.",
    "抱歉，我无法协助处理这张图片。",
    "申し訳ありませんが、そのリクエストには対応できません。",
    "죄송하지만 도와드릴 수 없습니다.",
    "Üzgünüm, bu konuda yardımcı olamam.",
)

GOOD = (
    "Here's to the nights we won't remember with the friends we won't forget.",
    "Here’s to captions: nobody reads them anyway.",
    "Here is where the magic happens: my kitchen at 6 am.",
    "Sure, it rained all day. We danced anyway.",
    "Sure! Why not?",
    "Of course I ate the last one.",
    "Okay, one more photo and then we go. Maybe two.",
    "I can't believe this view is real.",
    "I can't help falling in love with this city.",
    "I can't help it, I'm in love.",
    "I can't help you, but coffee can.",
    "I can't do this without coffee ☕",
    "I won't do this again. Maybe.",
    "I can't process how beautiful this is.",
    "I can't describe how happy I am today!",
    "I can't identify this bird, but it stole my fries.",
    "I can't see the picture without smiling.",
    "I can't write a caption that does this justice.",
    "We can't generate this much joy alone.",
    "Please send an image of your lunch.",
    "Ich kann gar nicht beschreiben, wie schön es hier ist.",
    "No puedo describir lo feliz que estoy.",
    "Je ne peux pas décrire ce bonheur.",
    "*happy dance* It's Friday!",
    "I cannot stop looking at this sky.",
    "I'm unable to adult today.",
    "Sorry not sorry for the sunset spam 🌅",
    "Sorry, I can't hear you over the sound of the waves.",
    "I'm sorry, but I can't share my fries 🍟",
    "Unfortunately, I can't stay on this island forever.",
    "No photo does this place justice.",
    "I don't see a reason to leave.",
    "Mood: vacation.",
    "Current status: out of office until further notice 🌴",
    "Plot twist: the cat drove.",
    "Note to self: bring an umbrella to London.",
    "Recipe: one part salt, two parts sun.",
    "Answer: yes, always pizza.",
    "My answer: coffee. The question doesn't matter.",
    "Result: one very happy dog 🐶",
    "Text me when you get here: I'll be in the water.",
    '"Not all those who wander are lost." — Tolkien',
    '"Coffee first," she said, and nobody argued.',
    "'Twas the night before Christmas, and the dog ate the ham.",
    "’90s kid at heart.",
    "She said “yes” on the “wrong” side of the bridge.",
    "10/10 would get lost here again.",
    "3 cities, 2 friends, 1 suitcase.",
    "24 hours in Tokyo. Send help (and ramen).",
    "1. Wake up 2. Coffee 3. Repeat",
    "Three things I love:\n1. Mornings\n2. Mountains\n3. More mountains",
    "Let me know in the comments where to go next 👇",
    "Let me know if you've been here!",
    "Feel free to tag the friend who would do this.",
    "This caption is intentionally left blank.",
    "Caption this 👇",
    "Option A was a nap. I chose option B: a longer nap.",
    "Would you like some sun with that coffee?",
    "I hope this weekend never ends.",
    "If you like piña coladas, get in line.",
    "Would you like another slice? Yes.",
    "Want me to come back? Never.",
    "Feel free to change my mind.",
    "I hope this works out.",
    "Length: 12 km. Views: unlimited.",
    "Tone: sunburnt.",
    "Version 2.0 of me, now with tan.",
    "Or so they say.",
    "*sips coffee* Monday, we meet again.",
    "Leider kann ich nicht ewig hier bleiben.",
    "Je ne peux pas m'arrêter de sourire.",
    "Non posso smettere di guardare.",
    "I <3 NY",
    "¯\\_(ツ)_/¯ Mondays",
    "f**k it, let's travel",
    "5* view from a 2* hotel",
    "My favorite place on earth is ____.",
    "snake_case and camel humps in the same zoo",
    "This is the ultimate description of happiness: tacos.",
    "Tag yourself: I'm the seagull on the left.",
    "Voici Paris : pluie, lumière, bonheur.",
    "Hier beginnt der Sommer: barfuß und mit Eis in der Hand.",
    "Lo siento, no puedo dejar de mirar este mar... 🌊",
    "Désolé, mais cette vue mérite un deuxième café.",
    "Leider geil: Pommes am Strand.",
    "Klar, dass es regnet. Ist ja Hamburg.",
    "Certo che Roma sa come farsi amare.",
    "抱歉，今天只想晒太阳。",
    "We made it to the top, and our legs will never forgive us.\n\nWorth it. ⛰️",
    "Golden hour | Brooklyn",
    "Small steps. Big views. 👣",
    "❤️",
    "Here are three things I learned in Lisbon:\n1. Hills are real.\n2. Pastries help.",
    "Here you go again, Mondays.",
    "This photo is the reason my phone is full.",
    "The picture shows it all: no rain, no plans.",
    "The best caption is no caption.",
)  # fmt: skip

EVERY_REPLY = (
    *(reply for _, reply, _ in REPLIES),
    *(reply for reply, _ in WRAPPED),
    *REFUSALS,
    *(caption + end for caption in GOOD for end in ("", "\n\n#sunset #paris")),
)


@pytest.mark.parametrize("case", REPLIES, ids=lambda case: case.kind)
def test_replies_of_models_become_posts(case: ModelReply) -> None:
    assert clean(case.reply, finished=True) == case.post


@pytest.mark.parametrize(("reply", "post"), WRAPPED)
def test_what_surrounds_a_caption_is_removed(reply: str, post: str) -> None:
    assert clean(reply, finished=True) == post


@pytest.mark.parametrize("reply", REFUSALS)
def test_refusals_are_no_captions(reply: str) -> None:
    assert clean(reply, finished=True) == ""


def test_invisible_characters_in_json_are_dropped() -> None:
    reply = '{"caption": "Fog,\\u0015 then\\u200b ferry.", "hashtags": ["s\\u00adf"]}'
    assert clean(reply, finished=True) == "Fog, then ferry.\n#sf"


@pytest.mark.parametrize("reply", ["{", "[", '"', "**", "…", "-", "```", "{\n", "*#*", "“”"])
def test_signs_without_words_are_no_captions(reply: str) -> None:
    assert clean(reply, finished=True) == ""


@pytest.mark.parametrize("caption", GOOD)
def test_good_captions_stay_as_they_are(caption: str) -> None:
    assert clean(caption, finished=True) == parse(caption).caption
    assert clean(f"{caption}\n\n#sunset #paris", finished=True) == render(
        Post(parse(caption).caption, ("sunset", "paris"))
    )


def test_captions_of_the_demo_corpus_stay_as_they_are() -> None:
    phrases = [text for voice in VOICES.values() for text in (*voice.openers, *voice.closers)]
    rng = random.Random(5)
    captions = [parse(write_caption(sample_scene(rng), rng)) for _ in range(1500)]
    for post in [*(Post(phrase) for phrase in phrases), *captions]:
        assert clean(render(post), finished=True) == render(post)


def _check_growth(reply: str) -> None:
    whole = clean(reply, finished=True)
    before = ""
    for end in range(len(reply) + 1):
        now = clean(reply[:end], finished=False)
        assert now.startswith(before), (reply[:end], before, now)
        before = now
    assert parse(whole).caption.startswith(before), (reply, before, whole)


@pytest.mark.parametrize("reply", [reply for reply in EVERY_REPLY if "</think>" not in reply or "<think>" in reply])
def test_streamed_text_only_grows(reply: str) -> None:
    _check_growth(reply)


_PIECES = st.sampled_from(
    (
        *(line for reply in EVERY_REPLY if not re.search("</think>|<channel", reply) for line in reply.splitlines()),
        "\n", "\n\n", " ", "**", "*", "_", "`", "```", '"', "'", "“", "”", "#", "# ", "[", "](http://a.b)", "(", ")", "- ",
        "1. ", "2. ", "{", '"caption": "', "<", "|>", "</s>", "\\", "e\u0301", "👨\u200d👩\u200d👧", "🇩🇪", "\u0301", ":", "…",
    )
)  # fmt: skip


@given(st.lists(_PIECES, max_size=6).map("".join))
@example('"Golden hour"\n"Silver')
@example("Caption 1 – Witty: Golden")
def test_any_text_only_grows(reply: str) -> None:
    _check_growth(reply)


@given(st.text())
def test_any_text_is_cleaned_without_an_error(reply: str) -> None:
    for finished in (True, False):
        clean(reply, finished=finished)
    clean_description(reply)


@pytest.mark.parametrize(
    "piece",
    ["[", "(", "*", "**a", "_", "`", "<", "<think>", "#", "# ", '"', "“", "\\", "{\"", "1. ", "- ", "Sure! ", "Here's a ", "I'm sorry, ",
     "caption ", "#a ", "😸 #a ", "#a b ", "\n", "a\n", " ", "!", "Let me know if you ", "Hashtags: ", "~", "{\"caption\": \"", "\\u00"],
)  # fmt: skip
def test_cleaning_takes_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        for finished in (True, False):
            clean(text, finished=finished)
        return time.process_time() - started

    seconds(1000)
    # Ten times the text may take some twenty times as long, not a hundred times.
    assert seconds(20_000) < 40 * max(seconds(2000), 0.002)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("A cat lies on a red sofa.", "A cat lies on a red sofa."),
        ("**Alt text:** A cat lies on a red sofa. 🐱 #cat", "A cat lies on a red sofa."),
        ('Sure! Here\'s the alt text:\n\n"A cat lies on a red sofa."', "A cat lies on a red sofa."),
        ("Bildbeschreibung: Eine Katze liegt auf dem Sofa.", "Eine Katze liegt auf dem Sofa."),
        ("The image shows a cat.\nIt lies on a sofa.", "The image shows a cat. It lies on a sofa."),
        ("I'm sorry, I can't describe this image.", ""),
    ],
)
def test_descriptions_are_plain_sentences(reply: str, text: str) -> None:
    assert clean_description(reply) == text
