"""Refusals of models to write a caption, in many languages.

A refusal says what only models can't do: assist, or view the image. Captions that sound like one stay: people can't do
this without coffee, and can't describe how happy they are.
"""

import regex as re

from serving.prompting.phrase_patterns import any_of

_CANNOT = r"(?:can(?:['’]?t|not)|can not|am unable to|['’]m unable to|am not able to|['’]m not able to|won['’]t|will not be able to)"
_DETERMINERS = (
    r"(?:(?:the|this|that|these|those|your|any|an?|real|specific|particular|new|instagram|or|and|in|individual)\s){0,4}"
)
_IMAGE = r"(?:image|photo|photograph|picture|attachment|attached|file)s?\b(?!\s(?:without|enough|any ?more))"
_PEOPLE = r"(?:people|persons?|individuals?|faces?|who|someone|anyone)\b"
_DO = (
    r"(?:assist|comply|fulfil|provide|engage in|discuss|(?:continue with|respond to) (?:this|that|your)"
    r"|help (?:you )?with (?:(?:that|this|it|these|any|anything)\b|(?:your|the|this) (?:request|caption|image|photo|picture)"
    r"|request|identif|creat|writ|caption|descri)|help (?:you )?(?:by|identif|creat|writ)|help you(?=[.!]|\s{0,3}$)"
    rf"|(?:create|generate|write|produce|make) {_DETERMINERS}(?:captions?|posts?|content|descriptions?|texts?|hashtags?)\b"
    r"(?!\s(?:that|worthy|good|as|big))"
    rf"|(?:identify|identifying|recogni[sz]e|describe|name|caption) {_DETERMINERS}(?:{_PEOPLE}|{_IMAGE})"
    rf"|(?:view|see|access|open|process|analy[sz]e|interpret|look at)(?: or \w{{1,12}})? {_DETERMINERS}{_IMAGE})"
)
_SORRY = (
    r"(?:(?:i['’]?m |i am |we['’]re )?(?:very |so |really )?(?:sorry|afraid)|i apologi[sz]e|apologies|my apologies|unfortunately|"
    r"regrettably)"
)

_REGRET = any_of("""
    es tut mir (?:sehr )?leid/tut mir leid/entschuldigung/entschuldige/verzeihung/lo siento/lo lamento/disculp[ae]
    perd[óo]n/lamentablemente/je suis (?:vraiment )?d[ée]sol[ée]e?/d[ée]sol[ée]e?/malheureusement/mi dispiace/mi spiace
    spiacente/purtroppo/desculp[ae]/sinto muito/lamento/infelizmente/het spijt me/sorry/helaas/przykro mi/przepraszam
    niestety/извините/простите/к сожалению/мне жаль/вибачте/på grund/tyvärr/förlåt/beklager/desværre/valitettavasti
    üzgünüm/maalesef/maaf/xin lỗi/(?:很|非常)?抱歉/对不起/對不起/不好意思/申し訳ありませんが/申し訳ございませんが/すみませんが
    죄송하지만/죄송합니다만/미안하지만/عذر[اًا]{0,2}/آسف/أعتذر/क्षमा करें/माफ़ कीजिए
""")

_UNABLE = (
    r"(?:(?:aber |doch |dass |leider |pero |mais |ma |mas |maar |ale |но |men |tetapi |tapi |但(?:是)?)?"
    r"(?:(?:leider )?(?:ich )?(?:kann|darf|bin)\b[^\n]{0,120}?\b(?:nicht|keine?[nrms]?)\b|(?:yo )?no (?:puedo|me es posible)\b"
    r"|je ne (?:peux|suis|pourrai)\b|non (?:posso|sono in grado|riesco)\b|(?:eu )?n[ãa]o (?:posso|consigo)\b"
    r"|(?:ik )?kan\b[^\n]{0,120}?\b(?:niet|geen)\b|nie (?:mogę|jestem)\b|(?:я )?не (?:могу|можу)\b"
    r"|(?:kan )?(?:jag|jeg)\b[^\n]{0,60}?\b(?:inte|ikke)\b|en voi\b|saya tidak (?:bisa|dapat)\b|(?:tôi )?không thể\b"
    r"|我?(?:无法|無法|不能|没有办法)|[^\n]{0,60}?(?:できません|できかねます|いたしかねます|없습니다|어렵습니다)"
    r"|[^\n]{0,80}?(?:amam|emem|amıyorum|emiyorum)\b|لا (?:أستطيع|يمكنني)|[^\n]{0,80}?नहीं))"
)

_VERB = any_of("""
    helfen/weiterhelfen/unterstützen/erstellen/beschreiben/identifizieren/erkennen/beantworten/verfassen/generieren
    ayudar\\w{0,3}/asistir\\w{0,3}/proporcionar/crear/generar/identificar/describir/responder/cumplir/procesar/ver la imagen
    aider/répondre/fournir/créer/générer/identifier/décrire/traiter/assister/accéder/voir l['’]image
    aiutar\\w{0,3}/fornire/creare/generare/identificare/descrivere/rispondere/soddisfare/elaborare/assister\\w{0,3}
    ajudar/ajudá-\\w{1,3}/fornecer/criar/gerar/descrever/atender/processar/helpen/maken/beschrijven/beantwoorden
    pomóc/stworzyć/opisać/wygenerować/zidentyfikować/помочь/создать/описать/выполнить/ответить/допомогти
    hjälpa/skapa/beskriva/hjelpe/hjælpe/lage/beskrive/auttaa/luoda/yardımcı/oluştur\\w{0,8}/tanımla\\w{0,8}
    membantu/membuat/giúp/hỗ trợ/tạo/协助/帮助/提供/处理/识别/生成/描述/回答/满足/查看/協助/幫助
    対応/お手伝い/お答え/作成/識別/提供/説明/도와/도움/제공/생성/작성/식별/답변/처리/설명
    مساعد\\w{0,3}/إنشاء/وصف/मदद/सहायता/बना
""")
"""What a model says that it can't do. People can't do other things: stop looking, believe it, stay."""

_OBJECT = any_of("""
    bild(?:er|ern|es)?/fotos?/aufnahmen?/anfrage/personen/imagen/im[áa]genes/fotograf[íi]as?/solicitud/personas/images?
    photos?/demande/personnes/immagin[ei]/foto/richiesta/persone/imagem/imagens/pedido/pessoas/afbeelding(?:en)?/verzoek
    zdjęci\\w{1,3}/prośb\\w{1,2}/os[oó]b/изображени\\w{1,3}/фото\\w{0,8}/запрос\\w{0,2}/зображен\\w{1,3}/bilden/bildet/kuva\\w{0,3}
    görsel\\w{0,4}/fotoğraf\\w{0,4}/gambar/hình ảnh/图片?/图像/照片/请求/圖片?/請求/画像/写真/リクエスト/ご要望
    이미지/사진/요청/صور[ةه]?/الصور[ةه]?/तस्वीर/छवि/dabei/damit/con eso/avec cela/con questo/com isso
""")
"""What a model names that does not begin with regrets."""

REFUSAL = re.compile(
    r"[\s\"“*]{0,6}(?:"
    rf"(?:{_SORRY}[\s,.!]{{0,3}}(?:but |that )?)?+(?:i |we ){_CANNOT} {_DO}"
    rf"|{_SORRY}[\s,.!]{{0,3}}(?:but |that )?(?:i |we ){_CANNOT} do (?:that|this)(?=[.!]|\s{{0,3}}$)"
    rf"|i['’]m (?:unable|not able) to {_DO}"
    rf"|as an? (?:ai|language model|large language model|artificial|text-based|responsible)\b"
    rf"|i(?: do not|['’]?\s?don['’]?t)(?: actually| currently)? (?:see|have access to|have the ability to|feel comfortable)\b"
    r"[^\n]{0,30}?(?:image|photo|picture|attach|file|view|see|writ|creat|describ|ident)"
    r"|(?:there (?:is|was) )?no (?:image|photo|picture) (?:was |has been |is )?(?:attached|provided|included|visible)"
    r"|(?:please|could you|can you) (?:upload|provide|share|attach|send) (?:the|an?|your) (?:image|photo|picture)\b(?! of)"
    r"|als (?:ki|ai|sprachmodell)\b|como (?:modelo de lenguaje|modelo de linguagem|una ia|uma ia|um modelo|ia)\b"
    r"|en tant qu['’](?:ia|intelligence artificielle|assistant|mod[èe]le)|in quanto (?:ia|modello|intelligenza artificiale)\b"
    rf"|(?=[^\n]{{0,160}}?{_VERB})(?:{_REGRET}[\s,，、،.。!！–—-]{{0,4}}|(?=[^\n]{{0,160}}?{_OBJECT})){_UNABLE}"
    r")[^\n]{0,2000}",
    re.IGNORECASE,
)
"""Matches a refusal to write a caption."""
