"""Explorador interactivo: un texto que crece token a token, con sus candidatas como barras y los mandos a la vista.

Funciona con ipywidgets 7 (Colab) y 8 (JupyterLab). Todo lo que hace se puede hacer también sin ratón: los botones
llaman a métodos, y ``candidates`` da los datos del dibujo.
"""

from __future__ import annotations

import html
import io
from functools import partial

import torch

from . import _validate, decoding, plots

HINT = "Explorador interactivo: ejecuta esta celda para usarlo. Debajo, lo mismo como dibujo."


class Explorer:
    """El texto de un decodificador, paso a paso, con temperatura, top-k, top-p y min-p. Se enseña en la sesión 03.

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

    def __init__(self, model, tokenizer, prompt: str = "Había una vez", *, top_n: int = 8, seed: int = 0):
        import ipywidgets as w

        _validate.count("top_n", top_n)
        self.model, self.tokenizer, self.top_n, self.seed = model, tokenizer, top_n, seed
        wide = {"continuous_update": False, "style": {"description_width": "110px"}, "layout": {"width": "630px"}}
        self.prompt = w.Text(value=prompt, description="Prompt", **wide)
        self.temperature = w.FloatSlider(value=1.0, min=0, max=3, step=0.05, description="Temperatura", **wide)
        self.top_k = w.IntSlider(value=0, min=0, max=100, description="Top-k (0: no)", **wide)
        self.top_p = w.FloatSlider(value=1.0, min=0, max=1, step=0.05, description="Top-p (1: no)", **wide)
        self.min_p = w.FloatSlider(value=0.0, min=0, max=1, step=0.01, description="Min-p (0: no)", **wide)
        self.text, self.message, self.image = w.HTML(), w.HTML(), w.Image(format="png", layout={"width": "630px"})
        buttons = []
        for name, action in (("La favorita", self.best), ("Tirar el dado", self.draw), ("Empezar", self.restart)):
            buttons.append(w.Button(description=name))
            buttons[-1].on_click(lambda _, action=action: action())
        self.buttons = tuple(buttons)
        for control in (self.temperature, self.top_k, self.top_p, self.min_p):
            control.observe(lambda _: self.refresh(), names="value")
        self.prompt.observe(lambda _: self.restart(), names="value")
        sliders = w.VBox([self.temperature, self.top_k, self.top_p, self.min_p])
        self.view = w.VBox([self.prompt, sliders, w.HBox(buttons), self.text, self.message, self.image])
        self.restart()

    def _ipython_display_(self):
        from IPython.display import display

        view = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        display({"text/plain": HINT, "application/vnd.jupyter.widget-view+json": view}, raw=True)

    def transforms(self) -> list[decoding.Transform]:
        """Las transformaciones que dicen los mandos, en el orden de Hugging Face; las apagadas no están.

        Raises
        ------
        ValueError
            Si un mando tiene un valor que no vale, por ejemplo temperatura 0.
        """
        active = [decoding.temperature(self.temperature.value)] if self.temperature.value != 1 else []
        active += [decoding.top_k(self.top_k.value)] if self.top_k.value else []
        active += [decoding.top_p(self.top_p.value)] if self.top_p.value != 1 else []
        return active + ([decoding.min_p(self.min_p.value)] if self.min_p.value else [])

    def candidates(self) -> dict[str, float]:
        """Las ``top_n`` candidatas que quedan tras las transformaciones → su probabilidad."""
        probs = self._next(decoding.greedy)[1]
        top = probs.topk(min(self.top_n, len(probs)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return {decoding.show_token(self.tokenizer, i): p for i, p in pairs if p > 0}

    def best(self) -> None:
        """Un paso de búsqueda voraz."""
        self._act(lambda: self._step(decoding.greedy))

    def draw(self) -> None:
        """Un paso de muestreo, con el azar propio del explorador."""
        self._act(lambda: self._step(partial(decoding.sample, generator=self.generator)))

    def restart(self) -> None:
        """Vuelve al *prompt* de la casilla y a la semilla."""
        self.ids = self.tokenizer(self.prompt.value, return_tensors="pt").input_ids.to(self.model.device).long()
        self.generator = torch.Generator(self.model.device).manual_seed(self.seed)
        self.refresh()

    def refresh(self) -> None:
        """Vuelve a dibujar las candidatas con los mandos como están."""
        self._act(lambda: None)

    def _next(self, select):
        """El id elegido y la distribución de la que se eligió, (V,): el bucle es el de siempre."""
        seen = []
        transforms = [*self.transforms(), lambda logits, ids: seen.append(logits[0].softmax(-1)) or logits]
        step = next(decoding.stream(self.model, self.ids, transforms=transforms, select=select, max_new_tokens=1))
        return step.ids, seen[0]

    def _step(self, select) -> None:
        self.ids = torch.cat([self.ids, self._next(select)[0][:, None]], 1)

    def _act(self, action) -> None:
        """Hace algo y lo enseña; si no se puede, lo dice donde se ve: Jupyter esconde los errores de los botones."""
        try:
            action()
            self._show()
            self.error = self.message.value = ""
        except Exception as error:
            self.error = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self.message.value = f"<b>⚠ {html.escape(self.error)}</b>"
            if not isinstance(error, ValueError):
                raise

    def _show(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        text = self.tokenizer.decode(self.ids[0].tolist())
        self.text.value = f"<pre style='white-space: pre-wrap'>{html.escape(text)}</pre>"
        size = (7, 0.34 * self.top_n + 1)
        figure = Figure(figsize=size, layout="constrained")  # sin pyplot: nadie lo enseña dos veces
        FigureCanvasAgg(figure)
        plots.plot_distribution(self.candidates(), title="Candidatas al siguiente token", ax=figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=180)
        self.image.value = buffer.getvalue()
