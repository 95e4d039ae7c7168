"""``python -m course_utils doctor | run | finetune | project | grade``: la máquina, el curso, ajustar, y corregir."""

from __future__ import annotations

import argparse
import codecs
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # que mirar y probar no deje nada en el repositorio
# Para terminales que no saben de emojis.
_PLAIN = {"✅": "[bien]", "⚠": "[aviso]", "❌": "[error]", "👁": "[mira]", "\ufe0f": ""}
_ERRORS = {  # los de argparse
    r"the following arguments are required: (.*)": r"falta \1",
    r"argument (\S+): expected (?:one|at least one) argument": r"\1 necesita un valor",
    r"argument (\S+): invalid \w+ value: (.*)": r"\1 no admite \2",
    r"argument (\S+): invalid choice: (\S+) \(choose from (.*)\)": r"\1 no puede ser \2; elige entre \3",
    r"unrecognized arguments: (.*)": r"no conozco \1",
}
_FINETUNE = """\
Ajusta el decodificador con los chistes del curso, evalúa cada época y se queda con la mejor: lo de la sesión 04.

En la carpeta de --output quedan modelo/ (listo para from_pretrained), adaptador/ si es LoRA y resultado.json con las
perplejidades de antes y de después. Ctrl+C guarda lo hecho; con --resume acaba igual que si no se hubiera cortado.
"""
_PROJECT = """\
Lee un cuaderno con su trabajo final y dice, criterio a criterio de la rúbrica, qué hay (✅), qué falta (❌) y qué tiene
que juzgar una persona (👁). No pone nota, y no ejecuta nada de él si no se pide --repeat: pídelo solo si te fías de
quien lo escribió.
"""
_COST = """\
Lo que cuesta, en dos núcleos: con el perfil mini, de uno a dos minutos, 1 GB de memoria y 0,3 GB de disco; con el
perfil completo, unos 20 minutos por época (con una GPU, muchos menos), 4 GB y 5 GB. Con --lora, el disco es poco más
que el del modelo y el tiempo sube un poco. Con el perfil mediano y --lora, una época cuesta 7 minutos y 8 GB, más 5 de
medir antes y después; queda solo el adaptador.
"""
_GRADE = """\
Corrige las entregas de una carpeta: vuelve a ejecutar cada función y la juzga con las reglas del curso instalado. Vale
cualquier nombre, subcarpetas, zips y lo que se descarga de Moodle o de Classroom.

En la carpeta de --output quedan notas.csv, informe.html y una página por persona. Se puede cortar y seguir: repetir la
orden solo corrige lo que falte. Cada respuesta corre aislada, sin red y con límites; hace falta Linux y bubblewrap.
"""


class _Parser(argparse.ArgumentParser):
    """La ayuda y los errores de argparse, en español."""

    def __init__(self, **options):
        super().__init__(formatter_class=_Formatter, add_help=False, **options)
        self._positionals.title, self._optionals.title = "argumentos", "opciones"
        self.add_argument("-h", "--help", action="help", help="muestra esta ayuda y termina")

    def error(self, message):
        for english, spanish in _ERRORS.items():
            message = re.sub(english, spanish, message)
        self.print_usage(sys.stderr)
        self.exit(2, f"Error: {message}\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def add_usage(self, usage, actions, groups, prefix=None):
        super().add_usage(usage, actions, groups, "uso: " if prefix is None else prefix)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m course_utils", description="El curso, desde la terminal.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="orden")
    options = commands.add_parser("doctor", help="dice si esta máquina está lista para la clase")
    options.add_argument("--json", action="store_true", help="un objeto JSON en vez de texto")
    options = commands.add_parser("run", help="ejecuta los cuadernos en una carpeta temporal")
    options.add_argument("sesiones", nargs="*", help="por ejemplo 02 (por defecto, todas)")
    options.add_argument("--solutions", action="store_true", help="los cuadernos resueltos")
    options.add_argument("--profundiza", action="store_true", help="también los de profundiza/")
    options.add_argument("--notebooks", metavar="CARPETA", help="dónde están (por defecto, en este repositorio)")
    options.add_argument("--timeout", type=int, default=600, metavar="S", help="segundos por celda (por defecto, 600)")
    options = commands.add_parser("project", help="revisa un trabajo final: qué hay y qué falta", description=_PROJECT)
    options.add_argument("cuaderno", type=Path, help="el cuaderno del trabajo, guardado con sus salidas")
    options.add_argument("--repeat", action="store_true", help="además lo ejecuta en una copia y compara los números")
    options.add_argument("--timeout", type=int, default=900, metavar="S", help="segundos por celda (por defecto, 900)")
    options = commands.add_parser(
        "finetune", help="ajusta el decodificador con los chistes", description=_FINETUNE, epilog=_COST
    )
    add = options.add_argument
    add("--output", type=Path, required=True, metavar="CARPETA", help="carpeta de trabajo y de resultados")
    add("--profile", metavar="PERFIL", help="mini, mediano o completo (por defecto, el de CURSO_PERFIL o mini)")
    add("--model", type=Path, metavar="CARPETA", help="parte del modelo de esta carpeta y no del perfil")
    add("--epochs", type=float, default=10, metavar="N", help="épocas como mucho (por defecto, 10)")
    add("--lora", type=int, nargs="?", const=8, metavar="RANGO", help="solo adaptadores LoRA (sin número, de rango 8)")
    add("--batch", type=int, default=8, metavar="N", help="chistes por paso, entre todos los procesos (por defecto, 8)")
    add("--lr", type=float, metavar="TASA", help="tasa de aprendizaje (por defecto, 0.0002; con --lora, 0.0005)")
    add("--patience", type=int, default=2, metavar="N", help="épocas sin mejorar antes de parar (por defecto, 2)")
    add("--packing", action="store_true", help="varios chistes por fila, si el modelo los separa")
    add("--seed", type=int, default=0, metavar="N", help="semilla del orden y del azar (por defecto, 0)")
    add("--log-steps", type=int, metavar="N", help="apunta la pérdida cada N pasos (por defecto, una vez por época)")
    add("--resume", action="store_true", help="continúa el entrenamiento que haya en --output")
    add("--cpu", action="store_true", help="no usa la GPU aunque la haya")
    _add_grade(commands)
    return parser


def _add_grade(commands) -> None:
    usage = "python -m course_utils grade CARPETA [opciones]"
    options = commands.add_parser("grade", help="corrige los cuadernos entregados", description=_GRADE, usage=usage)
    add = options.add_argument
    add("carpeta", metavar="CARPETA", nargs="?", help="dónde están las entregas; también vale un zip")
    add("--output", type=Path, metavar="CARPETA", help="dónde van las notas (por defecto, CARPETA-notas, al lado)")
    add("--sessions", nargs="+", metavar="SESIÓN", help="solo estas, por ejemplo 02 03 (por defecto, las entregadas)")
    add("--workers", type=int, default=1, metavar="N", help="cuántas entregas a la vez (por defecto, 1; 2 GB cada una)")
    add("--timeout", type=int, default=30, metavar="S", help="segundos de procesador por ejercicio (por defecto, 30)")
    add("--decimal-comma", action="store_true", help="coma decimal y columnas separadas con punto y coma")
    add("--moodle", action="store_true", help="además, moodle.csv, para importar las notas")
    add("--anonymous", action="store_true", help="seudónimos en todo; quién es quién, en identidades.json")
    add("--notebooks", type=Path, metavar="CARPETA", help="los cuadernos del curso (por defecto, en este repositorio)")
    add("--no-sandbox", action="store_true", help="ejecuta sin aislar: solo si te fías de todas las entregas")


def main(argv: list[str] | None = None) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    args = _parser().parse_args(argv)
    try:
        orders = {"doctor": _doctor, "run": _run, "finetune": _finetune, "project": _project, "grade": _grade}
        return orders[args.command](args)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


# Cada orden carga lo suyo: doctor y run no necesitan torch, y así dicen algo también donde torch no se puede cargar.
def _doctor(args) -> int:
    from . import doctor

    results = doctor.diagnose()
    print(doctor.to_json(results) if args.json else doctor.render(results))
    return 0 if doctor.ready(results) else 1


def _run(args) -> int:
    from . import runner

    paths = runner.find_notebooks(args.sesiones, folder=args.notebooks, solutions=args.solutions, deep=args.profundiza)
    reports = runner.run_all(paths, timeout=args.timeout)
    print(runner.render(reports))
    return 1 if any(report.failures for report in reports) else 0


def _project(args) -> int:
    from .project import reading, repeat, review

    book = reading.read(args.cuaderno)
    looks = review.review(book)
    if args.repeat:
        looks += repeat.repeat(args.cuaderno, book, timeout=args.timeout)
    print(review.render(looks))
    return 1 if review.missing(looks) else 0


def _finetune(args) -> int:
    from . import finetune

    return finetune.main(args)


def _grade(args) -> int:
    from .grade import command

    if args.carpeta is None and len(args.sessions or ()) > 1:  # «--sessions 02 entregas»: la última es la carpeta
        args.carpeta = args.sessions.pop()
    if not args.carpeta:
        raise ValueError("Falta la carpeta de las entregas: python -m course_utils grade CARPETA.")
    return command.main(args)


if __name__ == "__main__":
    codecs.register_error("llano", lambda error: (_PLAIN.get(error.object[error.start], "?"), error.start + 1))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="llano")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
