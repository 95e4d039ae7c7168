"""Graba lo que escribe el perfil mediano: los ficheros de course_utils/grabaciones/.

    python -m tools.record                   todos los grupos
    python -m tools.record temperatura voces solo esos

Necesita el modelo (`make llm`). Con la misma máquina y las mismas versiones sale lo mismo, salvo la fecha. Ningún
texto se escoge: la semilla de cada grabación es el número de su principio dentro del grupo, y la primera que sale es la
que queda. Cada grupo se comprueba en cuanto se graba.

Para «chistes» y «asistente», además, ajusta el modelo (LoRA, unos minutos) y graba lo mismo antes y después. De lo
ajustado solo queda aquí la receta: el adaptador va a una carpeta temporal, o a la de --adapter.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

import course_utils
from course_utils import recordings
from course_utils.__main__ import _parser
from course_utils._files import atomic_write, fingerprint
from course_utils.instructions import GEMMA_END, GEMMA_TEMPLATE, chat_prompt
from course_utils.jokes import load_jokes
from course_utils.models import load_model
from course_utils.scoring import perplexity
from tools.training import assistant

NAME = "Gemma 3 270M (Q4_K_M, bfloat16)"
PROFILE = "mediano"
# Lo que puede cambiar un ajuste repetido con otros hilos u otra máquina. Provisionales: falta medirlos.
CURVE_TOLERANCE = 0.02  # nats, o bits por carácter
RETRAINED = 0.25  # nats, en una log-probabilidad


class Spec(NamedTuple):
    """Lo que hay que grabar."""

    label: str
    prompt: str
    settings: dict
    seed: int | None = None
    expected: str | None = None


STARTS = {
    "cuento": "Había una vez, en un pueblo junto al mar, una niña que",
    "noticia": "La alcaldesa anunció ayer que a partir de septiembre",
    "receta": "Para preparar una buena tortilla de patatas, lo primero es",
}
UNICORNS = (
    "Un hallazgo asombroso: unos científicos han encontrado en los Andes una manada de unicornios. "
    "Y hay algo todavía más raro, porque los unicornios hablan español."
)
QUIXOTE = "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo"
CAPITALS = {
    "Francia": "París",
    "Italia": "Roma",
    "Portugal": "Lisboa",
    "Alemania": "Berlín",
    "Japón": "Tokio",
    "Perú": "Lima",
    "Colombia": "Bogotá",
    "Marruecos": "Rabat",
    "Cuba": "La Habana",
    "Australia": "Canberra",
}
EXAMPLES = "La capital de España es Madrid.\nLa capital de Argentina es Buenos Aires.\n"
CITIES = {"España": "Madrid", "México": "Ciudad de México", "Argentina": "Buenos Aires"}
CAR = "Hola, vivo en {city} y quiero comprar un coche de segunda mano. Mi presupuesto es de"  # solo cambia la ciudad
GREETINGS = {"España": "¿Qué pasa, tío?", "México": "¿Qué onda, güey?", "Argentina": "¿Qué hacés, che?"}
CALL = "—{greeting} ¿Qué hiciste ayer?\n—"  # solo cambia el saludo
SENTENCES = {
    "corriente": "Mañana por la mañana tengo que ir al supermercado a comprar leche y pan.",
    "refrán": "No por mucho madrugar amanece más temprano.",
    "hecho": "El agua hierve a cien grados al nivel del mar.",
    "hecho falso": "El agua hierve a doce grados al nivel del mar.",
    "desordenada": "mar hierve nivel al agua a El del grados cien.",
    "absurda": "La lavadora votó en contra porque el martes era demasiado triangular.",
    "noticia": "El Gobierno aprobó ayer una subida de las pensiones del tres por ciento.",
    "novela": "Mirole de hito en hito el ventero, y pareciole que no estaba en sus cabales.",
    "letras al azar": "xq zvj kpw trn mlb qjx.",
    "repetida": "sí, sí, sí, sí, sí, sí, sí, sí, sí, sí.",
}
SHOTS = (
    ("Llegó el verano y los niños jugaban en el río.", "alegre"),
    ("Se le murió el caballo y no tenía otro.", "triste"),
    ("Le tocó la lotería y compró una huerta.", "alegre"),
    ("La guerra acabó con el pueblo.", "triste"),
)
SCENES = (  # seis y seis, de las veinticuatro de la sesión 05
    ("Ganó el premio y lo celebró con toda su familia.", "alegre"),
    ("Nació la niña, sana y fuerte.", "alegre"),
    ("Por fin volvió su hijo de la guerra.", "alegre"),
    ("La besó y se rieron los dos.", "alegre"),
    ("Bailaron toda la noche en la fiesta del pueblo.", "alegre"),
    ("Le perdonaron la deuda y pudo conservar la casa.", "alegre"),
    ("Murió su madre y lloró tres días.", "triste"),
    ("El fuego quemó la casa entera.", "triste"),
    ("Perdió todo su dinero en el juego.", "triste"),
    ("Enterraron al pobre niño por la mañana.", "triste"),
    ("Se quedó solo y nadie vino a verlo.", "triste"),
    ("La enfermedad lo dejó ciego.", "triste"),
)
JOKES = (
    "—Doctor, doctor,",
    "—Camarero, hay una mosca",
    "Van dos amigos por el desierto y",
    "En la escuela, la maestra pregunta:",
    "¿Qué le dice un semáforo a otro?",
    "¿En qué se parece un",
    "Mi abuela",
    "Entra un esqueleto en un bar y",
    "—Papá, papá,",
    "El colmo de un electricista es",
)

QUESTIONS = (  # doce que no están entre los pares de la sesión 07
    "¿Cuál es la capital de Perú?",
    "Escribe una lista con tres frutas.",
    "Explica con una frase qué es un volcán.",
    "¿Cuánto es 12 más 9?",
    "Di lo contrario de «alto».",
    "Corrige la frase: «Ayer nosotros iremos al cine».",
    "Traduce al español: «Good morning».",
    "Dame un consejo para dormir mejor.",
    "¿En qué número estoy pensando?",
    "Pon en plural: «el pez azul».",
    "Saluda a mi vecina, que se llama Rosa.",
    "¿Quién escribió «Don Quijote de la Mancha»?",
)


MODERN = (  # escritas para esto: no están en ninguna parte
    "El tren de cercanías volvió a llegar con veinte minutos de retraso y en el andén ya no cabía nadie.",
    "Instala la última versión de la aplicación y reinicia el teléfono antes de volver a intentarlo.",
    "Mi hermana teletrabaja los lunes y los viernes, y los demás días va a la oficina en bicicleta.",
    "La vacuna se pone en dos dosis, con tres semanas entre una y otra, y da algo de fiebre.",
    "El árbitro revisó la jugada en la pantalla y anuló el segundo gol por fuera de juego.",
    "Se me ha roto la lavadora y el técnico no puede venir hasta el jueves que viene.",
    "Los vecinos del barrio piden más árboles, menos ruido y una parada de autobús junto al ambulatorio.",
    "Para compartir la carpeta, copia el enlace y mándaselo por correo a quien quieras invitar.",
    "La factura de la luz ha subido otra vez, aunque este mes hemos puesto menos la calefacción.",
    "Este fin de semana dan una serie nueva sobre una detective que resuelve casos en los años noventa.",
)


def figures(model, tokenizer) -> dict[str, float]:
    """Bits por carácter de un modelo en tres clases de texto; se pueden comparar entre modelos."""
    novel = (Path(course_utils.__file__).parent / "data" / "novela.txt").read_text(encoding="utf-8")
    jokes = load_jokes("mini")["test"]["text"]
    texts = {"frases de hoy": list(MODERN), "chistes de prueba": list(jokes), "novela del XIX": [novel]}
    return {name: perplexity(model, tokenizer, group).bits_per_char for name, group in texts.items()}


def greedy(tokens: int) -> dict:
    return {"max_new_tokens": tokens}


def sampled(tokens: int, **transforms) -> dict:
    return {"do_sample": True, **transforms, "max_new_tokens": tokens}


def temperature_specs() -> Iterator[Spec]:
    for seed, (name, prompt) in enumerate(STARTS.items()):
        for t in (0.3, 0.7, 1.0, 1.5):
            yield Spec(f"{name}, temperatura {t}".replace(".", ","), prompt, sampled(45, temperature=t), seed)


def loop_specs() -> Iterator[Spec]:
    for name, prompt in STARTS.items():
        yield Spec(f"{name}, voraz", prompt, greedy(90))


def nucleus_specs() -> Iterator[Spec]:
    """El mismo principio y la misma semilla, con temperatura alta: sin filtro y con cada uno de los dos."""
    for seed, (name, prompt) in enumerate(STARTS.items()):
        for label, transforms in {"sin filtro": {}, "top-p 0,9": {"top_p": 0.9}, "min-p 0,1": {"min_p": 0.1}}.items():
            yield Spec(f"{name}, {label}", prompt, sampled(35, temperature=1.5, **transforms), seed)


def beam_specs() -> Iterator[Spec]:
    for name, prompt in STARTS.items():
        yield Spec(f"{name}, voraz", prompt, greedy(30))
        yield Spec(f"{name}, haz de 4", prompt, {"num_beams": 4, "max_new_tokens": 30})


def space_specs() -> Iterator[Spec]:
    for prompt in ("La capital de Francia es", "Me gusta el café con"):
        yield Spec(f"«{prompt}», sin espacio al final", prompt, greedy(12))
        yield Spec(f"«{prompt} », con espacio al final", prompt + " ", greedy(12))


def unicorn_specs() -> Iterator[Spec]:
    for seed in range(2):
        yield Spec(f"intento {seed + 1}", UNICORNS, sampled(80, temperature=0.8, top_p=0.9), seed)


def quixote_specs() -> Iterator[Spec]:
    yield Spec("con la frase de Cervantes", QUIXOTE, sampled(80, temperature=0.8, top_p=0.9), 0)
    manner = "Un párrafo a la manera de Cervantes, sobre un hidalgo y su teléfono móvil: "
    yield Spec("de encargo", manner.strip(), sampled(80, temperature=0.8, top_p=0.9), 1)


def surprise_specs() -> Iterator[Spec]:
    for name, sentence in SENTENCES.items():
        yield Spec(name, sentence, {"scored": True})


def shot_specs() -> Iterator[Spec]:
    for n in (0, 2, 4):
        examples = "".join(f"Escena: {scene}\nTono: {tone}\n\n" for scene, tone in SHOTS[:n])
        for scene, tone in SCENES:
            label = f"{n} ejemplos · {scene}"
            yield Spec(label, f"{examples}Escena: {scene}\nTono:", greedy(3), None, tone)


def capital_specs() -> Iterator[Spec]:
    """Lo mismo, a secas y con dos ejemplos delante."""
    for condition, examples in {"sin ejemplos": "", "dos ejemplos": EXAMPLES}.items():
        for country, capital in CAPITALS.items():
            prompt = f"{examples}La capital de {country} es"
            yield Spec(f"{condition} · {country}", prompt, greedy(6), None, capital)


def voice_specs() -> Iterator[Spec]:
    """Tres países. Con la ciudad cambian las cosas; la voz (vos, vosotros, el habla) no la sostiene.

    Se probaron catorce principios, siempre con la semilla 0: en cinco cambia solo la ciudad, en dos el país y en siete
    las palabras. En ninguno siguió hablando como el país: como mucho, repite el «güey» o el «che» que acaba de leer.
    Se quedan el principio en el que más cambia lo que cuenta y un saludo.
    """
    for country, city in CITIES.items():
        yield Spec(f"ciudad, {country}", CAR.format(city=city), sampled(45, temperature=0.8, top_p=0.9), 0)
    for country, greeting in GREETINGS.items():
        yield Spec(f"saludo, {country}", CALL.format(greeting=greeting), sampled(45, temperature=0.8, top_p=0.9), 1)


def joke_specs() -> Iterator[Spec]:
    for seed, prompt in enumerate(JOKES):
        yield Spec(prompt, prompt, sampled(45, temperature=0.8, top_p=0.9), seed)


def order_specs() -> Iterator[Spec]:
    """Una orden, a secas: como se la daría quien no sabe que es un modelo base."""
    for question in QUESTIONS:
        yield Spec(question, question, greedy(40))


def assistant_specs() -> Iterator[Spec]:
    """La misma orden con la plantilla de chat. El token inicial lo pone el tokenizador, como en los demás."""
    tokenizer = _Templated()
    for question in QUESTIONS:
        yield Spec(question, chat_prompt(tokenizer, question), greedy(40) | {"stop": GEMMA_END})


class _Templated:
    """La plantilla, sin cargar el tokenizador: para decir qué se graba no hace falta el modelo."""

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        from transformers.utils.chat_template_utils import render_jinja_template

        options = {"chat_template": GEMMA_TEMPLATE, "add_generation_prompt": add_generation_prompt, "bos_token": ""}
        return render_jinja_template([messages], **options)[0][0]


GROUPS: dict[str, Callable[[], Iterator[Spec]]] = {
    "temperatura": temperature_specs,
    "bucle": loop_specs,
    "nucleo": nucleus_specs,
    "haz": beam_specs,
    "espacio": space_specs,
    "unicornios": unicorn_specs,
    "quijote": quixote_specs,
    "sorpresa": surprise_specs,
    "ejemplos": shot_specs,
    "capitales": capital_specs,
    "voces": voice_specs,
    "chistes": joke_specs,
    "ordenes": order_specs,
    "asistente": assistant_specs,
}


def recorded() -> list[str]:
    """Los grupos que ya están grabados."""
    return sorted(path.stem for path in recordings.FOLDER.glob("*.json"))


# ---------------------------------------------------------------- el modelo ajustado
ASSISTANT = f"{NAME}, tras dos épocas de LoRA con las instrucciones del curso"
TUNED = f"{NAME}, tras una época de LoRA con los chistes del curso"
COMMAND = (  # con todo escrito: que la receta no dependa de lo que se tome por defecto
    "finetune --profile mediano --lora 8 --epochs 1 --batch 8 --lr 0.0005 --patience 2 --seed 0 --log-steps 1 --cpu"
)


def train(command: str, output: Path) -> dict:
    """Ajusta el modelo en un proceso aparte y dice cómo; si en la carpeta ya está hecho con esa orden, no lo repite.

    Raises
    ------
    ValueError
        Si la orden no acaba bien.
    """
    run = [sys.executable, "-m", "course_utils", *command.split(), "--output", str(output)]
    if not (output / "resultado.json").is_file() and subprocess.run(run, stdout=subprocess.DEVNULL).returncode:
        raise ValueError(f"No ha acabado bien: {' '.join(run)}.")
    return recipe(command, output)


def recipe(command: str, output: Path) -> dict:
    """Lo que dice de un ajuste su carpeta: los textos, los adaptadores, la curva, lo que costó y las versiones.

    Raises
    ------
    ValueError
        Si lo de la carpeta no lo hizo esa orden: dice qué opción cambia.
    """
    asked = vars(_parser().parse_args([*command.split(), "--output", str(output)]))
    used = json.loads((output / "argumentos.json").read_text(encoding="utf-8"))
    if changed := [name for name in used if used[name] != asked[name]]:
        raise ValueError(f"El ajuste de {output} no es el de la receta: cambia --{changed[0]}, {used[changed[0]]}.")
    result = json.loads((output / "resultado.json").read_text(encoding="utf-8"))
    adapter = json.loads((output / "adaptador" / "adapter_config.json").read_text(encoding="utf-8"))
    return {
        "command": command,
        "texts": texts(),
        "lora": {name: adapter[name] for name in ("r", "lora_alpha", "lora_dropout")}
        | {"matrices": sorted(adapter["target_modules"])},
        "curve": result["curva"],
        "cost": {"seconds": result["segundos"], "peak_gb": result["memoria_gb"]},
        "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")},
    }


def texts() -> dict:
    """Los chistes: cuántos hay en cada partición, y la suma de todos en su orden."""
    parts = {name: list(part["text"]) for name, part in load_jokes("mini").items()}
    return {name: len(part) for name, part in parts.items()} | {"sha256": fingerprint(parts)}


def tune(command: str, output: Path, model, tokenizer) -> tuple[dict, torch.nn.Module]:
    """Sigue una receta: da la receta con todo lo que ha salido, y el modelo con el adaptador. Cambia el que recibe."""
    from peft import PeftModel

    how, before = train(command, output), joke_bits(model, tokenizer)
    model = PeftModel.from_pretrained(model, output / "adaptador").eval()
    return how | {"bits_per_char": {"before": before, "after": joke_bits(model, tokenizer)}}, model


def tune_assistant(output: Path, model) -> tuple[dict, torch.nn.Module]:
    """El ajuste de la sesión 07: su receta, con lo que ha salido, y el modelo con el adaptador. Cambia el que recibe.

    Si en la carpeta ya está hecho con esas opciones, no lo repite.

    Raises
    ------
    ValueError
        Si lo de la carpeta es de otras opciones, o el ajuste no acaba bien.
    """
    from peft import PeftModel

    run = [sys.executable, "-m", "tools.training.assistant", "--output", str(output)]
    done = output / "resultado.json"
    if not done.is_file() and subprocess.run(run, stdout=subprocess.DEVNULL).returncode:
        raise ValueError(f"No ha acabado bien: {' '.join(run)}.")
    how = json.loads(done.read_text(encoding="utf-8"))
    if how["options"] != assistant.OPTIONS or how["texts"] != assistant.texts():
        raise ValueError(f"El ajuste de {output} no es el de la receta: cambian las opciones o los pares.")
    command = "python -m tools.training.assistant"
    return {"command": command} | how, PeftModel.from_pretrained(model, output / "adaptador").eval()


def assistant_problems(said: Mapping, found: Mapping) -> list[str]:
    """En qué no es la receta del asistente lo que sale al repetirla; las versiones y lo que costó pueden cambiar."""
    exact = [
        f"{name}: la receta dice {said[name]!r} y es {found[name]!r}"
        for name in ("command", "options", "texts", "lora")
        if said[name] != found[name]
    ]
    if [step for step, _ in said["curve"]] != [step for step, _ in found["curve"]]:
        exact.append(f"curve: la receta tiene {len(said['curve'])} puntos y salen {len(found['curve'])}")
    if said["answers"]["tokens"] != found["answers"]["tokens"]:
        return [*exact, "answers: los pares de prueba no tienen los mismos tokens"]
    tokens = sum(said["answers"]["tokens"])
    return exact + [
        f"answers, {when}: la receta dice {sum(said['answers'][when]) / tokens:.3f} nats por token y salen "
        f"{sum(found['answers'][when]) / tokens:.3f}"
        for when in ("before", "after")
        if abs(sum(said["answers"][when]) - sum(found["answers"][when])) / tokens > CURVE_TOLERANCE
    ]


def joke_bits(model, tokenizer) -> float:
    """Bits por carácter en los chistes de prueba."""
    return round(perplexity(model, tokenizer, list(load_jokes("mini")["test"]["text"])).bits_per_char, 4)


def recipe_problems(said: Mapping, found: Mapping) -> list[str]:
    """En qué no es una receta lo que ha salido al repetirla; las versiones y lo que costó pueden cambiar."""
    exact = [
        f"{name}: la receta dice {said[name]!r} y es {found[name]!r}"
        for name in ("command", "texts", "lora")
        if said[name] != found[name]
    ]
    numbers = []
    for name, curve in said["curve"].items():
        again = found["curve"][name]
        if [step for step, _ in curve] != [step for step, _ in again]:
            exact.append(f"curve, {name}: la receta tiene {len(curve)} puntos y salen {len(again)}, o en otros pasos")
        else:
            pairs = zip(curve, again, strict=True)
            numbers += [(f"curve, {name}, paso {step}", value, other) for (step, value), (_, other) in pairs]
    numbers += [(f"bits_per_char, {k}", v, found["bits_per_char"][k]) for k, v in said["bits_per_char"].items()]
    return exact + [
        f"{name}: la receta dice {value} y sale {other}"
        for name, value, other in numbers
        if not abs(value - other) <= CURVE_TOLERANCE
    ]


# ---------------------------------------------------------------- grabar
def record_group(name: str, model, tokenizer, adapter: Path | None = None) -> tuple[recordings.Recording, ...]:
    """Graba un grupo y lo comprueba; chistes y asistente, antes y después del ajuste, que se deja en ``adapter``.

    Raises
    ------
    ValueError
        Si al puntuarlo otra vez no sale lo mismo: dice qué y en cuál.
    """
    specs, about = list(GROUPS[name]()), {"name": NAME, "profile": PROFILE}
    made = _record(specs, model, tokenizer, **about)
    if name == "chistes":
        with tempfile.TemporaryDirectory() as folder:
            how, model = tune(COMMAND, adapter or Path(folder) / "ajuste", model, tokenizer)
            made += _record(specs, model, tokenizer, **about | {"name": TUNED, "recipe": how})
    if name == "asistente":
        with tempfile.TemporaryDirectory() as folder:
            how, model = tune_assistant(adapter or Path(folder) / "ajuste", model)
            made += _record(specs, model, tokenizer, **about | {"name": ASSISTANT, "recipe": how})
    return tuple(made)


def _record(specs: Iterable[Spec], model, tokenizer, **about) -> list[recordings.Recording]:
    made = []
    about["date"] = datetime.date.today().isoformat()
    for label, prompt, settings, seed, expected in specs:
        prompt, text = ("", prompt) if settings.get("scored") else (prompt, None)
        own = {"label": label, "expected": expected, "text": text}
        made.append(recordings.record(model, tokenizer, prompt, settings, seed, **own, **about))
        if found := recordings.problems(made[-1], model, tokenizer):
            raise ValueError(f"{label}: {found[0]}.")
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.record", description="Graba lo que escribe el mediano.")
    parser.add_argument("grupos", nargs="*", metavar="GRUPO", help=f"por defecto, todos: {', '.join(GROUPS)}")
    parser.add_argument(
        "--adapter", type=Path, metavar="CARPETA", help="dónde dejar el ajuste de «chistes» o «asistente»"
    )
    args = parser.parse_args(argv)
    names = args.grupos or list(GROUPS)
    if unknown := [name for name in names if name not in GROUPS]:
        print(f"Error: no conozco {', '.join(unknown)}. Los grupos son: {', '.join(GROUPS)}.", file=sys.stderr)
        return 1
    try:
        recordings.FOLDER.mkdir(exist_ok=True)
        for name in names:
            model, tokenizer = load_model("decoder", PROFILE)  # otra vez: el ajuste cambia el que recibe
            made = record_group(name, model, tokenizer, args.adapter)
            atomic_write(recordings.FOLDER / f"{name}.json", recordings.dump(made))
            print(f"{name}: {len(made)} grabaciones, {sum(len(r.ids) for r in made)} tokens", flush=True)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
