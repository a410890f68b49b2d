"""The language detector, measured on short captions: ten in each of 13 languages, written for this test."""

import pytest

from snap2caption.text.language_detection import may_be_in

CAPTIONS = {
    "en": (
        "Golden hour never disappoints.",
        "Coffee first, city second.",
        "Lost in the right direction.",
        "Slow mornings, warm light.",
        "The best views come after the hardest climb.",
        "Just me and the sea.",
        "Another day, another sunset to fall in love with.",
        "Tiny paws, big attitude.",
        "We came for the food and stayed for the rain.",
        "Monday called. I let it go to voicemail.",
    ),
    "de": (
        "Die goldene Stunde enttäuscht nie.",
        "Erst Kaffee, dann die Stadt.",
        "Möwen klauen Pommes, ich klaue den Sonnenuntergang.",
        "Langsame Morgen, warmes Licht.",
        "Die schönste Aussicht kommt nach dem härtesten Aufstieg.",
        "Nur ich und das Meer.",
        "Sonntags ist die Welt ein bisschen leiser.",
        "Kleine Pfoten, große Klappe.",
        "Wir kamen wegen des Essens und blieben wegen des Regens.",
        "Montag hat angerufen. Ich bin nicht rangegangen.",
    ),
    "es": (
        "La hora dorada nunca decepciona.",
        "Primero café, luego la ciudad.",
        "El mar no pregunta, solo abraza.",
        "Mañanas lentas, luz cálida.",
        "Las mejores vistas llegan después de la subida más dura.",
        "Solo el mar y yo.",
        "Otro día, otro atardecer para enamorarse.",
        "Patitas pequeñas, gran carácter.",
        "Vinimos por la comida y nos quedamos por la lluvia.",
        "Llamó el lunes. No contesté.",
    ),
    "fr": (
        "L'heure dorée ne déçoit jamais.",
        "D'abord un café, ensuite la ville.",
        "Paris s'éveille, et moi aussi.",
        "Matins lents, lumière douce.",
        "Les plus belles vues viennent après la montée la plus dure.",
        "Juste moi et la mer.",
        "Encore un coucher de soleil à aimer.",
        "Petites pattes, grand caractère.",
        "On est venus pour manger, on est restés pour la pluie.",
        "Lundi a appelé. J'ai laissé sonner.",
    ),
    "it": (
        "L'ora dorata non delude mai.",
        "Prima il caffè, poi la città.",
        "Roma non si spiega, si cammina.",
        "Mattine lente, luce calda.",
        "Le viste più belle arrivano dopo la salita più dura.",
        "Solo io e il mare.",
        "Un altro tramonto di cui innamorarsi.",
        "Zampe piccole, grande carattere.",
        "Siamo venuti per il cibo e rimasti per la pioggia.",
        "Ha chiamato lunedì. Non ho risposto.",
    ),
    "pt": (
        "A hora dourada nunca desilude.",
        "Primeiro o café, depois a cidade.",
        "Pôr do sol com sabor de férias.",
        "Manhãs lentas, luz quente.",
        "As melhores vistas vêm depois da subida mais difícil.",
        "Só eu e o mar.",
        "Mais um pôr do sol para se apaixonar.",
        "Patinhas pequenas, grande atitude.",
        "Viemos pela comida e ficamos pela chuva.",
        "A segunda-feira ligou. Não atendi.",
    ),
    "nl": (
        "Het gouden uur stelt nooit teleur.",
        "Eerst koffie, dan de stad.",
        "Even uitwaaien aan zee.",
        "Trage ochtenden, warm licht.",
        "De mooiste uitzichten komen na de zwaarste klim.",
        "Alleen ik en de zee.",
        "Weer een zonsondergang om verliefd op te worden.",
        "Kleine pootjes, grote mond.",
        "We kwamen voor het eten en bleven voor de regen.",
        "Maandag belde. Ik nam niet op.",
    ),
    "pl": (
        "Złota godzina nigdy nie zawodzi.",
        "Najpierw kawa, potem miasto.",
        "Tylko ja i morze.",
        "Powolne poranki, ciepłe światło.",
        "Najlepsze widoki są po najtrudniejszej wspinaczce.",
        "Kolejny zachód słońca do zakochania.",
        "Małe łapki, wielki charakter.",
        "Przyjechaliśmy dla jedzenia, zostaliśmy dla deszczu.",
        "Poniedziałek dzwonił. Nie odebrałem.",
        "Zgubiona w dobrym kierunku.",
    ),
    "sv": (
        "Den gyllene timmen gör aldrig besviken.",
        "Först kaffe, sedan staden.",
        "Bara jag och havet.",
        "Långsamma morgnar, varmt ljus.",
        "De bästa utsikterna kommer efter den tuffaste klättringen.",
        "Ännu en solnedgång att bli kär i.",
        "Små tassar, stor attityd.",
        "Vi kom för maten och stannade för regnet.",
        "Måndag ringde. Jag svarade inte.",
        "Vilse åt rätt håll.",
    ),
    "tr": (
        "Altın saat asla hayal kırıklığına uğratmaz.",
        "Önce kahve, sonra şehir.",
        "Sadece ben ve deniz.",
        "Yavaş sabahlar, sıcak ışık.",
        "En güzel manzaralar en zor tırmanıştan sonra gelir.",
        "Aşık olunacak bir gün batımı daha.",
        "Küçük patiler, büyük tavır.",
        "Yemek için geldik, yağmur için kaldık.",
        "Pazartesi aradı. Açmadım.",
        "Doğru yönde kaybolmak.",
    ),
    "ru": (
        "Золотой час никогда не разочаровывает.",
        "Сначала кофе, потом город.",
        "Только я и море.",
        "Медленное утро, тёплый свет.",
        "Лучшие виды открываются после самого трудного подъёма.",
        "Ещё один закат, в который можно влюбиться.",
        "Маленькие лапки, большой характер.",
        "Мы приехали за едой, а остались из-за дождя.",
        "Понедельник звонил. Я не взял трубку.",
        "Потерялась в правильном направлении.",
    ),
    "ja": (
        "黄金の時間は裏切らない。",
        "まずはコーヒー、それから街へ。",
        "海と私だけ。",
        "ゆっくりした朝、あたたかい光。",
        "最高の景色は一番きつい登りのあとに。",
        "また恋に落ちる夕焼け。",
        "小さな足、大きな態度。",
        "食べに来て、雨で残った。",
        "月曜日から電話。出なかった。",
        "正しい方向に迷子。",
    ),
    "zh": (
        "黄金时刻从不让人失望。",
        "先喝咖啡，再逛城市。",
        "只有我和大海。",
        "慢慢的早晨，温暖的光。",
        "最美的风景在最难的攀登之后。",
        "又一个让人心动的日落。",
        "小小的爪子，大大的脾气。",
        "为美食而来，为雨停留。",
        "星期一来电，我没接。",
        "在正确的方向上迷路。",
    ),
}  # fmt: skip

OTHERS = [language for language in CAPTIONS if language != "en"]


@pytest.mark.parametrize("language", CAPTIONS)
def test_no_caption_in_the_language_is_rejected(language: str) -> None:
    assert [caption for caption in CAPTIONS[language] if not may_be_in(caption, language)] == []


@pytest.mark.parametrize("language", OTHERS)
def test_english_is_told_from_the_language(language: str) -> None:
    # Two words are too few to tell.
    english = [caption for caption in CAPTIONS["en"] if may_be_in(caption, language)]
    assert len(english) <= 1, english
    foreign = [caption for caption in CAPTIONS[language] if may_be_in(caption, "en")]
    assert len(foreign) <= 1, foreign


def test_nearly_every_other_language_is_told_from_the_language() -> None:
    pairs = [
        (text, language)
        for spoken in CAPTIONS
        for text in CAPTIONS[spoken]
        for language in CAPTIONS
        if language != spoken
    ]
    missed = [pair for pair in pairs if may_be_in(*pair)]
    assert len(missed) <= 0.02 * len(pairs), missed


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Fernweh.", "en"),
        ("🌅🌅🌅", "de"),
        ("Golden hour in Brooklyn 🌉 with the whole family", "en-GB"),
        ("Pôr do sol com sabor de férias na praia.", "pt-BR"),
        ("黄金时刻从不让人失望。", "zh-Hant"),
        ("Bare meg og havet i dag.", "nb"),
        ("Bare mig og havet i dag.", "da"),
        ("Hanya aku dan laut pagi ini.", "id"),
        ("Any text at all passes in a language that the detector does not know.", "tlh"),
    ],
)
def test_what_can_not_be_told_passes(text: str, language: str) -> None:
    assert may_be_in(text, language)
