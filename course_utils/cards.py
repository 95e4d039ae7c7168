"""Textos y tablas para leer en un cuaderno: lo que escribió un modelo, con su *prompt* aparte y cada token teñido.

Todo es HTML escapado, sin guiones ni hojas de estilo (GitHub las quita y aun así se entiende), y lo mismo como texto
para donde no hay HTML. ``plots`` lo vuelve a exportar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ._look import BLUE, GREEN, PALE, check_mark, number, percent, tint


@dataclass(frozen=True)
class Card:
    """Un texto escrito por un modelo: su título, lo que se le dio y lo que añadió, token a token.

    ``logprobs`` (nats, una por token) tiñe cada token; sin ellas, lo nuevo va todo sobre el mismo verde. ``note`` es la
    letra pequeña.
    """

    prompt: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...] | None = None
    title: str = ""
    note: str = ""

    def __str__(self) -> str:
        head = f"[{self.title}] " if self.title else ""
        return f"{head}{self.prompt}▶{''.join(self.tokens)}"

    def to_html(self) -> str:
        """La ficha, como HTML."""
        head = f"<em>{escape(self.title)}</em><br>" if self.title else ""
        note = f"<small>{escape(self.note)}</small>" if self.note else ""
        prompt = f'<span style="color:#000;background:{PALE[BLUE]}">{lines(self.prompt)}</span>' if self.prompt else ""
        new = "".join(self._token(k, token) for k, token in enumerate(self.tokens) if token)
        above = f"<p>{head}{note}</p>" if head or note else ""
        return f"{above}<blockquote><p>{prompt}<b>▶</b>{new}</p></blockquote>"

    def _token(self, k: int, token: str) -> str:
        if self.logprobs is None:
            return f'<span style="color:#000;background:{PALE[GREEN]}">{lines(token)}</span>'
        color, said = tint(-self.logprobs[k] / math.log(2)), percent(math.exp(self.logprobs[k]))
        return f'<span style="color:#000;background:{color}" title="{said}">{lines(token)}</span>'


@dataclass(frozen=True)
class Cards:
    """Fichas para ver: en un cuaderno, en columnas que en un teléfono se apilan; donde no hay HTML, como texto."""

    cards: tuple[Card, ...]

    def __repr__(self) -> str:
        return "\n".join(map(str, self.cards))

    def _repr_html_(self) -> str:
        return columns([card.to_html() for card in self.cards])


def columns(blocks: Sequence[str]) -> str:
    """Trozos de HTML, uno al lado del otro donde caben y uno debajo de otro donde no."""
    inside = "".join(f'<div style="flex:1 1 260px;min-width:0">{block}</div>' for block in blocks)
    style = "display:flex;flex-wrap:wrap;gap:0 24px;overflow-wrap:anywhere;max-width:960px"
    return f'<div style="{style}">{inside}</div>'


def lines(text: str) -> str:
    """Un texto escapado, con sus saltos de línea."""
    return escape(text).replace("\n", "<br>")


# ---------------------------------------------------------------- lo que escribió un modelo
def pieces(tokenizer, prompt_ids: Sequence[int], ids: Sequence[int]) -> tuple[str, ...]:
    """Lo que añade cada token al texto, (T,); los que dejan una letra a medias, nada hasta que se completa."""

    def decode(ids):
        return tokenizer.decode(list(ids), skip_special_tokens=True)

    found, shown = [], len(decode(prompt_ids))
    for end in range(1, len(ids) + 1):
        text = decode([*prompt_ids, *ids[:end]])
        complete = not text.endswith("\ufffd") or end == len(ids)
        found.append(text[shown:] if complete else "")
        shown = len(text) if complete else shown
    return tuple(found)


def show_text(written, tokenizer, *, prompt_length: int | None = None, labels: Sequence[str] | None = None) -> Cards:
    """Textos generados, listos para leer: el *prompt* en azul y cada token nuevo más naranja cuanto menos se esperaba.

    Parameters
    ----------
    written : decoding.Generation or tensor of int
        Lo que devuelve ``decoding.generate`` o ``beam_search``, o los ids que devuelve ``model.generate``, (B, T) o
        (T,): entonces hace falta ``prompt_length`` y, como no hay probabilidades, lo nuevo va sobre verde.
    tokenizer
        El del modelo.
    prompt_length : int, optional
        Cuántos ids de cada fila son el *prompt*.
    labels : sequence of str, optional
        El título de cada fila.

    Returns
    -------
    Cards
        Se muestra solo al final de una celda, o con ``display``.

    Raises
    ------
    ValueError
        Si falta ``prompt_length`` o no hay un título por fila.

    Notes
    -----
    Se enseña en la sesión 02.
    """
    new_ids, logprobs = getattr(written, "new_ids", None), getattr(written, "logprobs", None)
    rows = (written if new_ids is None else written.sequences).tolist()
    rows = rows if rows and isinstance(rows[0], list) else [rows]
    if new_ids is not None:
        prompt_length = len(rows[0]) - new_ids.shape[1]
    if not isinstance(prompt_length, int) or not 0 <= prompt_length <= len(rows[0]):
        raise ValueError(
            f"prompt_length dice cuántos de los {len(rows[0])} ids son el prompt, y es {prompt_length!r}. Pasa, por "
            "ejemplo, prompt_length=ids.shape[1]."
        )
    if labels is not None and len(labels) != len(rows):
        raise ValueError(f"Hay {len(rows)} textos y {len(labels)} títulos: da uno a cada texto.")
    cards = []
    for k, row in enumerate(rows):
        prompt, new = row[:prompt_length], row[prompt_length:]
        surprise = None if logprobs is None else tuple(logprobs[k].tolist())
        text = tokenizer.decode(prompt, skip_special_tokens=True)
        cards.append(Card(text, pieces(tokenizer, prompt, new), surprise, labels[k] if labels else ""))
    return Cards(tuple(cards))


# ---------------------------------------------------------------- tablas
@dataclass(frozen=True)
class Table:
    """Una tabla ya escrita: cabecera y filas de texto."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        body = [" | ".join(map(str.ljust, row, widths)).rstrip() for row in (self.head, *self.rows)]
        return "\n".join([*([self.caption] if self.caption else []), *body])

    def _repr_html_(self) -> str:
        left = 'style="text-align:left;vertical-align:top" align="left"'

        def row(cells, kind):
            return "<tr>" + "".join(f"<{kind} {left}>{lines(cell)}</{kind}>" for cell in cells) + "</tr>"

        caption = f'<caption align="top">{escape(self.caption)}</caption>' if self.caption else ""
        body = "".join(row(cells, "td") for cells in self.rows)
        return f"<table>{caption}<thead>{row(self.head, 'th')}</thead><tbody>{body}</tbody></table>"


def show_table(rows, *, precision: int = 2, caption: str = "") -> Table:
    """Una tabla para leer: a la izquierda, con coma decimal y ✓ o ✗ por sí o no.

    Parameters
    ----------
    rows : DataFrame or sequence of mapping
        Una tabla de pandas (su índice, si tiene nombre, es la primera columna) o filas {columna: valor}.
    precision : int, optional
        Cifras tras la coma de los números que no son enteros.
    caption : str, optional
        El título.

    Raises
    ------
    ValueError
        Si no hay ninguna fila.
    """
    if hasattr(rows, "to_dict"):
        rows = (rows.reset_index() if rows.index.name else rows).to_dict("records")
    rows = list(rows)
    if not rows:
        raise ValueError("No hay ninguna fila que enseñar.")
    head = tuple(map(str, rows[0]))
    return Table(head, tuple(tuple(_cell(row[name], precision) for name in rows[0]) for row in rows), caption)


def _cell(value, precision: int) -> str:
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if isinstance(value, bool) or kind == "b":
        return check_mark(bool(value))
    if isinstance(value, int) or kind in ("i", "u"):
        return number(value, 0)
    if isinstance(value, float) or kind == "f":
        return number(value, precision)
    return str(value)
