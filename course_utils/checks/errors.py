"""Los errores de Python y de PyTorch más comunes, explicados en español, y en qué línea de la respuesta han salido."""

from __future__ import annotations

import linecache
import re
import traceback

# (tipo, lo que dice el mensaje, explicación): la primera que case; {0}, {1}… son los grupos
EXPLANATIONS: tuple[tuple[type[BaseException], str, str], ...] = (
    (UnboundLocalError, r"variable '(.+?)'", "«{0}» se usa antes de tener un valor: dáselo antes del bucle o del if."),
    (
        NameError,
        r"name '(.+?)'",
        "El nombre «{0}» no existe ahí: mira si está bien escrito, si lo has definido antes o si falta un import.",
    ),
    (ImportError, r"(.+)", "Falla un import: mira cómo se llama lo que quieres importar."),
    (
        AttributeError,
        r"'NoneType' object has no attribute '(.+?)'",
        "Pides «{0}» a algo que vale None: ¿viene de una función que no devuelve nada?",
    ),
    (
        AttributeError,
        r"'(.+?)' object has no attribute '(.+?)'",
        "Un objeto de tipo {0} no tiene «{1}»: mira si está bien escrito y si el objeto es el que crees.",
    ),
    (AttributeError, r"module '(.+?)' has no attribute '(.+?)'", "{0} no tiene «{1}»: mira si está bien escrito."),
    (TypeError, r"missing \d+ required .*?: (.+)", "Faltan argumentos en una llamada: {0}."),
    (
        TypeError,
        r"takes .*?(\d+) positional arguments? but (\d+)",
        "Una función admite {0} argumentos y recibe {1}: mira la llamada y la línea del def.",
    ),
    (TypeError, r"unexpected keyword argument '(.+?)'", "Esa función no tiene ningún argumento «{0}»."),
    (
        TypeError,
        r"unsupported operand type\(s\) for (.+?): '(.+?)' and '(.+?)'",
        "La operación {0} no existe entre {1} y {2}: convierte uno de los dos.",
    ),
    (
        TypeError,
        r"'(.+?)' object is not callable",
        "Has puesto paréntesis detrás de algo de tipo {0}, que no se llama.",
    ),
    (TypeError, r"'(.+?)' object is not iterable", "Recorres algo de tipo {0}, que no tiene elementos."),
    (
        TypeError,
        r"'(.+?)' object is not subscriptable",
        "Has puesto corchetes detrás de algo de tipo {0}: no los admite.",
    ),
    (TypeError, r"object of type '(.+?)' has no len", "Algo de tipo {0} no tiene longitud: len() no sirve."),
    (TypeError, r"indices must be integers", "Los índices de una lista son enteros: mira qué pones entre corchetes."),
    (TypeError, r"cannot be interpreted as an integer", "Ahí hace falta un entero: conviértelo con int(…) o con //."),
    (TypeError, r"unhashable type: '(.+?)'", "Un conjunto o una clave no pueden ser de tipo {0}: usa una tupla."),
    (TypeError, r"only concatenate|can only join|must be str", "Se mezclan tipos al unir: convierte uno de los dos."),
    (TypeError, r"expected Tensor as element", "Se unen tensores, y alguno no lo es: conviértelo con torch.tensor."),
    (
        TypeError,
        r"only implemented on integer and Boolean",
        "~ solo niega máscaras booleanas: conviértela con .bool().",
    ),
    (
        TypeError,
        r"(\w+)\(\)(?::| received) .*(?:must be|invalid combination)",
        "{0} no admite esos argumentos: mira su tipo y su orden.",
    ),
    (
        IndexError,
        r"index (-?\d+) is out of bounds for dim\w* (\d+) with size (\d+)",
        "El índice {0} se sale: la dimensión {1} mide {2}.",
    ),
    (IndexError, r"Dimension out of range .*got (-?\d+)", "El tensor no tiene la dimensión {0}: mira su .shape."),
    (IndexError, r"too many indices .*dimension (\d+)", "Usas más índices que dimensiones tiene el tensor, {0}."),
    (IndexError, r"in self", "Un id se sale del vocabulario del modelo, o hay más tokens de los que le caben."),
    (IndexError, r"shape of the mask", "La máscara que usas como índice no tiene la forma del tensor."),
    (IndexError, r"", "Un índice se sale: mira hasta dónde llega y qué pasa si no hay ningún elemento."),
    (KeyError, r"(.+)", "El diccionario no tiene la clave {0}: mira qué claves tiene con .keys()."),
    (ZeroDivisionError, r"", "Se divide entre cero: mira cuándo vale 0 el divisor y trata ese caso aparte."),
    (ValueError, r"math domain|positive input", "math.log solo admite números mayores que 0: mira qué le llega."),
    (ValueError, r"(not enough|too many) values to unpack", "Hay más variables que valores, o al revés: cuéntalos."),
    (ValueError, r"(.+) is not in (?:list|the list|tuple)", "Buscas {0}, que no está en la lista."),
    (
        ValueError,
        r"empty sequence|iterable argument is empty",
        "max() y min() no admiten una lista vacía: usa default=…",
    ),
    (
        ValueError,
        r"expected sequence of length (\d+) at dim \d+ \(got (\d+)\)",
        "torch.tensor pide filas de igual longitud, y hay una de {0} y otra de {1}: rellénalas antes.",
    ),
    (
        ValueError,
        r"matmul: .*size (\d+) is different from (\d+)",
        "Se multiplican dos cosas que no casan, una de {0} y otra de {1}: mira el orden, y si falta una traspuesta.",
    ),
    (
        ValueError,
        r"could not be broadcast together with shapes (\(.*?\)) (\(.*?\))",
        "Las formas {0} y {1} no casan: mira si falta una traspuesta o un [:, None].",
    ),
    (RecursionError, r"", "La función se llama a sí misma sin parar: falta el caso en el que termina."),
    (
        RuntimeError,
        r"shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)",
        "No se pueden multiplicar las formas ({0}, {1}) y ({2}, {3}): las columnas de la primera tienen que ser las "
        "filas de la segunda. ¿Falta una traspuesta?",
    ),
    (
        RuntimeError,
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\).* dimension (\d+)",
        "No casan los tamaños {0} y {1} en la dimensión {2}: imprime antes las dos formas.",
    ),
    (RuntimeError, r"batch2 tensor|batch1", "No casan las formas de lo que multiplicas: imprime antes las dos."),
    (
        RuntimeError,
        r"same number of dimensions: got (\d+) and (\d+)",
        "Unes un tensor de {0} dimensiones con otro de {1}: iguálalas con [None], [:, None] o keepdim=True.",
    ),
    (
        RuntimeError,
        r"must match except in dimension (\d+)",
        "Al unir tensores por la dimensión {0}, las demás tienen que medir lo mismo: imprime antes sus formas.",
    ),
    (RuntimeError, r"shape '(.+?)' is invalid for input of size (\d+)", "{1} números no caben en la forma {0}."),
    (
        RuntimeError,
        r"[Ii]ndex tensor must have the same number of dim",
        "El índice de gather o de scatter lleva tantas dimensiones como el tensor: añade las que falten con [..., "
        "None].",
    ),
    (RuntimeError, r"[Ss]ize does not match at dimension|expanded size", "No casan las formas: imprime antes las dos."),
    (RuntimeError, r"index k out of range", "topk pide más elementos de los que hay: mira k y la última dimensión."),
    (
        RuntimeError,
        r"[Bb]oolean value of Tensor",
        "Un if o un while pide un solo sí o no, y ahí hay un tensor con varios: mira un elemento, o usa .any() o "
        ".all().",
    ),
    (
        RuntimeError,
        r"Tensor with (\d+) elements cannot be converted to Scalar",
        "Ahí hace falta un solo número y el tensor tiene {0}.",
    ),
    (RuntimeError, r"boolean mask", "La máscara tiene que ser booleana: compárala (== 0) o conviértela con .bool()."),
    (
        RuntimeError,
        r"does not require grad",
        "Por ahí no corre ningún gradiente: pídelo antes de la cuenta, con requires_grad_() en una copia, y sin "
        "torch.no_grad() ni .detach() por el camino.",
    ),
    (RuntimeError, r"only for scalar outputs", "Se deriva un solo número: suma antes lo que quieres derivar."),
    (RuntimeError, r"requires grad", "El tensor lleva gradiente: usa torch.no_grad() o .detach()."),
    (
        RuntimeError,
        r"same device|expected device|on cpu|on cuda",
        "Los tensores están en dispositivos distintos: usa .to(model.device).",
    ),
    (
        RuntimeError,
        r"same dtype|scalar type|expected dtype|expected .*dtype|not implemented for '(?:Long|Int|Bool)'",
        "No casan los tipos: los ids y los índices son enteros, .long(), y lo demás, decimales, .float().",
    ),
)
UNKNOWN = (
    "Prueba tu función en otra celda con un ejemplo pequeño, e imprime antes de esa línea las formas y los valores."
)


def explain(error: BaseException) -> str:
    """Qué significa un error, en español."""
    message = str(error)
    for kind, pattern, text in EXPLANATIONS:
        if isinstance(error, kind) and (match := re.search(pattern, message)):
            return text.format(*match.groups())
    return UNKNOWN


def describe(error: BaseException, names: dict | None) -> str:
    """Tipo y mensaje del error, y la línea de la respuesta donde ha salido, si se sabe.

    Parameters
    ----------
    names : dict | None
        Los nombres globales de la respuesta: por ellos se sabe qué líneas son suyas.
    """
    message = str(error).split("\n")[0][:200]
    return f"{place(error, names)}{type(error).__name__}: {message}"


def place(error: BaseException, names: dict | None) -> str:
    """«en la línea 3 de tu función, «x = y»: », o nada si el error no ha pasado por el código de la respuesta."""
    own = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals is names]
    if not own:
        return ""
    line = own[-1][1]
    named = [code for code, _ in own if not code.co_name.startswith("<")]  # una comprensión cuenta como su función
    code = named[-1] if named else own[-1][0]
    source = linecache.getline(code.co_filename, line).strip()
    owner = code.co_name if named else "tu función"
    return f"en la línea {line - code.co_firstlineno + 1} de {owner}{f', «{source[:80]}»' if source else ''}: "
