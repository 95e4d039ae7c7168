"""Cómo se miran los textos que viajan con el curso: palabras, tipografía y lo que no se admite en un aula."""

import re
import unicodedata

# Lo que no debe aparecer en un aula: insultos. «*» es «y lo que siga».
INSULTS = """gilipoll* cabron* pendej* idiota* imbecil* estupid* subnormal* retrasad* maric* tarad* puta* puto* mierd*
joder* jodid* coño* cojon* negrat* sudaca* gringo* maricon* zorra* bollera* gordinflon* culo* teta* pene penes
polla* chingar* boludo* pelotudo* huevon* mongol*"""


def words(text):
    return re.findall(r"\w+", text)


def plain(text):
    """En minúscula y sin tildes; la eñe se queda."""
    marked = unicodedata.normalize("NFD", text.casefold()).replace("n\u0303", "ñ")
    return "".join(c for c in marked if not unicodedata.combining(c))


BAD = {
    "comillas rectas": r"[\"“”‘’']",
    "tres puntos": r"\.\.",
    "guion por raya": r"(^|\n)\s*-|\s-\s",
    "espacios": r"  | $|^ | \n|\n |\n\n|\t",
    "raya suelta": r"(^|[\s«¿¡])— |—\n|—$",
    "espacio ante el signo": r" [,.;:?!»…]",
    "espacio tras el signo": r"[¿¡«] ",
    "signos repetidos": r"[?!]{2,}|,,|;;",
    "sin espacio tras la coma": r"[,;](?=\w)(?!\d)",
}


def problems(text):
    """Lo que tiene de descuidada la tipografía de un texto."""
    found = [name for name, pattern in BAD.items() if re.search(pattern, text)]
    for left, right in ("¿?", "¡!", "«»", "()"):
        found += [left + right] if text.count(left) != text.count(right) else []
    found += ["principio"] if not re.match(r"[A-ZÁÉÍÓÚÑ¿¡—«0-9]", text) else []
    found += ["final"] if not re.search(r"[.?!…]$|[.?!…]?»$", text) else []
    found += ["NFC"] if unicodedata.normalize("NFC", text) != text else []
    found += ["símbolos"] if re.search(r"[^\w\s.,;:¿?¡!«»—…()%-]", text) else []
    return found


def blocked(text, lists):
    """Las palabras de un texto que están en las listas."""
    stems = [plain(stem) for stem in lists.split()]
    return [w for w in words(plain(text)) if any(w.startswith(s[:-1]) if s[-1] == "*" else w == s for s in stems)]
