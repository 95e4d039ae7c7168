"""``python -m course_utils doctor`` y ``python -m course_utils run``: ¿está lista la máquina?, ¿va todo el curso?"""

from __future__ import annotations

import argparse
import codecs
import sys

sys.dont_write_bytecode = True  # que mirar y probar no deje nada en el repositorio
_PLAIN = {"✅": "[bien]", "⚠": "[aviso]", "❌": "[error]", "\ufe0f": ""}  # para terminales que no saben de emojis


def main(argv: list[str] | None = None) -> int:
    """Atiende la línea de órdenes; devuelve el código de salida."""
    parser = argparse.ArgumentParser(prog="python -m course_utils", description="El curso, desde la terminal.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="orden")
    options = commands.add_parser("doctor", help="dice si esta máquina está lista para la clase")
    options.add_argument("--json", action="store_true", help="un objeto JSON en vez de texto")
    options = commands.add_parser("run", help="ejecuta los cuadernos en una carpeta temporal")
    options.add_argument("sesiones", nargs="*", help="por ejemplo 02 (por defecto, todas)")
    options.add_argument("--solutions", action="store_true", help="los cuadernos resueltos")
    options.add_argument("--notebooks", metavar="CARPETA", help="dónde están (por defecto, en este repositorio)")
    options.add_argument("--timeout", type=int, default=600, metavar="S", help="segundos por celda (por defecto, 600)")
    commands.add_parser("finetune", help="ajusta el decodificador con los chistes; «finetune --help» da sus opciones")
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["finetune"]:  # tiene sus propias opciones, y carga torch
        from . import finetune

        return finetune.main(argv[1:])
    args = parser.parse_args(argv)
    if args.command == "doctor":
        from . import doctor

        results = doctor.diagnose()
        print(doctor.to_json(results) if args.json else doctor.render(results))
        return 0 if doctor.ready(results) else 1
    from . import runner

    try:
        paths = runner.find_notebooks(args.sesiones, folder=args.notebooks, solutions=args.solutions)
        reports = runner.run_all(paths, timeout=args.timeout)
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(runner.render(reports))
    return 1 if any(report.failures for report in reports) else 0


if __name__ == "__main__":
    codecs.register_error("llano", lambda error: (_PLAIN.get(error.object[error.start], "?"), error.start + 1))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="llano")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
