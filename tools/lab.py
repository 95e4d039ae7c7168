"""Monta el laboratorio de decodificación: la página de docs/lab/ con el modelo embebido, lista para servirse tal cual.

    python -m tools.lab --output build/site/lab          una carpeta, para cualquier servidor web
    python -m tools.lab --single build/laboratorio.html  un solo archivo, que se abre con doble clic, sin servidor
    python -m tools.lab --kernel                         ensambla otra vez el núcleo de WebAssembly (kernel.wat)
    python -m tools.lab --portada                        graba el árbol de la portada del sitio (docs/portada.json)

Los pesos no se repiten en el repositorio: salen de course_utils/checkpoints/decoder y van en «modelo/», con su ficha y
un sha256.json que dice lo que mide cada archivo y su resumen. Los tipos de letra son los de las diapositivas, si están
instalados; si no, la página usa los del sistema. ``--single`` y ``--kernel`` piden Node.js.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course_utils._files import atomic_write, fingerprint, sha256

from . import ROOT, exit_code
from .slides import data_uri, install_node_modules

SOURCE = ROOT / "docs" / "lab"
CHECKPOINT = ROOT / "course_utils" / "checkpoints" / "decoder"
KERNEL = SOURCE / "engine" / "kernel.wat"
DOWNLOADED = ("config.json", "tokenizer.json", "model.safetensors")  # lo que se baja antes de empezar
MODEL_FILES = (*DOWNLOADED, "README.md")
FONT = "atkinson-hyperlegible"
FACE = (
    '@font-face {{ font-family: "Atkinson Hyperlegible"; font-weight: {weight}; font-display: swap; '
    'src: url("{file}") format("woff2"); }}\n'
)
# En file:// no se puede pedir nada: lo que la página pide con fetch se le da de lo que lleva dentro.
EMBEDDED = """\
(() => {
  const here = new URL(".", document.baseURI).href;
  const outside = globalThis.fetch;
  globalThis.fetch = async (url, options) => {
    const name = new URL(url, document.baseURI).href.replace(here, "");
    const stored = document.getElementById("archivo:" + name);
    if (!stored) return outside(url, options);
    options?.signal?.throwIfAborted();
    const text = atob(stored.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return new Response(bytes, { headers: { "Content-Type": stored.dataset.type } });
  };
})();
"""
TYPES = {".json": "application/json", ".md": "text/markdown", ".safetensors": "application/octet-stream"}


def manifest(checkpoint: Path = CHECKPOINT) -> str:
    """Lo que debe medir cada archivo del modelo y su SHA-256, y una huella de todos: {hash, files}, en JSON."""
    paths = {name: checkpoint / name for name in MODEL_FILES}
    files = {name: {"sha256": sha256(path), "bytes": path.stat().st_size} for name, path in paths.items()}
    return json.dumps({"hash": fingerprint(files), "files": files}, indent=2) + "\n"


def assemble(output: Path, checkpoint: Path = CHECKPOINT) -> int:
    """Deja en ``output`` la página, el modelo y la letra; devuelve cuántos bytes son. Lo que hubiera allí se sustituye.

    Raises
    ------
    ValueError
        Si ``output`` no está vacía y no es un laboratorio ya montado: no se borra lo que no es nuestro.
    """
    if output.exists() and any(output.iterdir()) and not (output / "modelo" / "sha256.json").is_file():
        raise ValueError(f"«{output}» no está vacía y no es un laboratorio. Elige otra carpeta para --output.")
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(SOURCE, output, ignore=shutil.ignore_patterns("*.wat", "README.md"))
    model = output / "modelo"
    model.mkdir()
    for name in MODEL_FILES:
        shutil.copyfile(checkpoint / name, model / name)
    (model / "sha256.json").write_text(manifest(checkpoint), encoding="utf-8")
    fonts = output / "fonts"
    fonts.mkdir(exist_ok=True)
    (fonts / "fonts.css").write_text("".join(copy_fonts(fonts)), encoding="utf-8")
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())


def copy_fonts(folder: Path) -> list[str]:
    """Copia la letra de las diapositivas, si está instalada; devuelve su CSS."""
    rules = []
    for weight in (400, 700):
        name = f"{FONT}-latin-{weight}-normal.woff2"
        source = ROOT / "slides" / "node_modules" / "@fontsource" / FONT / "files" / name
        if source.is_file():
            shutil.copyfile(source, folder / name)
            rules.append(FACE.format(weight=weight, file=name))
    return rules


# --- Un solo archivo ----------------------------------------------------------------------------------


def node(program: str, *arguments: object, modules: Path) -> str:
    """Ejecuta un programa de Node de los de slides/package.json; devuelve lo que escribe.

    Raises
    ------
    ValueError
        Si no acaba bien, con lo último que ha dicho.
    """
    command = ["node", str(modules / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise ValueError(f"{program} no ha podido terminar:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def single(output: Path) -> int:
    """Escribe el laboratorio entero en un archivo HTML, que funciona sin servidor; devuelve cuántos bytes mide."""
    modules = install_node_modules(ROOT / "slides")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "lab")
        assemble(folder)
        page = bundle_page(folder, modules)
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(output, page)
    return output.stat().st_size


def bundle_page(folder: Path, modules: Path) -> str:
    """La página de una carpeta ya montada, con sus hojas de estilo, su icono, sus módulos y sus datos dentro."""
    page = (folder / "index.html").read_text(encoding="utf-8")

    def bundled(match: re.Match, *options: str) -> str:
        common = ("--bundle", "--minify", "--charset=utf8", "--loader:.woff2=dataurl", "--log-level=error")
        return node("esbuild/bin/esbuild", folder / match[1], *common, *options, modules=modules).strip()

    page = re.sub(r'(<link rel="icon" href=")([^":]+)(")', lambda m: m[1] + data_uri(folder / m[2]) + m[3], page)
    styles = r'<link rel="stylesheet" href="([^":]+)"[^>]*>'
    page = re.sub(styles, lambda m: f"<style>{bundled(m)}</style>", page)
    modules_pattern = r'<script type="module" src="([^":]+)"></script>\n?'
    # Un módulo espera a que la página esté entera; un guion suelto no, así que va al final, detrás de los datos.
    programs = [EMBEDDED, *(bundled(m, "--format=iife") for m in re.finditer(modules_pattern, page))]
    scripts = [f"<script>{code}</script>" for code in programs]  # esbuild ya escribe «<\\/script>» donde haga falta
    inside = [*embedded(folder), *scripts]
    page = re.sub(modules_pattern, "", page).replace("</body>", "\n".join([*inside, "</body>"]))
    return tighten(page)


def embedded(folder: Path) -> list[str]:
    """Los datos de la página, cada uno en su etiqueta, en base64."""
    tag = '<script type="text/plain" id="archivo:{}" data-type="{}">{}</script>'
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in TYPES]
    encoded = (base64.b64encode(path.read_bytes()).decode() for path in paths)
    return [
        tag.format(path.relative_to(folder).as_posix(), TYPES[path.suffix], text)
        for path, text in zip(paths, encoded, strict=True)
    ]


def tighten(page: str) -> str:
    """La política de seguridad, para un archivo suelto: nada de fuera, y solo el código que lleva dentro."""

    def allowed(tag: str) -> str:
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
        )

    policy = (
        f"default-src 'none'; script-src {allowed('script')} 'wasm-unsafe-eval'; style-src {allowed('style')}; "
        "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    return re.sub(r'(http-equiv="Content-Security-Policy" content=")[^"]*', lambda m: m[1] + policy, page)


# --- El núcleo ----------------------------------------------------------------------------------------


def kernel_module() -> str:
    """El módulo de JavaScript con el núcleo ensamblado."""
    modules = install_node_modules(ROOT / "slides")
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary, "kernel.wasm")
        node("wabt/bin/wat2wasm", KERNEL, "-o", output, modules=modules)
        binary = output.read_bytes()
    digest = hashlib.sha256(KERNEL.read_bytes()).hexdigest()[:16]
    return (
        f"// kernel.wat ({digest}) ensamblado: {len(binary)} bytes. No se edita: «python -m tools.lab --kernel».\n"
        f'export const KERNEL = "{base64.b64encode(binary).decode()}";\n'
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.lab", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, metavar="CARPETA", help="monta la página y el modelo en esta carpeta")
    parser.add_argument("--single", type=Path, metavar="ARCHIVO", help="escribe un solo archivo HTML con todo dentro")
    parser.add_argument("--kernel", action="store_true", help="ensambla kernel.wat")
    parser.add_argument("--portada", action="store_true", help="graba el árbol de la portada del sitio")
    options = parser.parse_args()
    if not (options.output or options.single or options.kernel or options.portada):
        parser.error("di qué hacer: --output CARPETA, --single ARCHIVO, --kernel o --portada")

    def work() -> list[str]:
        if options.kernel:
            atomic_write(KERNEL.with_name("kernel_bytes.js"), kernel_module())
        if options.portada:
            from . import portada  # carga torch: solo si hace falta

            portada.write(manifest())
        for build, path in ((assemble, options.output), (single, options.single)):
            if path:
                size = f"{build(path) / 1e6:.1f}".replace(".", ",")
                print(f"{path}: {size} MB")
        return []

    return exit_code(work, "")


if __name__ == "__main__":
    sys.exit(main())
