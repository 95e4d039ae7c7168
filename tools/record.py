"""Graba lo que escribe el perfil mediano: los ficheros de course_utils/grabaciones/.

    python -m tools.record                   todos los grupos
    python -m tools.record temperatura voces solo esos

Necesita el modelo (`make llm`). Con la misma máquina y las mismas versiones sale lo mismo, salvo la fecha. Ningún
texto se escoge: la semilla de cada grabación es su número dentro del grupo, y la primera que sale es la que queda.
Cada grupo se comprueba en cuanto se graba.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import course_utils
from course_utils import recordings
from course_utils._files import atomic_write
from course_utils.jokes import load_jokes
from course_utils.models import load_model
from course_utils.scoring import perplexity

NAME = "Gemma 3 270M (Q4_K_M, bfloat16)"
PROFILE = "mediano"
Spec = tuple[str, str, dict, int | None]  # (etiqueta, prompt, ajustes, semilla)

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
COUNTRIES = ("Francia", "Italia", "Portugal", "Alemania", "Japón", "Perú", "Colombia", "Marruecos", "Cuba", "Australia")
CITIES = {"España": "Madrid", "México": "Ciudad de México", "Argentina": "Buenos Aires"}
VOICE = "En {city}, un chico llama por teléfono a un amigo y le cuenta lo que le pasó ayer:\n—"  # solo cambia la ciudad
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
            yield f"{name}, temperatura {t}".replace(".", ","), prompt, sampled(45, temperature=t), seed


def loop_specs() -> Iterator[Spec]:
    for name, prompt in STARTS.items():
        yield f"{name}, voraz", prompt, greedy(90), None


def nucleus_specs() -> Iterator[Spec]:
    """El mismo principio y la misma semilla, con temperatura alta: sin filtro y con cada uno de los dos."""
    for seed, (name, prompt) in enumerate(STARTS.items()):
        for label, transforms in {"sin filtro": {}, "top-p 0,9": {"top_p": 0.9}, "min-p 0,1": {"min_p": 0.1}}.items():
            yield f"{name}, {label}", prompt, sampled(35, temperature=1.5, **transforms), seed


def beam_specs() -> Iterator[Spec]:
    for name, prompt in STARTS.items():
        yield f"{name}, voraz", prompt, greedy(30), None
        yield f"{name}, haz de 4", prompt, {"num_beams": 4, "max_new_tokens": 30}, None


def space_specs() -> Iterator[Spec]:
    for prompt in ("La capital de Francia es", "Me gusta el café con"):
        yield f"«{prompt}», sin espacio al final", prompt, greedy(12), None
        yield f"«{prompt} », con espacio al final", prompt + " ", greedy(12), None


def unicorn_specs() -> Iterator[Spec]:
    for seed in range(2):
        yield f"intento {seed + 1}", UNICORNS, sampled(80, temperature=0.8, top_p=0.9), seed


def quixote_specs() -> Iterator[Spec]:
    yield "con la frase de Cervantes", QUIXOTE, sampled(80, temperature=0.8, top_p=0.9), 0
    manner = "Un párrafo a la manera de Cervantes, sobre un hidalgo y su teléfono móvil: "
    yield "de encargo", manner.strip(), sampled(80, temperature=0.8, top_p=0.9), 1


def surprise_specs() -> Iterator[Spec]:
    for name, sentence in SENTENCES.items():
        yield name, sentence, {"scored": True}, None


def shot_specs() -> Iterator[Spec]:
    for n in (0, 2, 4):
        examples = "".join(f"Escena: {scene}\nTono: {tone}\n\n" for scene, tone in SHOTS[:n])
        for scene, tone in SCENES:
            label = f"{n} ejemplos · {scene} (es {tone})"
            yield label, f"{examples}Escena: {scene}\nTono:", greedy(3), None


def capital_specs() -> Iterator[Spec]:
    for country in COUNTRIES:
        yield country, f"La capital de {country} es", greedy(6), None


def voice_specs() -> Iterator[Spec]:
    for country, city in CITIES.items():
        yield country, VOICE.format(city=city), sampled(50, temperature=0.8, top_p=0.9), 0


def joke_specs() -> Iterator[Spec]:
    for seed, prompt in enumerate(JOKES):
        yield prompt, prompt, sampled(45, temperature=0.8, top_p=0.9), seed


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
}


def record_group(name: str, model, tokenizer) -> tuple[recordings.Recording, ...]:
    """Graba un grupo y lo comprueba.

    Raises
    ------
    ValueError
        Si al puntuarlo otra vez no sale lo mismo: dice qué y en cuál.
    """
    about = {"name": NAME, "profile": PROFILE, "date": datetime.date.today().isoformat()}
    made = []
    for label, prompt, settings, seed in GROUPS[name]():
        prompt, text = ("", prompt) if settings.get("scored") else (prompt, None)
        made.append(recordings.record(model, tokenizer, prompt, settings, seed, text=text, label=label, **about))
        if found := recordings.problems(made[-1], model, tokenizer):
            raise ValueError(f"{name}, {label}: {found[0]}.")
    return tuple(made)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.record", description="Graba lo que escribe el mediano.")
    parser.add_argument("grupos", nargs="*", metavar="GRUPO", help=f"por defecto, todos: {', '.join(GROUPS)}")
    names = parser.parse_args(argv).grupos or list(GROUPS)
    if unknown := [name for name in names if name not in GROUPS]:
        print(f"Error: no conozco {', '.join(unknown)}. Los grupos son: {', '.join(GROUPS)}.", file=sys.stderr)
        return 1
    try:
        recordings.FOLDER.mkdir(exist_ok=True)
        model, tokenizer = load_model("decoder", PROFILE)
        for name in names:
            made = record_group(name, model, tokenizer)
            atomic_write(recordings.FOLDER / f"{name}.json", recordings.dump(made))
            print(f"{name}: {len(made)} grabaciones, {sum(len(r.ids) for r in made)} tokens", flush=True)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
