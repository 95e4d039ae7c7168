"""Grabaciones: lo que escribió un modelo mayor, guardado de modo que cualquiera puede comprobarlo.

Cada una lleva el *prompt*, los ajustes, la semilla, los ids y la log-probabilidad de cada token, así que con el modelo
delante se sabe si es suya: ``problems`` la puntúa otra vez y repite cada elección. Las hace ``tools.record`` y nadie
las edita a mano: ``load`` no abre una que se haya tocado. ``show`` las pone al lado de lo que escribe, en vivo, el
modelo pequeño.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from html import escape
from pathlib import Path

import torch

from . import decoding, scoring
from ._files import fingerprint
from ._look import check_mark, number
from .cards import Card, columns, lines, pieces
from .models import load_model

FOLDER = Path(__file__).parent / "grabaciones"
TOLERANCE = 1e-2  # nats: lo que cambia de una máquina a otra
# En el orden de Hugging Face. El nombre en español, para quien lee.
TRANSFORMS = {
    "repetition_penalty": "penalización",
    "no_repeat_ngram": "sin repetir n-gramas de",
    "temperature": "temperatura",
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
}
SETTINGS = {*TRANSFORMS, "do_sample", "num_beams", "max_new_tokens", "scored", "stop"}


@dataclass(frozen=True)
class Recording:
    """Algo que un modelo escribió, o un texto de alguien que un modelo puntuó (``settings["scored"]``).

    Parameters
    ----------
    label : str
        Qué tiene de suyo esta grabación entre las de su grupo: «temperatura 0,3».
    model, profile : str
        El modelo, con sus apellidos, y el perfil que lo carga.
    prompt : str
        El texto de partida.
    settings : mapping
        ``max_new_tokens`` y los de ``TRANSFORMS`` que se usaron; ``do_sample`` si se muestreó, ``num_beams`` si se
        buscó en haz; sin ninguno de los dos, búsqueda voraz. Con ``stop``, otro token que acaba lo escrito, como el
        EOS. Con ``scored``, los tokens no los eligió el modelo.
    seed : int or None
        La semilla del muestreo.
    prompt_ids, ids : tuple of int
        Los del *prompt*, con el token inicial si el modelo lo usa, y los escritos, el EOS incluido.
    tokens : tuple of str
        Lo que aporta cada id de ``ids`` al texto; «» mientras una letra está a medias.
    logprobs : tuple of float
        Del modelo sin transformar, en nats, una por id.
    date : str
        El día en que se grabó, AAAA-MM-DD.
    recipe : mapping or None
        Si el modelo está ajustado, cómo: lo que hace falta para repetirlo, su curva y lo que costó.
    expected : str or None
        Si el *prompt* pregunta algo, por dónde tiene que empezar una respuesta correcta. Entonces la etiqueta es
        «condición · pregunta»: «2 ejemplos · La besó y se rieron los dos.».

    Notes
    -----
    Se enseña en las sesiones 02 y 03.
    """

    label: str
    model: str
    profile: str
    prompt: str
    settings: Mapping
    seed: int | None
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    date: str
    recipe: Mapping | None = None
    expected: str | None = None

    @property
    def right(self) -> bool:
        """¿Empieza lo escrito por ``expected``?"""
        return self.expected is not None and self.text.strip().startswith(self.expected)

    @property
    def text(self) -> str:
        """Lo escrito, sin el *prompt*."""
        return "".join(self.tokens)

    @property
    def how(self) -> str:
        """Los ajustes, en español."""
        return describe(self.settings, self.seed)


# ---------------------------------------------------------------- leer y guardar
def load(name: str, folder: Path = FOLDER) -> tuple[Recording, ...]:
    """Las grabaciones de un grupo, en orden.

    Raises
    ------
    ValueError
        Si el grupo no existe (dice cuáles hay) o si alguna se ha editado a mano (dice cuál).
    """
    there = sorted(path.stem for path in folder.glob("*.json"))
    if name not in there:
        raise ValueError(f"No hay grabaciones con el nombre {name!r}. Las que hay: {', '.join(there)}.")
    rows = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    for position, row in enumerate(rows):
        if row.pop("sha256", None) != fingerprint(row):
            raise ValueError(
                f"La grabación {position} de {name!r} ({row.get('label')!r}) se ha editado a mano, y así no dice lo "
                f"que escribió el modelo. Recupérala con git, o grábala otra vez: python -m tools.record {name}."
            )
    return tuple(_from_json(row) for row in rows)


def dump(recordings: Sequence[Recording]) -> str:
    """El contenido del fichero de un grupo: una grabación por línea, cada una con su suma."""
    rows = [asdict(recording) for recording in recordings]
    lines = [json.dumps(row | {"sha256": fingerprint(row)}, ensure_ascii=False) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _from_json(row: dict) -> Recording:
    return Recording(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})


# ---------------------------------------------------------------- grabar
def record(
    model, tokenizer, prompt: str, settings: Mapping, seed: int | None = None, *, text: str | None = None, **about
) -> Recording:
    """Graba lo que escribe un modelo o, con ``text``, lo que le sorprende un texto ajeno.

    Parameters
    ----------
    model, tokenizer
        Un decodificador y su tokenizador.
    prompt, settings, seed
        Los de ``Recording``.
    text : str, optional
        El texto ajeno, detrás del *prompt*; entonces ``settings`` tiene que ser ``{"scored": True}``.
    **about
        Lo demás de ``Recording``: ``label``, ``profile``, ``date``, ``recipe`` y ``expected``; el nombre del modelo, en
        ``name``.

    Raises
    ------
    ValueError
        Si algún ajuste no se conoce, si se muestrea sin semilla, o lo mismo que ``decoding.generate``.
    """
    prompt_ids = _prompt_ids(tokenizer, prompt)
    if text is None:
        found = _write(model, tokenizer, prompt_ids, settings, seed)
        ids, logprobs = found.new_ids[0].tolist(), found.logprobs[0].tolist()
        ends = [place for place, chosen in enumerate(ids) if chosen in _ends(tokenizer, settings)]
        ids = ids[: ends[0] + 1] if ends else ids  # lo de detrás es relleno
    else:
        skipped = len(tokenizer(prompt, add_special_tokens=False).input_ids)
        ids = tokenizer(prompt + text, add_special_tokens=False).input_ids[skipped:]
        logprobs = scoring.token_logprobs(model, torch.tensor([prompt_ids + ids]), last=len(ids))[0].tolist()
    return Recording(
        prompt=prompt,
        settings=dict(settings),
        seed=seed,
        prompt_ids=tuple(prompt_ids),
        ids=tuple(ids),
        tokens=pieces(tokenizer, prompt_ids, ids),
        logprobs=tuple(round(value, 4) for value in logprobs[: len(ids)]),
        model=about.pop("name"),
        **about,
    )


def _prompt_ids(tokenizer, text: str) -> list[int]:
    """Los ids de un texto; nunca ninguno: un texto vacío es el token inicial."""
    ids = tokenizer(text).input_ids
    if ids:
        return ids
    return [tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id]


def _transforms(settings: Mapping) -> list[decoding.Transform]:
    if unknown := set(settings) - SETTINGS:
        raise ValueError(f"No conozco los ajustes {sorted(unknown)}. Los que hay: {', '.join(sorted(SETTINGS))}.")
    return [getattr(decoding, name)(settings[name]) for name in TRANSFORMS if name in settings]


def _ends(tokenizer, settings: Mapping) -> list[int]:
    """Los tokens que acaban lo escrito: el EOS y, si se pide, otro."""
    stop = settings.get("stop")
    return [tokenizer.eos_token_id, *([tokenizer.convert_tokens_to_ids(stop)] if stop else [])]


def _write(model, tokenizer, prompt_ids: Sequence[int], settings: Mapping, seed: int | None) -> decoding.Generation:
    """Una fila escrita con esos ajustes; el azar, de un generador propio: el global no se toca."""
    options = {
        "transforms": _transforms(settings),
        "max_new_tokens": settings["max_new_tokens"],
        "eos_token_id": _ends(tokenizer, settings),
        "pad_token_id": tokenizer.pad_token_id,
    }
    ids = torch.tensor([prompt_ids], device=model.device)
    options["attention_mask"] = torch.ones_like(ids)  # en el prompt no hay relleno, aunque hubiera un id suyo
    if beams := settings.get("num_beams"):
        return decoding.beam_search(model, ids, num_beams=beams, **options)
    return decoding.generate(model, ids, select=_selector(settings, seed), **options)


def _selector(settings: Mapping, seed: int | None) -> decoding.Selector:
    if not settings.get("do_sample"):
        return decoding.greedy
    if seed is None:
        raise ValueError("Para grabar un muestreo hace falta una semilla, y no hay. Pasa seed=0, por ejemplo.")
    return partial(decoding.sample, generator=torch.Generator().manual_seed(seed))


def _decode(tokenizer, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=True)


# ---------------------------------------------------------------- comprobar
def problems(
    recording: Recording, model, tokenizer, *, tolerance: float = TOLERANCE, choices: bool = True
) -> list[str]:
    """Lo que en una grabación no es lo que da el modelo; ninguna línea si todo cuadra.

    Mira el *prompt* y sus ids, el texto y sus ids, cada log-probabilidad, y repite cada elección:
    la voraz, la del haz y la muestreada, que además tiene que estar entre lo que dejan sus filtros. Lo muestreado se
    repite con los logits de una sola pasada: no hace falta escribirlo otra vez token a token.

    Parameters
    ----------
    recording : Recording
        La grabación.
    model, tokenizer
        El modelo que dice, cargado con ``load_model("decoder", recording.profile)``.
    tolerance : float
        Lo que puede cambiar una log-probabilidad, en nats.
    choices : bool
        Si se repite cada elección. En un modelo que se ha ajustado otra vez, que se parece y no es el mismo, puede
        salir otra.

    Notes
    -----
    El azar de torch no es el mismo en todas sus versiones y sistemas: la semilla se comprueba si da lo que aquí.
    """
    prompt_ids, ids = list(recording.prompt_ids), list(recording.ids)
    if _prompt_ids(tokenizer, recording.prompt) != prompt_ids:
        return [f"el prompt {recording.prompt!r} no da los ids grabados: lo han cambiado"]
    if not len(ids) == len(recording.tokens) == len(recording.logprobs) > 0:
        return [f"hay {len(ids)} ids, {len(recording.tokens)} tokens y {len(recording.logprobs)} log-probabilidades"]
    if pieces(tokenizer, prompt_ids, ids) != recording.tokens:
        return [f"los ids no dan el texto grabado, {recording.text!r}"]
    logits = _logits(model, prompt_ids + ids, len(ids))  # (N, V)
    found = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
    wrong = [
        f"la log-probabilidad del token {k}, {token!r}, es {value:.4f} y la grabada, {said}"
        for k, (token, value, said) in enumerate(zip(recording.tokens, found, recording.logprobs, strict=True))
        if not abs(value - said) <= tolerance
    ]
    return wrong or list(_wrong_choices(recording, model, tokenizer, logits, tolerance) if choices else ())


@torch.inference_mode()
def _logits(model, ids: Sequence[int], last: int) -> torch.Tensor:
    """Los logits que predicen los últimos ``last`` ids, (last, V), en una pasada."""
    out = model(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=last + 1)
    return out.logits[0, -last - 1 : -1].float()


def _wrong_choices(recording: Recording, model, tokenizer, logits: torch.Tensor, tolerance: float) -> Iterator[str]:
    settings, ids = recording.settings, list(recording.ids)
    if settings.get("scored"):
        return
    if "num_beams" in settings:
        again = _write(model, tokenizer, recording.prompt_ids, settings, None).new_ids[0].tolist()
        if again[: len(ids)] != ids:
            yield f"la búsqueda en haz da {_decode(tokenizer, again)!r} y lo grabado es {recording.text!r}"
        return
    transforms, select = _transforms(settings), _selector(settings, recording.seed)
    for k, chosen in enumerate(ids):
        before = torch.tensor([[*recording.prompt_ids, *ids[:k]]])
        scores = logits[k : k + 1]
        for transform in transforms:
            scores = transform(scores, before)
        again, token = select(scores).item(), recording.tokens[k]
        if scores[0, chosen] == -math.inf:
            yield f"el token {k}, {token!r}, está fuera de sus filtros: {recording.how}"
            return
        if select is decoding.greedy and scores[0, again] - scores[0, chosen] <= tolerance:
            continue  # un empate, que cada procesador resuelve a su manera
        if again != chosen:
            yield f"con {recording.how}, el token {k} es {_decode(tokenizer, [again])!r} y el grabado, {token!r}"
            return


# ---------------------------------------------------------------- enseñar
def describe(settings: Mapping, seed: int | None = None) -> str:
    """Los ajustes en español: «muestreo, temperatura 0,7, semilla 1»."""
    if settings.get("scored"):
        return "texto puntuado"
    beams = settings.get("num_beams")
    what = "muestreo" if settings.get("do_sample") else f"haz de {beams}" if beams else "búsqueda voraz"
    parts = [what] + [f"{spanish} {settings[name]}" for name, spanish in TRANSFORMS.items() if name in settings]
    parts += [f"semilla {seed}"] if seed is not None else []
    return ", ".join(parts).replace(".", ",")


def hits(recordings: Sequence[Recording]) -> dict[str, tuple[int, int]]:
    """De cada condición, cuántas respuestas son correctas y cuántas preguntas hay: ``{"2 ejemplos": (9, 12), …}``.

    Raises
    ------
    ValueError
        Si alguna grabación no tiene ``expected``: no se sabe cuál era la respuesta.
    """
    if unknown := [r.label for r in recordings if r.expected is None]:
        raise ValueError(f"No sé qué respuesta era la correcta en {unknown[0]!r}: no tiene expected.")
    totals: dict[str, tuple[int, int]] = {}
    for r in recordings:
        right, asked = totals.get(_condition(r), (0, 0))
        totals[_condition(r)] = (right + r.right, asked + 1)
    return totals


def _condition(recording: Recording) -> str:
    return recording.label.partition(" · ")[0]


def _question(recording: Recording) -> str:
    return recording.label.partition(" · ")[2]


@dataclass(frozen=True)
class Shown:
    """Grabaciones listas para ver: en un cuaderno, con color; donde no hay HTML, como texto. ``live``: las del mini.

    Las que tienen la misma etiqueta van juntas: lo mismo, con otro modelo. Las que tienen una respuesta correcta, en
    una tabla.
    """

    recordings: tuple[Recording, ...]
    live: tuple[Recording, ...]

    @property
    def rows(self) -> dict[str, list[Recording]]:
        """Lo de cada etiqueta: las grabaciones y, al final, lo del mini, que es lo mismo para todas ellas."""
        rows: dict[str, list[Recording]] = {}
        small = {live.label: live for live in self.live}
        for recording in self.recordings:
            rows.setdefault(recording.label, []).append(recording)
        return {label: [*those, small[label]] for label, those in rows.items()}

    @property
    def answered(self) -> bool:
        """¿Tienen todas una respuesta correcta?"""
        return bool(self.recordings) and all(r.expected is not None for r in self.recordings)

    def __repr__(self) -> str:
        if self.answered:
            return "\n".join(_answers_text(those) for those in (self.recordings, self.live))
        blocks = []
        for label, those in self.rows.items():
            blocks += [f"── {label} ──", *(f"{_card(r)}{_cost(r)}" for r in those)]
        return "\n".join([*blocks, *_recipes(self.recordings)])

    def _repr_html_(self) -> str:
        # Sin JavaScript ni hojas de estilo: GitHub los quita. En un teléfono, una columna debajo de la otra.
        if self.answered:
            body = columns([*map(_answers_html, (self.recordings, self.live))]) + _prompts_html(self.recordings)
        else:
            body = "".join(
                f"<p><strong>{escape(label)}</strong></p>{columns([_card(r).to_html() for r in those])}"
                for label, those in self.rows.items()
            )
        body += "".join(f"<p><small>{escape(line)}</small></p>" for line in _recipes(self.recordings))
        return f'<div style="max-width:960px">{body}</div>'


def _answers_text(recordings: Sequence[Recording]) -> str:
    lines = []
    for condition, (right, asked) in hits(recordings).items():
        lines.append(f"── {recordings[0].model}: {condition}, {right} de {asked} ──")
        lines += [f"{_verdict(r)} ← {_question(r)}" for r in recordings if _condition(r) == condition]
    return "\n".join(lines)


def _answers_html(recordings: Sequence[Recording]) -> str:
    """Una tabla: una pregunta por fila, una condición por columna, y al final los aciertos."""
    totals, answers = hits(recordings), {(_question(r), _condition(r)): r for r in recordings}
    questions = {_question(r): r.expected for r in recordings}
    rows = [_row("th", ["", *totals])]
    for question, expected in questions.items():
        found = [answers.get((question, condition)) for condition in totals]
        rows.append(_row("td", [f"{question} ({expected})", *(_verdict(r) if r else "" for r in found)]))
    rows.append(_row("th", ["aciertos", *(f"{right} de {asked}" for right, asked in totals.values())]))
    how = ", ".join(part for part in (recordings[0].how, recordings[0].date) if part)
    head = f"<p><em>{escape(recordings[0].model)}</em><br><small>{escape(how)}</small></p>"
    return f"{head}<table>{''.join(rows)}</table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    # Cada palabra, entera: «anywhere» las partiría. Y la letra, un poco menor: caben en 390 px.
    look = (
        "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:break-word;font-size:85%;padding:2px 4px"
    )
    style = f'style="{look}"'
    return "<tr>" + "".join(f"<{tag} {style}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _verdict(recording: Recording) -> str:
    """«✓ alegre»: la primera línea de lo escrito, y si es lo que se esperaba."""
    first = next(iter(recording.text.strip().splitlines()), "")
    return f"{check_mark(recording.right)} {first or '(nada)'}"


def _prompts_html(recordings: Sequence[Recording]) -> str:
    """El *prompt* de la primera pregunta en cada condición: lo que cambia de una a otra."""
    first = {}
    for recording in recordings:
        first.setdefault(_condition(recording), recording.prompt)
    return "".join(
        f"<p><small>El <em>prompt</em> de la primera fila, {escape(condition)}:</small></p>"
        f"<blockquote><p>{lines(prompt)}</p></blockquote>"
        for condition, prompt in first.items()
    )


def _recipes(recordings: Sequence[Recording]) -> list[str]:
    """De cada modelo ajustado, cómo se hizo, lo que costó y para qué sirvió."""
    lines = {}
    for r in recordings:
        if r.recipe is None:
            continue
        cost = r.recipe["cost"]
        spent = f"{number(cost['seconds'] / 60, 0)} minutos, {number(cost['peak_gb'])} GB de memoria"
        if answers := r.recipe.get("answers"):  # el asistente: solo cuentan las respuestas
            tokens, losses = sum(answers["tokens"]), r.recipe["curve"]
            before, after = (number(sum(answers[when]) / tokens, 2) for when in ("before", "after"))
            end = f"Las respuestas de prueba, de {before} a {after} nats por token."
            command = r.recipe["command"]
        else:
            bits, losses = r.recipe["bits_per_char"], r.recipe["curve"]["entrenamiento"]
            before, after = (number(bits[when], 2) for when in ("before", "after"))
            end = f"Los chistes de prueba, de {before} a {after} bits por carácter."
            command = f"python -m course_utils {r.recipe['command']}"
        means = " → ".join(number(sum(x for _, x in tens) / len(tens), 2) for tens in _by_tens(losses))
        lines[r.model] = f"{r.model}: {command}. {spent}. La pérdida, media de cada diez pasos: {means}. {end}"
    return list(lines.values())


def _by_tens(steps: Sequence) -> Iterator[Sequence]:
    return (steps[start : start + 10] for start in range(0, len(steps), 10))


def show(name: str, only: Sequence[str] | None = None) -> Shown:
    """Las grabaciones de un grupo, al lado de lo que escribe el modelo pequeño, en vivo, con lo mismo.

    El *prompt* va en azul y cada token nuevo, sobre un fondo más naranja cuanto menos lo esperaba su modelo.

    Parameters
    ----------
    name : str
        El grupo.
    only : sequence of str, optional
        Solo aquellas cuya etiqueta empieza por alguno de estos: ``only=["cuento"]``.

    Raises
    ------
    ValueError
        Lo mismo que ``load`` y ``load_model``; o si ninguna etiqueta empieza por alguno de ``only`` (dice las que hay).
    """
    recordings = _chosen(load(name), only)
    model, tokenizer = load_model("decoder", "mini")
    unique = {recording.label: recording for recording in reversed(recordings)}  # de cada etiqueta, la primera
    return Shown(recordings, tuple(_live(unique[label], model, tokenizer) for label in reversed(unique)))


def _chosen(recordings: tuple[Recording, ...], only: Sequence[str] | None) -> tuple[Recording, ...]:
    if only is None:
        return recordings
    only = [only] if isinstance(only, str) else list(only)
    labels = list(dict.fromkeys(r.label for r in recordings))
    if lost := [start for start in only if not any(label.startswith(start) for label in labels)]:
        raise ValueError(f"Ninguna grabación empieza por {lost[0]!r}. Las que hay: {'; '.join(labels)}.")
    return tuple(r for r in recordings if r.label.startswith(tuple(only)))


def _live(recording: Recording, model, tokenizer) -> Recording:
    """Lo mismo, con el modelo pequeño, ahora."""
    text = recording.text if recording.settings.get("scored") else None
    about = {"label": recording.label, "expected": recording.expected, "profile": "mini", "date": ""}
    about["name"] = "el modelo del curso, en vivo"
    return record(model, tokenizer, recording.prompt, recording.settings, recording.seed, text=text, **about)


def _cost(recording: Recording) -> str:
    """De un texto puntuado, los bits por carácter: se pueden comparar entre modelos."""
    if not recording.settings.get("scored"):
        return ""
    bits = -sum(recording.logprobs) / math.log(2) / len(recording.text)
    return f" ({number(bits, 2)} bits por carácter)"


def _card(recording: Recording) -> Card:
    how = ", ".join(part for part in (recording.how, recording.date) if part)
    return Card(recording.prompt, recording.tokens, recording.logprobs, recording.model, how + _cost(recording))
