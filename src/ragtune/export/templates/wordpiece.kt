import java.text.Normalizer
import java.util.Locale

/** A token with the code points of the text that it stands for. */
class Piece(val id: Long, val start: Int, val end: Int)

/** BERT's WordPiece, lower case, without accents: the tokens of tokenizer.json, from vocab.txt. */
class WordPiece(vocabulary: List<String>) {
    private val ids = vocabulary.withIndex().associate { it.value to it.index.toLong() }
    private val unknown = ids.getValue("[UNK]")

    fun encode(text: String): List<Piece> {
        val pieces = ArrayList<Piece>()
        val word = StringBuilder()
        val places = ArrayList<Int>()
        fun end() {
            pieces.addAll(split(word.toString(), places))
            word.setLength(0)
            places.clear()
        }
        text.codePoints().toArray().forEachIndexed { index, code ->
            if (isSpace(code)) end()
            else if (!isControl(code)) {
                val parts = Normalizer.normalize(String(Character.toChars(code)), Normalizer.Form.NFD)
                for (part in parts.codePoints().toArray()) {
                    if (Character.getType(part) == Character.NON_SPACING_MARK.toInt()) continue
                    val alone = isPunctuation(part) || isIdeograph(part)
                    if (alone) end()
                    for (char in String(Character.toChars(part)).toLowerCase(Locale.ROOT)) {
                        word.append(char)
                        places.add(index)
                    }
                    if (alone) end()
                }
            }
        }
        end()
        return pieces
    }

    private fun split(word: String, places: List<Int>): List<Piece> {
        if (word.isEmpty()) return emptyList()
        val whole = listOf(Piece(unknown, places.first(), places.last() + 1))
        if (word.codePointCount(0, word.length) > 100) return whole
        val pieces = ArrayList<Piece>()
        var from = 0
        while (from < word.length) {
            var to = word.length
            while (to > from && ids[key(word, from, to)] == null) to -= 1
            val id = ids[key(word, from, to)] ?: return whole
            pieces.add(Piece(id, places[from], places[to - 1] + 1))
            from = to
        }
        return pieces
    }

    private fun key(word: String, from: Int, to: Int) =
        if (from == 0) word.substring(from, to) else "##" + word.substring(from, to)

    private fun isSpace(code: Int) =
        Character.isWhitespace(code) || Character.isSpaceChar(code) || code == 0x85

    private fun isControl(code: Int): Boolean {
        val type = Character.getType(code)
        return code == 0 || code == 0xFFFD || type == Character.CONTROL.toInt() ||
            type == Character.FORMAT.toInt() || type == Character.PRIVATE_USE.toInt() ||
            type == Character.SURROGATE.toInt()
    }

    private fun isPunctuation(code: Int): Boolean {
        if (code in 33..47 || code in 58..64 || code in 91..96 || code in 123..126) return true
        return when (Character.getType(code).toByte()) {
            Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION,
            Character.START_PUNCTUATION, Character.END_PUNCTUATION,
            Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION,
            Character.OTHER_PUNCTUATION -> true
            else -> false
        }
    }

    private fun isIdeograph(code: Int) =
        code in 0x4E00..0x9FFF || code in 0x3400..0x4DBF || code in 0x20000..0x2A6DF ||
            code in 0x2A700..0x2B73F || code in 0x2B740..0x2B81F || code in 0x2B920..0x2CEAF ||
            code in 0xF900..0xFAFF || code in 0x2F800..0x2FA1F
}
