"""Textos que un tokenizador puede partir mal: espacios de todas clases, tildes sueltas, emojis, controles…"""

ODD = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", " a", "a ", "  a  b  ", "\n\n a\n  b\t\tc ", "¿Qué? ¡Sí!",
    "'s't'll'd I've we'RE", "e\u0301", "n\u0303andu\u0301", "a\u0323\u0301", "\u1100\u1161\u11a8", "Å Å \u212b",
    "ﬁ ﬂ ½ ²", "e\u0301<mask>\u0301e", "<|endoftext|>", "a<|endoftext|>b", " <|pad|> <mask><cls><sep> ",
    "<|endoftext|", "<<|pad|>>", "<MASK>", "<|endoftext|><|endoftext|>", "\ufeffhola\ufeff mundo\ufeff",
    "a\u0085b \u0085 c", "a\u180eb \u180e c", "a\u00a0b\u2003c\u3000d\u202fe \u200b f\u2060",
    "\x00\x01\x1f\x7f\x80\x9f", "\x1c a\x1db \x1e\x1f c", "a\x0bb\x0cc", "\u2028a\u2029b", "مرحبا بالعالم 123",
    "שלום\u200f עולם", "\u202eabc\u202c", "你好，世界", "日本語 カタカナ", "नमस्ते १२३", "ไทย ๑๒๓", "👩‍👩‍👧‍👦 👍🏽 🇨🇴",
    "😀" * 20, "٣٤٥ Ⅷ ㉓ ①", "𝕳𝖔𝖑𝖆 𝟙𝟚", "\U0010ffff\ue000", "<script>alert('x')</script>", "a" * 600, "á" * 300,
    " " * 300, "ab " * 200, "—¿Y tú?—dijo…«¡Ay!»", "1.234,56 € 3 % 10º 1ª",
]  # fmt: skip

# De qué están hechos los textos al azar.
PIECES = [
    *"aeiouáéíóúñüAÑ019 ,.;¿?¡!«»—…'\"<>|", " de", " que", "ción", "\n", "\t", "\r", "\u00a0", "\u2003",
    "\u0085", "\ufeff", "\u200d", "\u0301", "\u0303", "\u0327", "😀", "👩\u200d🚀", "\U0001f1ea\U0001f1f8", "ж",
    "ש", "ع", "漢", "\u1161", "\x00", "\x1f", "<|endoftext|>", "<mask>", "'s", "'ll",
]  # fmt: skip
