"""Phrases of instruct models around a caption, in many languages: introductions, labels, closing remarks.

All patterns are for `regex`, whose partial matches tell whether a line that still grows may become one of them.
They repeat characters within limits only, so that matching takes linear time.
"""

import regex as re

from serving.prompting.phrase_patterns import any_of
from serving.prompting.refusals import REFUSAL

_ASSENT = any_of("""
    sure thing/sure/certainly/absolutely/of course/gladly/with pleasure/(?:i'm )?happy to help/i'd be happy to help
    i'd love to help/aber gerne/gerne/gern/natürlich/selbstverständlich/klar doch/claro que sí/claro/por supuesto
    con mucho gusto/con gusto/bien sûr/avec plaisir/certainement/volontiers/certo/certamente/ma certo/volentieri/con piacere
    com certeza/claro que sim/com prazer/natuurlijk/uiteraard/graag/oczywiście/jasne/конечно/звісно/självklart/selvfølgelig
    elbette/tabii ki/tentu saja/tentu/chắc chắn rồi/बिल्कुल/بالتأكيد/بالطبع/בטח/כמובן/בשמחה
    当然可以/当然/好的/没问题/當然可以/當然/沒問題/もちろんです/承知しました/물론입니다/물론이죠/물론
""")
"""Words that models answer a request with, before they do what it asks for."""

_INTERJECTION = (
    f"(?:{_ASSENT}|"
    + any_of("""
    okay/ok/alright/great/definitely/got it/no problem/yes/as requested/what a \\w+ (?:photo|image|picture|shot)
    thank you for sharing/thanks for sharing/klar/aber sicher/sicher/na klar/alles klar/desde luego/seguro
    d'accord/absolument/va bene/naturalmente/zeker/pewnie/jistě/samozřejmě/хорошо/visst/absolut/sikkert/tottakai/tietysti
    tabii/baik/tất nhiên/dĩ nhiên/ज़रूर/طبعا/もちろん/はい/네
""")
    + ")"
)

_HERE = any_of("""
    here's/here is/here are/here you go/below is/below are/i've written/i have written/i've created
    i have created/i came up with/i've come up with/i'd suggest/i would suggest/i suggest/how about/you could use
    try this/i think a/a possible/a suitable/a good/a great/one possible/based on the \\w+/my suggestion
    hier ist/hier sind/hier kommt/hier wäre/hier mein/hier ein/hier eine/anbei/mein vorschlag/wie wäre es mit
    aquí tienes/aquí está/aquí están/aquí va/aquí hay/aquí te dejo/te dejo/te propongo
    voici/voilà/je vous propose/je te propose
    ecco/ecco a te/eccoti/ti propongo
    aqui está/aqui estão/aqui vai/aqui vão/aqui tem/segue/seguem/eis
    hier is/hier zijn/hierbij/oto/proszę/tady je/zde je/zde jsou/вот/ось/här är/här kommer/her er/tässä on/tässä
    işte/aşağıda/berikut adalah/berikut/đây là/dưới đây là/यह रहा/यह रही/यहाँ/إليك/הנה
    以下是/以下为/这是/這是/为您/以下は/こちらが/こちらは/다음은/여기
""")

_CAPTION = any_of("""
    captions?/bildunterschrift(?:en)?/bildbeschreibung(?:en)?/pies? de foto/une légende/des légendes/una leyenda
    didascali[ae]/uma legenda/sua legenda/bijschrift(?:en)?/onderschrift/podpis\\w?/popisek/подпис\\w{1,3}/підпис
    bildtext(?:er)?/billedtekst/bildetekst/kuvateksti/altyazı/takarir/chú thích/कैप्शन/(?:ال)?تعليق/כיתוב
    (?:instagram|insta) posts?
    文案/配文/キャプション/캡션
""")
"""Words for a caption that hardly mean anything else."""

_NOUN = any_of("""
    options?/ideas?/suggestions?/posts?/versions?/variants?/instagram/hashtags?/json/description
    beschriftung/text/vorschl\\w{2,5}/beitrag/unterschrift/ideen?/varianten?
    leyendas?/t[íi]tulos?/opciones/opción/texto/descripci\\w{1,5}/publicación/propuestas?/sugerencias?
    l[ée]gendes?/propositions?/textes?/publications?/idées?/descriptions?
    testo/propost[ae]/opzion[ei]/descrizione
    legendas?/opç(?:ão|ões)/sugest(?:ão|ões)/descrição/publicação
    opties?/opis\\w?/propozycj\\w/popis/вариант\\w{0,3}/описание/förslag/forslag/başlı\\w{1,4}/açıklama\\w{0,3}
    keterangan/وصف/标题/说明/標題/説明/投稿/문구/설명
""")
"""Words for a caption that a caption itself may contain."""

_WEAK_LABEL = any_of("""
    post/text/title/output/version/beschriftung/titel/unterschrift/beitrag
    título/texto/publicación/texte/titre/publication/testo/titolo/publicação
""")
"""Words that are a label only behind an adjective, as in ``Instagram post:``."""

_ADJECTIVE = any_of("""
    the/your/my/our/an?/final/instagram/insta/ig/post/social media/photo/image/suggested/proposed/possible/generated/revised/updated
    short/medium/long/playful/inspirational/minimal/minimalist/professional/witty/funny/english/german/spanish/french
    die/der/das/deine?/ihre?/vorgeschlagene/mögliche
    el/la/tu/su/le/il/o/a/sugerida?/proposta/proposée?/votre/de instagram/para instagram/pour instagram/per instagram
""")

_PROPOSED = any_of("""
    final/instagram/insta/ig/suggested/proposed/generated/revised/updated/vorgeschlagener?/vorgeschlagenes
    sugerid[oa]/proposée?/propost[oa]/de instagram/para instagram/pour instagram/per instagram
""")

_MARKS = r"[\s*_#>\"“”„«»‹›「『'‘’`¡¿\p{Extended_Pictographic}\uFE0F\-–—•]{0,12}"
_EMOJI = r"(?:[\p{Emoji_Presentation}\p{Emoji_Modifier}\u200D\uFE0F]{1,6}\s{0,3})?"
_COLON = r"\s{0,3}[:：]"
_NUMBER = r"(?:#?\d{1,2}|[A-Ca-c]|one|two|three|eins|uno|una|un|une|um|uma)"
_BRACKETS = r"(?:\s{0,3}[(\[（][^()\[\]（）\n]{0,60}[)\]）])"

_OPENING = (
    r"(?:(?:what|that['’]s|that is|this (?:photo|image|picture)|i (?:can )?see|i love|great|beautiful|lovely|nice|perfect|"
    r"awesome|wow)\b[^\n:：!?.]{0,80}[!.]\s{1,3})?+"
)
"""Matches a sentence about the photo in front of an introduction."""

_INTERJECTED = rf"{_INTERJECTION}\s{{0,3}}[!！,.，。、:–—-]{{1,3}}\s{{0,3}}(?:[^\w\s]{{1,6}}\s{{0,3}})?"
_HERE_WITH = rf"{_OPENING}{_HERE}(?!\s{{1,3}}to\b)(?=[^\n:：]{{0,160}}?%s)[^\n:：]{{1,200}}[:：]"

INTRODUCTION = re.compile(
    rf"{_MARKS}(?:{_INTERJECTED}{_HERE_WITH % f'(?:{_CAPTION}|{_NOUN})'}|{_HERE_WITH % _CAPTION}"
    r"|(?:a|one|the)\s(?:\w{1,20}\s)?caption\b[^\n:：\"“]{0,60}?\b(?:would|could|might|may)\sbe"
    r"(?:\s{0,2}[:：]|\s{0,2}(?=[\"“'‘])))",
    re.IGNORECASE,
)
"""Matches an introduction up to its colon: ``Sure! Here's a caption for your photo:``. The caption may follow."""

_HERE_IS = any_of("here's/here is/here are/here you go/below is/below are/以下は/こちらが/다음은")

INTRODUCTORY_LINE = re.compile(
    rf"{_MARKS}(?:{_HERE_WITH % _NOUN}"
    rf"|(?:{_INTERJECTED})?{_OPENING}{_HERE_IS}"
    rf"(?=[^\n]{{0,120}}{_CAPTION})[^\n:：]{{0,160}}"
    rf"|(?:{_INTERJECTED})?here (?:you go|it is|they are)\s?[:!.]|(?:ご?提案です)\s?[:：]"
    r"|[\p{Hangul}\s,!]{0,20}(?:캡션|문구)(?:입니다|이에요|예요)?\s?[:：]"
    r"|[\p{Hiragana}\p{Katakana}\p{Han}ー、！]{0,20}キャプション(?:の例|案)?(?:です)?\s?[:：]"
    rf"|(?:{_INTERJECTED})?{_HERE}(?:\s(?:an?\s\w{{1,20}}\s)?one)?\s?[:：]|{_INTERJECTED}{_HERE}[^\n:：]{{0,6}}[:：])[\s*_]{{0,6}}",
    re.IGNORECASE,
)
"""Matches a line that as a whole is an introduction, perhaps without a colon."""

ABOUT_THE_PHOTO = re.compile(
    rf"(?:(?:the|this) (?:image|photo|picture)\b[^\n]{{0,40}}?\b(?:shows?|showcases|depicts?|features?|captures?|displays?|is)\b"
    rf"|(?:title|headline|titel|título|titre|titolo|заголовок|标题|標題|タイトル|제목){_COLON})[^\n]{{0,2000}}",
    re.IGNORECASE,
)
"""Matches a line that is the caption only if no other one follows: ``The image shows a cat.``, ``Title: Monday``"""

INTERJECTION = re.compile(rf"{_MARKS}{_INTERJECTION}\s{{0,3}}[!！.。:,~]{{1,3}}\s{{0,3}}{_EMOJI}", re.IGNORECASE)
"""Matches "Sure!" as a line of its own."""

ASSENT = re.compile(rf"{_MARKS}{_ASSENT}\s{{0,3}}[!！]\s{{0,3}}{_EMOJI}", re.IGNORECASE)
"""Matches "Sure!" in front of a caption."""

LABEL = re.compile(
    rf"(?:{_MARKS}{_INTERJECTED})?+{_MARKS}(?:(?:assistant(?=:)|(?:{_ADJECTIVE}[\s-]{{1,3}}){{0,4}}(?:{_CAPTION}|légende|leyenda|legenda)"
    r"(?:\s{1,3}(?:instagram|insta(?!\w)|(?:for|für|para|pour|per)\s[^\n:：.!?]{1,40})(?=\s{0,3}[:：]))?)"
    rf"|(?:{_PROPOSED}[\s-]{{1,3}}){{1,2}}{_WEAK_LABEL})(?:\s{{1,3}}{_NUMBER})?{_BRACKETS}?"
    rf"(?:{_COLON}|\s{{1,3}}[–—-]\s{{1,3}}|(?=[\s*_]{{0,6}}$))",
    re.IGNORECASE,
)
"""Matches a label in front of a caption: ``Instagram caption:``, ``Caption –``."""

OPTION = re.compile(
    rf"(?:{_MARKS}{_INTERJECTED})?+{_MARKS}(?:option|caption|version|variante?|choice|idea|idee|idée|suggestion|vorschlag|alternative|opción|"
    rf"opzione|opção|proposition|proposta|optie|opcja|вариант|alternativ|seçenek|pilihan|选项|選項|オプション|옵션)"
    rf"\s{{0,3}}{_NUMBER}\b{_BRACKETS}?"
    rf"(?:\s{{0,3}}[–—-]\s{{0,3}}[^\n:：]{{1,40}}[:：]|{_COLON}|[.)](?!\d)|\s{{1,3}}[–—-]|(?=[\s*_]{{0,6}}$))",
    re.IGNORECASE,
)
"""Matches the heading of one of several captions: ``Option 1:``, ``Caption 2 (playful):``, ``Option 3 - Witty:``."""

HASHTAG_LABEL = re.compile(
    rf"(?:\d{{1,2}}[.)]\s{{1,3}})?{_MARKS}(?:(?:and|with|plus|here|are|here['’]s|a|few|some|the|your|my|suggested|recommended|relevant|"
    r"popular|possible|related|more|instagram|und|hier|sind|ein|paar|passende|vorgeschlagene|los|algunos|y|les|quelques|et|gli|alcuni)"
    r"\s{1,3}){0,6}(?:hash\s?tags?|tags|etiquetas|etiketler|mots[- ]cl(?:ics|[ée]s)|mots[- ]dièse|хештеги|хэштеги|标签|话题|話題標籤|標籤|"
    r"ハッシュタグ|해시태그|hasht?agi|hashtaggar|الهاشتا[غج]ات|हैशटैग|האשטגים)"
    r"(?:\s{1,3}(?:for|to|that|of|für|zu|para|pour|per)\s[^\n#＃:：.!?]{1,60})?(?:\s{1,3}(?:(?:could|might) be|include|are))?"
    rf"{_BRACKETS}?(?:{_COLON}|\s{{1,3}}[–—-]\s|(?=[\s*_]{{0,6}}$)|(?=\s{{1,3}}[#＃]))",
    re.IGNORECASE,
)
"""Matches the label of a list of hashtags: ``Hashtags:``, ``Here are some hashtags for your post:``."""

INLINE_HASHTAG_LABEL = re.compile(
    r"(?:\s|(?<=[\p{Emoji_Presentation}\uFE0F.!?…]))[*_(\[]{0,3}(?:suggested\s|recommended\s)?hash\s?tags?\s?[*_]{0,3}[:：]",
    re.IGNORECASE,
)
"""Matches the label of a list of hashtags behind a caption."""

STYLE_LABEL = re.compile(
    r"[\s*_]{0,6}(?:playful|witty|funny|humorous|minimal(?:ist)?|inspirational|inspiring|professional|casual|poetic|"
    r"short(?:\sand|\s&)?(?:\ssweet)?|simple|descriptive|romantic|adventurous|nostalgic|engaging|creative|classic|"
    r"verspielt|witzig|inspirierend|minimalistisch|professionell|kurz|divertido|inspirador|minimalista|profesional|corto|"
    r"ludique|inspirante?|minimaliste|professionnel(?:le)?|court|giocoso|ispirazionale|breve)"
    rf"(?:\s(?:&|and|und|y|et|e)\s\p{{L}}{{3,20}})?(?:\s(?:tone|style|option|version))?{_BRACKETS}?{_COLON}",
    re.IGNORECASE,
)
"""Matches the style of a listed caption: ``Playful:``."""

DESCRIPTION = re.compile(
    rf"\A(?:{_MARKS}{_INTERJECTED})?+(?:{_MARKS}{_HERE}[^\n:：]{{1,120}}[:：]\s{{0,4}})?+"
    rf"(?:{_MARKS}(?:alt(?:ernative)?[- ]?text|(?:image |photo )?description|caption|bildbeschreibung|beschreibung|alternativtext|"
    r"texto alternativo|descripci[óo]n|texte alternatif|testo alternativo|descrizione|descri[çc][ãa]o|替代文本|代替テキスト)"
    r"\s{0,3}[:：]\s{0,4})?+",
    re.IGNORECASE,
)
"""Matches what comes before a description: ``Here is the alt text:``, ``Alt text:``."""

_DESCRIPTION = r"(?:(?:image |photo )?description|bildbeschreibung|beschreibung|descripci[óo]n|descrizione|descri[çc][ãa]o|描述|説明)"

OTHER_LABEL = re.compile(
    rf"{_MARKS}(?:alt[- ]?text|{_DESCRIPTION}|word count|emojis?|character count|explanation|rationale|"
    rf"why (?:this|it) works|translation|english translation|erklärung|übersetzung|wortanzahl|explicación|traducción|"
    rf"explication|traduction|spiegazione|traduzione|explicação|tradução){_BRACKETS}?{_COLON}"
    r"|[\s*_]{0,6}tone[\s*_]{0,3}:[\s*_]{0,3}(?:playful|inspirational|minimal|professional|witty)\b"
    r"|[\s*_]{0,6}length[\s*_]{0,3}:[\s*_]{0,3}(?:short|medium|long|\d{1,3} (?:words|characters))\b",
    re.IGNORECASE,
)
"""Matches the label of something that is neither caption nor hashtags."""

NEXT_SPEAKER = re.compile(r"(?:user|human|assistant|system|question|instruction|###)\s{0,3}:", re.IGNORECASE)
"""Matches the beginning of an invented next turn."""

ALTERNATIVE = re.compile(
    rf"{_MARKS}(?:alternatively[^\n:：.!?]{{1,40}}(?=[:：])|or (?:maybe|how about|try)|or|alternatively|another option|another idea|"
    r"oder|alternativ|ou|alternativement|o|oppure|"
    rf"alternativa|of|lub|или|または|或者|또는)[\s,:：.…*_-]{{0,6}}",
    re.IGNORECASE,
)
"""Matches a line between two captions: ``or``, ``Alternatively:``."""

REMARK = re.compile(
    r"[\s*_(\[]{0,6}(?:"
    r"(?:please\s)?let me know if (?:you(?:['’]d| would)?|this|that|it|there)"
    r"[^\n]{0,40}?\b(?:like (?:me|any|more|another|a |an |some|it|this|to)|changes?|adjust|more|another|any|different|works?)\b"
    r"|feel free to (?:adjust|modify|edit|tweak|customi[sz]e|personali[sz]e|change|adapt|use (?:it|this|these|any)|"
    r"let me know|ask (?:if|for)|replace|pick|choose)\b"
    r"|would you like (?:me to|another|more|some (?:more|other)|a different|any (?:other|changes))\b|do you want me to\b|want me to\b"
    r"|i hope (?:this|that|these|it|you like (?:it|this))\b[^\n]{0,40}?\b(?:helps?|works?|captures?|caption|like|useful)\b"
    r"|hope (?:this|that|these) (?:helps?|works?)\b"
    r"|if you(?:['’]d| would) (?:like|prefer)\b[^\n]{0,60}?\b(?:caption|version|tone|let me know|option|hashtags?)\b"
    r"|(?:this|the|these) (?:captions?|posts?|hashtags?|options?)\b[^\n]{0,30}?"
    r"\b(?:captures?|highlights?|uses?|follows?|reflects?|conveys?|emphasi[sz]es?|combines?|aims?|adds?|"
    r"(?:is|are) (?:short|designed|meant|perfect|intended|written|kept|a (?:play|nod|reference)|concise|playful|witty))\b"
    r"|note(?: that)?\s?:\s?(?:this|the|i|please|hashtags?|feel|since|as|you)\b|please note\b|remember to (?:adjust|replace)"
    r"|sag(?:en sie)? mir (?:bescheid|gerne|einfach)|lass(?:en sie)? (?:es )?mich (?:gerne )?wissen, (?:wenn|ob|falls)"
    r"|soll ich\b[^\n]{0,60}?(?:anpassen|ändern|variante|version|vorschl)|ich hoffe, (?:das|die|der|es) [^\n]{0,40}?gef[äa]ll"
    r"|möchtest du (?:noch |eine |weitere )|diese (?:bildunterschrift|caption)\b"
    r"|(?:espero que (?:te|le|os|esto)\b|av[íi]same si\b|h[áa]zme saber si\b|si (?:quieres|deseas|necesitas|prefieres)\b"
    r"[^\n]{0,50}?(?:otra|otro|cambi|ajust|versi|opci|m[áa]s)|¿(?:quieres|te gustar[íi]a) que\b)"
    r"|(?:n['’]h[ée]sitez? pas [àa]|n['’]h[ée]site pas [àa]|dites-moi si|dis-moi si|j['’]esp[èe]re que (?:cela|ça|cette)|"
    r"souhaitez-vous que|voulez-vous que)\b"
    r"|(?:fammi sapere se|fatemi sapere se|spero che (?:ti|vi|questa)|vuoi che)\b"
    r"|(?:me avise se|espero que (?:goste|ajude|você)|se (?:quiser|precisar)\b[^\n]{0,50}?(?:outra|ajust|mudan|vers|mais)|"
    r"gostaria que eu|quer que eu|sinta-se à vontade para)\b"
    r"|(?:laat (?:het )?me weten (?:als|of)|ik hoop dat (?:dit|deze)|daj mi znać, (?:jeśli|czy)|mam nadzieję, że (?:to|ten)|"
    r"дайте (?:мне )?знать, если|надеюсь, (?:это|вам))"
    r"|(?:希望(?:这|這|您|你)|如果(?:您|你)(?:需要|想要|希望)|如需|いかがでしょうか|ご希望|他に(?:も)?ご|도움이 되|원하시면|필요하시면)"
    r")[^\n]{0,2000}",
    re.IGNORECASE,
)
"""Matches a remark about the caption: ``Let me know if you'd like another one!``, ``Feel free to adjust it.``"""

INLINE_REMARK = re.compile(
    rf"(?<=[.!?…。！？\"”»)]\s|\p{{Emoji_Presentation}}\s|\uFE0F\s)(?:{REMARK.pattern}|{REFUSAL.pattern})",
    re.IGNORECASE,
)
"""Matches a remark or a refusal behind a sentence."""
