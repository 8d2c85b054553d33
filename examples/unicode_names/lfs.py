"""Labeling functions that guess what kind of character a Unicode name belongs to.

They say what a reader of many names would say, and each is wrong somewhere: QUESTION MARK is no
mark, and COMBINING LATIN SMALL LETTER A is no letter. Weighing them is the label model's work.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc

from labelmill import ABSTAIN, keywords, labeling_function, regex

# Letters

letter = keywords("letter", label="letter", field="name", words=["letter"])

syllable = keywords(
    "syllable",
    label="letter",
    field="name",
    words=["syllable", "syllables", "ideogram", "ideograph", "ligature"],
)

capital_or_small = keywords(
    "capital_or_small", label="letter", field="name", words=["capital", "small"]
)

ancient_script = regex(
    "ancient_script",
    label="letter",
    field="name",
    pattern=r"^(CUNEIFORM|LINEAR [AB]|OLD \w+|CYPRIOT|PHOENICIAN|RUNIC|UGARITIC|MEROITIC)\b",
)

mathematical_alphabet = regex(
    "mathematical_alphabet",
    label="letter",
    field="name",
    pattern=r"^MATHEMATICAL (BOLD|ITALIC|SCRIPT|FRAKTUR|DOUBLE-STRUCK|SANS-SERIF|MONOSPACE)\b",
)

LIVING_SCRIPTS = {
    "ARABIC", "ARMENIAN", "BENGALI", "BOPOMOFO", "CANADIAN", "CHEROKEE", "CYRILLIC", "DEVANAGARI",
    "ETHIOPIC", "GEORGIAN", "GREEK", "GUJARATI", "GURMUKHI", "HANGUL", "HEBREW", "HIRAGANA",
    "JAVANESE", "KANNADA", "KATAKANA", "KHMER", "LAO", "LATIN", "MALAYALAM", "MONGOLIAN",
    "MYANMAR", "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "THAI", "TIBETAN", "VAI", "YI",
}  # fmt: skip


@labeling_function()
def living_script(x):
    return "letter" if x.name.split()[0] in LIVING_SCRIPTS else ABSTAIN


# Marks

combining = keywords("combining", label="mark", field="name", words=["combining"])

mark = keywords("mark", label="mark", field="name", words=["mark", "accent", "tone"])

vowel_sign = regex("vowel_sign", label="mark", field="name", pattern=r"\bVOWEL\b|\bVOCALIC\b")

indic_sign = keywords(
    "indic_sign",
    label="mark",
    field="name",
    words=["anusvara", "candrabindu", "nukta", "subjoined", "virama", "visarga"],
)


@labeling_function()
def above_or_below(x):
    return "mark" if x.name.endswith((" ABOVE", " BELOW")) else ABSTAIN


# Numbers

digit = keywords("digit", label="number", field="name", words=["digit"])

number = keywords(
    "number", label="number", field="name", words=["number", "numeral", "numeric", "fraction"]
)

COUNTING_WORDS = (
    "ZERO|ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN|ELEVEN|TWELVE|[A-Z]+TEEN"
    "|TWENTY|THIRTY|FORTY|FIFTY|SIXTY|SEVENTY|EIGHTY|NINETY|HUNDRED|THOUSAND"
)


@labeling_function(batch=True)
def ends_in_a_counting_word(batch):
    counts = pc.match_substring_regex(batch.column("name"), rf"\b({COUNTING_WORDS})$")
    return pc.if_else(counts, "number", pa.scalar(None, pa.string()))


@labeling_function()
def enclosed(x):
    """Circles and parentheses hold numbers in lists, and otherwise make a symbol."""
    if not re.search(r"\b(CIRCLED|PARENTHESIZED|SQUARED)\b", x.name):
        return ABSTAIN
    return "number" if re.search(rf"\b({COUNTING_WORDS})\b", x.name) else "symbol"


# Punctuation

punctuation = keywords(
    "punctuation",
    label="punctuation",
    field="name",
    words=[
        "apostrophe", "colon", "comma", "danda", "dash", "exclamation mark",
        "hyphen", "punctuation", "question mark", "quotation", "semicolon", "separator", "stop",
    ],
)  # fmt: skip

bracket = keywords(
    "bracket",
    label="punctuation",
    field="name",
    words=["brace", "bracket", "parenthesis", "quotation mark"],
)

opens_or_closes = regex(
    "opens_or_closes", label="punctuation", field="name", pattern=r"^(LEFT|RIGHT) (?!.*ARROW)"
)

# Symbols

symbol = keywords("symbol", label="symbol", field="name", words=["symbol", "radical"])

sign = keywords("sign", label="symbol", field="name", words=["sign"])

drawing = keywords(
    "drawing",
    label="symbol",
    field="name",
    words=[
        "block", "box drawings", "card", "chess", "circle", "diamond", "hexagram", "square",
        "star", "tile", "triangle",
    ],
)  # fmt: skip

relation = keywords(
    "relation",
    label="symbol",
    field="name",
    words=["equal", "greater-than", "less-than", "minus", "plus", "subset", "superset", "times"],
)

picture = keywords(
    "picture",
    label="symbol",
    field="name",
    words=["black", "emoji", "face", "hand", "heart", "heavy", "light", "white"],
)

notation = regex(
    "notation",
    label="symbol",
    field="name",
    pattern=r"\b(MUSICAL|SIGNWRITING|ALCHEMICAL|APL|DUPLOYAN|BRAILLE|ZNAMENNY)\b",
)
