"""Replies as instruct models write them, and the posts that should become of them.

``python tests/support/model_replies.py`` prints them as a Markdown table, with what the cleaner makes of each.
"""

from typing import NamedTuple

from serving.prompting.reply_cleaning import clean


class ModelReply(NamedTuple):
    """A reply in the manner of a kind of model."""

    kind: str
    reply: str
    post: str


REPLIES = (
    ModelReply(
        "GPT",
        "Sure! Here's a caption for your photo:\n\n**Caption:** “Golden hour on the Golden Gate ✨”\n\n"
        "**Hashtags:** #GoldenGate #SanFrancisco #sunset\n\nLet me know if you'd like a different tone! 😊",
        "Golden hour on the Golden Gate ✨\n#goldengate #sanfrancisco #sunset",
    ),
    ModelReply(
        "GPT, structured output",
        '{"caption":"Coffee first, \\"city\\" second \\u2615\\ufe0f","hashtags":["#coffee","#Chicago","morning light"]}',
        'Coffee first, "city" second ☕️\n#coffee #chicago #morninglight',
    ),
    ModelReply(
        "Gemma",
        "Here are a few options for an Instagram caption, depending on the vibe you're going for:\n\n"
        "**Option 1 (Playful):**\n\nLegs for days, patience for none. 🐴 Who's taking whom for a walk?\n\n"
        "#horse #countryside\n\n**Option 2 (Short & Sweet):**\n\nUnbridled joy. 🐎\n\n---\n\n"
        "**To help me tailor the caption even more, could you tell me:**\n* What is the overall vibe?\n",
        "Legs for days, patience for none. 🐴 Who's taking whom for a walk?\n#horse #countryside",
    ),
    ModelReply(
        "Gemma, German",
        "Hier sind drei Vorschläge für eine Bildunterschrift:\n\n1. **Verspielt:** „Möwen klauen Pommes, ich klaue den "
        "Sonnenuntergang.“ 🌅\n2. **Kurz:** „Meer davon.“\n3. **Witzig:** „Salz in der Luft.“\n\n"
        "**Hashtags:** #Nordsee, #Sonnenuntergang, #Möwe\n\nSoll ich noch eine Variante anpassen?",
        "Möwen klauen Pommes, ich klaue den Sonnenuntergang. 🌅\n#nordsee #sonnenuntergang #möwe",
    ),
    ModelReply(
        "LLaVA",
        '"A moment of calm before the city wakes up. ☕ #coffee #morning #rooftop"',
        "A moment of calm before the city wakes up. ☕\n#coffee #morning #rooftop",
    ),
    ModelReply(
        "LLaVA, Vicuna's template",
        "ASSISTANT: Exploring the streets of #Paris, one croissant at a time. #travel #foodie</s>USER: Thanks!",
        "Exploring the streets of Paris, one croissant at a time.\n#paris #travel #foodie",
    ),
    ModelReply(
        "Qwen-VL",
        "Caption: Two rockets, one sky. The future landed this morning. 🚀\nHashtags: rocket, space launch, engineering\n"
        "<|im_end|>\n",
        "Two rockets, one sky. The future landed this morning. 🚀\n#rocket #spacelaunch #engineering",
    ),
    ModelReply(
        "Qwen-VL, thinking",
        "<think>\nThe user wants a playful caption. There is a cat. Let me count the words.\n</think>\n\n"
        "Monday called. I let it go to voicemail. 😼\n\n#cat #monday #lazyday",
        "Monday called. I let it go to voicemail. 😼\n#cat #monday #lazyday",
    ),
    ModelReply(
        "Qwen-VL, Chinese",
        "当然！以下是为您的照片撰写的文案：\n\n「夕阳落在金门大桥上，时间也慢了下来。」\n\n标签：#金门大桥 #旧金山 #日落",
        "夕阳落在金门大桥上，时间也慢了下来。\n#金门大桥 #旧金山 #日落",
    ),
    ModelReply(
        "SmolVLM",
        "A cat is sitting on a table.\nA cat is sitting on a table.\nA cat is sitting on a table.\n",
        "A cat is sitting on a table.",
    ),
    ModelReply(
        "SmolVLM, headings",
        "### Instagram Caption\n\nA cup of coffee and a good book. (8 words)\n\n### Hashtags\n\n- #coffee\n- #reading\n- cozy "
        "morning<end_of_utterance>",
        "A cup of coffee and a good book.\n#coffee #reading #cozymorning",
    ),
    ModelReply(
        "Llama Vision, Spanish",
        "¡Claro! Aquí tienes un pie de foto para Instagram:\n\n«El mar no pregunta, solo abraza. 🌊»\n\n"
        "#mar #Valencia #atardecer\n\n¿Quieres que lo haga más corto?",
        "El mar no pregunta, solo abraza. 🌊\n#mar #valencia #atardecer",
    ),
    ModelReply(
        "Pixtral, French",
        "Bien sûr ! Voici une légende pour votre photo :\n\n> « Paris s'éveille, et moi aussi. »\n\n"
        "**Hashtags :** #Paris #matin #café\n\nN'hésitez pas à me dire si vous souhaitez une autre version.",
        "Paris s'éveille, et moi aussi.\n#paris #matin #café",
    ),
    ModelReply(
        "Ministral, Italian",
        "Certo! Ecco una didascalia per la tua foto:\n\n*Roma non si spiega, si cammina.* 🏛️\n\n#Roma #Colosseo",
        "Roma non si spiega, si cammina. 🏛️\n#roma #colosseo",
    ),
    ModelReply(
        "InternVL, Portuguese",
        "Claro! Aqui está uma legenda para a sua foto: \"Pôr do sol com sabor de férias. 🌴\" #praia #verão",
        "Pôr do sol com sabor de férias. 🌴\n#praia #verão",
    ),
    ModelReply(
        "GPT, refusal",
        "I'm sorry, but I can't help with identifying or captioning photos of real people.",
        "",
    ),
    ModelReply(
        "Phi Vision, half a refusal",
        "I can't identify the people in this image, but here's a caption:\n\n\"Sunday smiles and second helpings. 🥞\"",
        "Sunday smiles and second helpings. 🥞",
    ),
    ModelReply(
        "DeepSeek-VL",
        "```json\n{\n  \"caption\": \"Old walls, new light.\",\n  \"hashtags\": [\"#lisbon\", \"#alfama\"]\n}\n```",
        "Old walls, new light.\n#lisbon #alfama",
    ),
)  # fmt: skip


def table() -> str:
    """Return the replies as a Markdown table."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", "⏎")

    rows = [
        f"| {kind} | {cell(reply)} | {cell(clean(reply, finished=True)) or '(none)'} |" for kind, reply, _ in REPLIES
    ]
    return "\n".join(["| kind | reply | post |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())
