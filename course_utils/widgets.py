"""Lo que se toca en los cuadernos: el explorador (sesión 03), las épocas (04) y la caja de frases (05).

Funcionan con ipywidgets 7 (Colab) y 8 (JupyterLab), sin nada más, y caben en un teléfono. Todo lo que hacen se puede
hacer también sin ratón: los botones llaman a métodos.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial

import torch

from . import _validate, decoding, scoring
from ._look import BLUE, GREY, ORANGE, PALE, number, percent
from .cards import Card, pieces
from .plots import Surprise

HINT = "{}: aparece al ejecutar esta celda. Debajo, lo mismo sin mandos."
_WIDE = {"width": "auto", "max_width": "640px"}
_GHOST = "La raya negra: hasta dónde llegaba antes de mover los mandos."


class _Widget:
    """Lo que se ve al final de una celda: ``view``, o una frase donde no hay widgets."""

    name = ""

    def _ipython_display_(self):
        from IPython.display import display

        view = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        hint = HINT.format(self.name)
        display({"text/plain": hint, "application/vnd.jupyter.widget-view+json": view}, raw=True)


class Explorer(_Widget):
    """El texto de un decodificador, paso a paso, con temperatura, top-k, top-p y min-p. Se enseña en la sesión 03.

    Cada candidata es un botón, que la elige, y una barra: siempre con la misma escala, de 0 a 100 %, para que se vea lo
    que hace cada mando. Detrás, con puntos, lo que daba el modelo; en gris, las que corta un filtro; la última barra es
    la de todas las demás.

    Parameters
    ----------
    model, tokenizer
        Un decodificador y su tokenizador.
    prompt : str
        El texto del principio; se puede cambiar en la casilla.
    top_n : int
        Cuántas candidatas se dibujan.
    seed : int
        Semilla del muestreo: cada explorador lleva su propio azar.

    Attributes
    ----------
    error : str
        Lo que impide seguir, en español; vacío si todo va bien. Es lo que se ve en el explorador.

    Raises
    ------
    ValueError
        Si ``top_n`` no es un entero mayor o igual que 1. Los demás valores se comprueban al usarlos: el error se ve
        en el propio explorador.
    """

    name = "Explorador interactivo"

    def __init__(self, model, tokenizer, prompt: str = "Había una vez", *, top_n: int = 8, seed: int = 0):
        import ipywidgets as w

        _validate.count("top_n", top_n)
        self.model, self.tokenizer, self.top_n, self.seed = model, tokenizer, top_n, seed
        wide = {"continuous_update": False, "style": {"description_width": "110px"}, "layout": _WIDE}
        self.prompt = w.Text(value=prompt, description="Prompt", **wide)
        self.temperature = w.FloatSlider(value=1.0, min=0, max=3, step=0.05, description="Temperatura", **wide)
        self.top_k = w.IntSlider(value=0, min=0, max=100, description="Top-k (0: no)", **wide)
        self.top_p = w.FloatSlider(value=1.0, min=0, max=1, step=0.05, description="Top-p (1: no)", **wide)
        self.min_p = w.FloatSlider(value=0.0, min=0, max=1, step=0.01, description="Min-p (0: no)", **wide)
        self.text, self.message, self.warning = w.HTML(), w.HTML(), w.HTML()
        actions = {
            "La favorita": self.best,
            "Tirar el dado": self.draw,
            "Deshacer": self.undo,
            "Empezar": self.restart,
        }
        self.buttons = tuple(w.Button(description=name, layout={"width": "auto"}) for name in actions)
        for button, action in zip(self.buttons, actions.values(), strict=True):
            button.on_click(lambda _, action=action: action())
        self.bars = tuple(w.HTML(layout={"flex": "1 1 auto", "min_width": "150px"}) for _ in range(top_n + 1))
        self.choices = tuple(w.Button(layout={"width": "130px", "flex": "0 0 130px"}) for _ in range(top_n + 1))
        for place, button in enumerate(self.choices[:-1]):
            button.on_click(lambda _, place=place: self.choose(place))
        rows = [w.HBox(pair, layout=_WIDE) for pair in zip(self.choices, self.bars, strict=True)]
        for control in (self.temperature, self.top_k, self.top_p, self.min_p):
            control.observe(lambda _: self.refresh(), names="value")
        self.prompt.observe(lambda _: self.restart(), names="value")
        sliders = [self.temperature, self.top_k, self.top_p, self.min_p]
        buttons = w.HBox(self.buttons, layout={"flex_flow": "row wrap"})
        note = w.HTML(f"<small>Pulsa una candidata para elegirla. {_GHOST}</small>")
        everything = [self.prompt, self.warning, *sliders, buttons, self.text, self.message, *rows, note]
        self.view = w.VBox(everything, layout={"max_width": "100%"})
        self.restart()

    def transforms(self) -> list[decoding.Transform]:
        """Las transformaciones que dicen los mandos, en el orden de Hugging Face; las apagadas no están.

        Raises
        ------
        ValueError
            Si un mando tiene un valor que no vale, por ejemplo temperatura 0.
        """
        _validate.require(
            self.temperature.value > 0,
            "Con temperatura 0 no hay dado que tirar: saldría siempre la favorita. Sube la temperatura para seguir.",
        )
        _validate.require(self.top_p.value > 0, "Con top-p 0 no quedaría ninguna candidata. Súbelo para seguir.")
        active = [decoding.temperature(self.temperature.value)] if self.temperature.value != 1 else []
        active += [decoding.top_k(self.top_k.value)] if self.top_k.value else []
        active += [decoding.top_p(self.top_p.value)] if self.top_p.value != 1 else []
        return active + ([decoding.min_p(self.min_p.value)] if self.min_p.value else [])

    def candidates(self) -> dict[str, float]:
        """Las ``top_n`` candidatas que quedan tras las transformaciones → su probabilidad."""
        probs = self._next(decoding.greedy)[2]
        top = probs.topk(min(self.top_n, len(probs)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return {decoding.show_token(self.tokenizer, i): p for i, p in pairs if p > 0}

    # ------------------------------------------------------------ lo que hacen los botones
    def best(self) -> None:
        """Un paso de búsqueda voraz."""
        self._act(lambda: self._write(lambda: self._next(decoding.greedy)[0]))

    def draw(self) -> None:
        """Un paso de muestreo, con el azar propio del explorador."""
        select = partial(decoding.sample, generator=self.generator)
        self._act(lambda: self._write(lambda: self._next(select)[0]))

    def choose(self, place: int) -> None:
        """Escribe la candidata del botón ``place``, contando desde arriba y desde 0."""
        self._act(lambda: self._write(lambda: torch.tensor([self.shown[place]], device=self.model.device)))

    def undo(self) -> None:
        """Quita el último token escrito."""
        if self.past:
            self.ids, state = self.past.pop()
            self.generator.set_state(state)
        self.refresh()

    def restart(self) -> None:
        """Vuelve al *prompt* de la casilla y a la semilla."""
        self.ids = self.tokenizer(self.prompt.value, return_tensors="pt").input_ids.to(self.model.device).long()
        self.generator = torch.Generator(self.model.device).manual_seed(self.seed)
        self.past, self.shown = [], []
        self.refresh()

    def refresh(self) -> None:
        """Vuelve a dibujar las candidatas con los mandos como están."""
        self._act(lambda: None)

    # ------------------------------------------------------------ por dentro
    def _next(self, select):
        """El id elegido, (1,), y las distribuciones, (V,), del modelo y tras los mandos: el bucle es el de siempre."""
        self._check()
        seen = []

        def watch(logits, ids):
            seen.append(logits[0].softmax(-1))
            return logits

        transforms = [watch, *self.transforms(), watch]
        step = next(decoding.stream(self.model, self.ids, transforms=transforms, select=select, max_new_tokens=1))
        return step.ids, *seen

    def _check(self) -> None:
        _validate.require(self.ids.size(1) > 0, "No hay ningún token del que seguir: escribe algo en «Prompt».")
        limit = getattr(getattr(self.model, "config", None), "max_position_embeddings", None)
        _validate.require(
            limit is None or self.ids.size(1) < limit,
            f"El texto tiene {self.ids.size(1)} tokens y en el contexto del modelo caben {limit}: pulsa «Empezar» o "
            "acorta el «Prompt».",
        )

    def _write(self, choose) -> None:
        before = self.ids, self.generator.get_state()
        self.ids = torch.cat([self.ids, choose()[:, None]], 1)
        self.past.append(before)

    def _act(self, action) -> None:
        """Hace algo y lo enseña; si no se puede, lo dice donde se ve: Jupyter esconde los errores de los botones."""
        try:
            action()
            self._show()
            self.error = self.message.value = ""
        except Exception as error:
            self.error = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self.message.value = f"<b>⚠ {html.escape(self.error)}</b>"
            for bar, button in zip(self.bars, self.choices, strict=True):  # nada de lo de antes se queda a la vista
                bar.value, button.description, button.disabled = "", "", True
            if not isinstance(error, ValueError):
                raise

    def _show(self) -> None:
        start = self.ids.size(1) - len(self.past)
        row = self.ids[0].tolist()
        logprobs = None
        if self.past:
            logprobs = tuple(scoring.token_logprobs(self.model, self.ids, last=len(self.past))[0].tolist())
        prompt = self.tokenizer.decode(row[:start], skip_special_tokens=True)
        self.text.value = Card(prompt, pieces(self.tokenizer, row[:start], row[start:]), logprobs).to_html()
        spaced = self.prompt.value != self.prompt.value.rstrip(" ")
        self.warning.value = (
            "⚠ El prompt acaba en un espacio, y el modelo lo lee como un token suelto. Bórralo y mira cómo cambia."
            if spaced
            else ""
        )
        self._show_bars(*self._next(decoding.greedy))

    def _show_bars(self, chosen, before, after) -> None:
        # Siempre las mismas: las favoritas del modelo. Así se ve cuál crece, cuál mengua y cuál se corta.
        self.shown = before.topk(min(self.top_n, len(before))).indices.tolist()
        favourite = chosen.item()
        for i, bar, button in zip(self.shown, self.bars, self.choices, strict=False):
            button.description = decoding.show_token(self.tokenizer, i)
            button.disabled = after[i].item() == 0
            bar.value = _bar(before[i].item(), after[i].item(), best=i == favourite)
        for bar, button in zip(self.bars[len(self.shown) :], self.choices[len(self.shown) :], strict=True):
            bar.value, button.description, button.disabled = "", "", True
        left = int((after > 0).sum()) - int((after[self.shown] > 0).sum())
        rest = [1 - probs[self.shown].sum().item() for probs in (before, after)]
        self.choices[len(self.shown)].disabled = True  # no es una: es la suma
        self.choices[len(self.shown)].description = f"las otras {number(len(before) - len(self.shown), 0)}"
        self.bars[len(self.shown)].value = _bar(*(max(p, 0.0) if p > 1e-6 else 0.0 for p in rest), left=left)


def _bar(before: float, after: float, *, best: bool = False, left: int | None = None) -> str:
    """Una barra de 0 a 100 %: llena, lo que queda tras los mandos; con puntos, lo que daba el modelo."""
    color = ORANGE if best else GREY if left is not None else BLUE
    said = percent(after) + (" ◀" if best else "") + ("" if left is None else f" ({number(left, 0)} vivas)")
    said = "✂ cortada" if after == 0 and left is None else said
    base = "position:absolute;top:4px;height:18px;left:0"
    mark = "border:1px dotted #555;border-right:2px solid #000;box-sizing:border-box"
    word = "position:absolute;top:3px;line-height:20px;white-space:nowrap"
    share, ghost = 70 * after, 70 * before  # el 30 % de la derecha es para el número
    return (
        '<div style="position:relative;height:26px;width:100%">'
        f'<div style="{base};width:{share:.2f}%;background:{color}"></div>'
        f'<div style="{base};width:{ghost:.2f}%;{mark}"></div>'
        f'<span style="{word};left:{max(share, ghost) + 1:.2f}%">{said}</span>'
        "</div>"
    )


class EpochSlider(_Widget):
    """El mismo principio y la misma semilla, época a época: mueve el mando y mira cómo cambia el texto (sesión 04).

    Parameters
    ----------
    versions : sequence of (str, Card)
        De cada momento, su nombre («antes», «época 1») y lo que escribió el modelo; ``plots.show_text(…).cards`` da
        las fichas.

    Raises
    ------
    ValueError
        Si no hay al menos dos momentos.
    """

    name = "Mando interactivo"

    def __init__(self, versions: Sequence[tuple[str, Card]]):
        import ipywidgets as w

        versions = list(versions)
        _validate.require(len(versions) > 1, f"Para comparar hacen falta dos momentos o más, y hay {len(versions)}.")
        options = [(name, k) for k, (name, _) in enumerate(versions)]
        self.cards = tuple(card for _, card in versions)
        style = {"description_width": "70px"}
        self.slider = w.SelectionSlider(options=options, value=0, description="Momento", style=style, layout=_WIDE)
        self.text = w.HTML(self.cards[0].to_html())
        self.slider.observe(lambda change: self._show(change["new"]), names="value")
        self.view = w.VBox([self.slider, self.text], layout={"max_width": "100%"})

    def _show(self, place: int) -> None:
        self.text.value = self.cards[place].to_html()


class SentenceBox(_Widget):
    """Una frase tuya, con la sorpresa de cada token y las caras del dado que tira el modelo (sesión 05).

    Parameters
    ----------
    model, tokenizer
        Un decodificador y su tokenizador.
    text : str
        La frase del principio.

    Attributes
    ----------
    error : str
        Lo que impide puntuar la frase; vacío si todo va bien.
    """

    name = "Caja interactiva"

    def __init__(self, model, tokenizer, text: str = "En un lugar de la Mancha"):
        import ipywidgets as w

        self.model, self.tokenizer, self.error = model, tokenizer, ""
        style = {"description_width": "60px"}
        self.text = w.Text(value=text, description="Frase", continuous_update=False, style=style, layout=_WIDE)
        self.output = w.HTML()
        self.text.observe(lambda _: self.refresh(), names="value")
        self.view = w.VBox([self.text, self.output], layout={"max_width": "100%"})
        self.refresh()

    def refresh(self) -> None:
        """Vuelve a puntuar la frase."""
        try:
            self.output.value, self.error = self._page(), ""
        except ValueError as error:
            self.error = str(error)
            self.output.value = f"<b>⚠ {html.escape(self.error)}</b>"

    def _page(self) -> str:
        text = self.text.value
        _validate.require(bool(text), "Escribe una frase: de nada no se puede decir cuánto sorprende.")
        found = scoring.perplexity(self.model, self.tokenizer, [text])
        start = self.tokenizer.bos_token_id
        start = self.tokenizer.eos_token_id if start is None else start
        ids = [start, *self.tokenizer(text, add_special_tokens=False).input_ids]
        logprobs = scoring.token_logprobs(self.model, torch.tensor([ids], device=self.model.device))[0]
        bits = (-logprobs / torch.log(torch.tensor(2.0))).tolist()
        chips = Surprise([decoding.show_token(self.tokenizer, i) for i in ids[1:]], bits)._repr_html_()
        said = (
            f"<p>Como tirar, en cada token, un dado de <b>{number(found.value, 0)} caras</b> (perplejidad "
            f"{number(found.value)}). {number(found.bits_per_char, 2)} bits por carácter.</p>"
        )
        return f'<div style="background:{PALE[GREY]};color:#000;padding:4px 8px">{chips}{said}</div>'
