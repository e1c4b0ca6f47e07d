"""What an abstention says, in the language of the question. Clients rely on `abstained` and `reason`, not on the words."""

from collections.abc import Mapping
from types import MappingProxyType

ABSTENTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "no_results": {
            "en": "There are no documents here that I could answer from.",
            "de": "Hier gibt es keine Dokumente, aus denen ich antworten könnte.",
            "fr": "Il n'y a ici aucun document à partir duquel je pourrais répondre.",
            "es": "Aquí no hay documentos a partir de los cuales pueda responder.",
            "it": "Qui non ci sono documenti da cui io possa rispondere.",
            "pt": "Não há aqui documentos a partir dos quais eu possa responder.",
            "nl": "Er zijn hier geen documenten waaruit ik zou kunnen antwoorden.",
            "ru": "Здесь нет документов, на основании которых можно ответить.",
            "zh": "这里没有可以据以回答的文档。",
            "ja": "回答のもとになる文書がここにはありません。",
            "ko": "여기에는 답변의 근거가 될 문서가 없습니다.",
            "ar": "لا توجد هنا مستندات يمكنني الإجابة منها.",
            "hi": "यहाँ ऐसा कोई दस्तावेज़ नहीं है जिससे उत्तर दिया जा सके।",
        },
        "low_score": {
            "en": "I found nothing on this subject in these documents.",
            "de": "Zu diesem Thema habe ich in diesen Dokumenten nichts gefunden.",
            "fr": "Je n'ai rien trouvé à ce sujet dans ces documents.",
            "es": "No he encontrado nada sobre este tema en estos documentos.",
            "it": "Non ho trovato nulla su questo argomento in questi documenti.",
            "pt": "Não encontrei nada sobre este assunto nestes documentos.",
            "nl": "Ik heb over dit onderwerp niets gevonden in deze documenten.",
            "ru": "В этих документах ничего не нашлось на эту тему.",
            "zh": "在这些文档中没有找到与此主题有关的内容。",
            "ja": "これらの文書には、この話題に関する記述が見つかりませんでした。",
            "ko": "이 문서들에서 이 주제에 관한 내용을 찾지 못했습니다.",
            "ar": "لم أجد شيئًا عن هذا الموضوع في هذه المستندات.",
            "hi": "इन दस्तावेज़ों में इस विषय पर कुछ नहीं मिला।",
        },
        "insufficient_context": {
            "en": "These documents touch on this subject, but I found no passage that answers the question.",
            "de": "Diese Dokumente berühren das Thema, aber ich habe keine Stelle gefunden, die die Frage beantwortet.",
            "fr": "Ces documents abordent ce sujet, mais je n'ai trouvé aucun passage qui réponde à la question.",
            "es": "Estos documentos tratan este tema, pero no he encontrado ningún pasaje que responda a la pregunta.",
            "it": "Questi documenti toccano l'argomento, ma non ho trovato alcun passo che risponda alla domanda.",
            "pt": "Estes documentos abordam o assunto, mas não encontrei nenhuma passagem que responda à pergunta.",
            "nl": "Deze documenten raken aan het onderwerp, maar ik heb geen passage gevonden die de vraag beantwoordt.",
            "ru": "Эти документы касаются этой темы, но места, которое отвечает на вопрос, не нашлось.",
            "zh": "这些文档涉及此主题，但没有找到能回答这个问题的段落。",
            "ja": "これらの文書はこの話題に触れていますが、質問に答える箇所は見つかりませんでした。",
            "ko": "이 문서들은 이 주제를 다루지만, 질문에 답하는 부분을 찾지 못했습니다.",
            "ar": "تتطرق هذه المستندات إلى هذا الموضوع، لكنني لم أجد فقرة تجيب عن السؤال.",
            "hi": "ये दस्तावेज़ इस विषय को छूते हैं, पर प्रश्न का उत्तर देने वाला कोई अंश नहीं मिला।",
        },
    }
)
"""Reason → language → words. A language that is missing, or not known, is answered in English."""


def words_of_abstention(reason: str, language: str) -> str:
    """For people to read."""
    words = ABSTENTIONS[reason]
    return words.get(language, words["en"])
