"""Las evidencias de un trabajo: qué se pregunta, con qué datos, cómo se reparten y qué no se sabe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .. import _validate
from ..cards import Table

MARK = "evidencia: "
PENDING = "ESCRIBE"  # así empieza lo que la plantilla deja por escribir
BETTER = ("menor", "mayor")


@dataclass(frozen=True)
class Evidence:
    """Algo que el trabajo afirma, con sus números.

    Parameters
    ----------
    kind : str
        De qué clase es: «plan», «data», «split», «measure», «training», «compare», «choice», «texts» o «finish».
    values : mapping
        Lo que dice, de modo que quepa en JSON.
    table : Table
        Lo mismo, para leer.

    Notes
    -----
    Se usa en el trabajo final.
    """

    kind: str
    values: Mapping
    table: Table

    def __repr__(self) -> str:
        line = json.dumps({"kind": self.kind, **self.values}, ensure_ascii=False)
        return f"{self.table!r}\n{MARK}{line}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def evidence(kind: str, *, rows: Mapping[str, str] | None = None, caption: str = "", **values) -> Evidence:
    """Una evidencia con los valores que le des: sirve también para lo que hayas medido a tu manera.

    Parameters
    ----------
    kind : str
        La clase (las de ``Evidence``).
    rows : mapping of str to str, optional
        Lo que se enseña; si falta, los valores tal cual.
    caption : str
        El título de la tabla.
    **values
        Lo que dice. Números, textos, listas y diccionarios de eso mismo.

    Raises
    ------
    ValueError
        Si algo no se puede guardar como JSON.

    Notes
    -----
    Se usa en el trabajo final.
    """
    try:
        values = json.loads(json.dumps(values, default=_plain))
    except (TypeError, ValueError) as error:
        raise ValueError(f"Esto no se puede guardar en una evidencia: {error}. Pasa números y textos.") from None
    shown = {key: str(value) for key, value in values.items()} if rows is None else rows
    return Evidence(kind, values, Table((caption or kind, ""), tuple((str(k), str(v)) for k, v in shown.items())))


def _plain(value):
    """Lo de numpy y torch, como números de Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r}, de tipo {type(value).__name__}")


def plan(*, question: str, measure: str, better: str, decides: str, trains: bool, generates: bool = True) -> Evidence:
    """Lo que se decide antes de mirar: la pregunta, la medida y qué número daría qué respuesta.

    Parameters
    ----------
    question, measure, decides : str
        Qué quieres saber, con qué número y qué resultado te haría decir que no.
    better : str
        «menor» o «mayor»: hacia dónde mejora la medida.
    trains, generates : bool
        Si el trabajo entrena un modelo y si escribe textos con él.

    Raises
    ------
    ValueError
        Si falta algo o ``better`` no es «menor» ni «mayor».

    Notes
    -----
    Se usa en el trabajo final.
    """
    written(question=question, measure=measure, decides=decides)
    _validate.require(better in BETTER, f"better es «menor» o «mayor», hacia donde mejora la medida; es {better!r}.")
    rows = {"pregunta": question, "medida": f"{measure}; mejor, {better}", "decide": decides}
    rows |= {"entrena": "sí" if trains else "no", "genera textos": "sí" if generates else "no"}
    values = {"question": question, "measure": measure, "better": better, "decides": decides}
    return evidence(
        "plan", rows=rows, caption="Antes de mirar", **values, trains=bool(trains), generates=bool(generates)
    )


def data(*, title: str, author: str, licence: str, source: str) -> Evidence:
    """De dónde salen los textos: título, quién los escribió, con qué licencia y dónde están.

    Raises
    ------
    ValueError
        Si falta alguno.

    Notes
    -----
    Se usa en el trabajo final.
    """
    values = {"title": title, "author": author, "licence": licence, "source": source}
    written(**values)
    names = ("título", "quién lo escribió", "licencia", "de dónde sale")
    return evidence("data", rows=dict(zip(names, values.values(), strict=True)), caption="Los textos", **values)


def finish(*, limits: str, bad_result: str) -> Evidence:
    """Lo que el trabajo no demuestra y un resultado malo, con su número.

    Raises
    ------
    ValueError
        Si falta alguno.

    Notes
    -----
    Se usa en el trabajo final.
    """
    written(limits=limits, bad_result=bad_result)
    rows = {"qué no demuestra": limits, "un resultado malo": bad_result}
    return evidence("finish", rows=rows, caption="Para que nadie se engañe", limits=limits, bad_result=bad_result)


def written(**values) -> None:
    """Que todos sean textos con algo escrito."""
    for name, value in values.items():
        _validate.require(
            isinstance(value, str) and bool(value.strip()), f"{name} debe ser un texto con algo escrito y es {value!r}."
        )
