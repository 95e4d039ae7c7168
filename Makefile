# Órdenes del curso. `make` a secas las explica. Los caminos son relativos: el clon puede estar en
# cualquier carpeta, con espacios y tildes. Lo que ocupa más de una línea vive en tools/environment.py.

PYTHON ?= python3
JUPYTER_ARGS ?=
PIP_ARGS ?=
REPO ?=

VENV_PYTHON := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python.exe,.venv/bin/python)
# Si alguien elige PYTHON, se usa ese y ninguno más; si no, vale otro del PATH cuando python3 es viejo.
SETUP := tools/environment.py $(if $(filter file default,$(origin PYTHON)),,--only-this-python)

export PIP_ARGS
export PYTHONUTF8 := 1
# Los hilos que esperan no giran: con la máquina ocupada, de dos a cuatro veces más rápido.
export OMP_WAIT_POLICY := PASSIVE
export TOKENIZERS_PARALLELISM := false
# El núcleo «python3» es el de .venv aunque haya otro instalado en la cuenta de usuario.
export JUPYTER_PREFER_ENV_PATH := 1

define HELP
Generar texto en español con Transformers: órdenes

Para dar o seguir el curso
  make lab         prepara el entorno la primera vez y abre JupyterLab, en español, en notebooks/
  make llm         añade el perfil mediano, un LLM de verdad que escribe mejor (238 MB; con red)
  make doctor      dice si esta máquina está lista para la clase, y qué hacer si no
  make slides      hace las figuras y convierte las diapositivas en HTML y PDF, en slides/dist/
  make site        hace el sitio del curso, con el laboratorio, en build/site/
  make bundle      hace un zip con todo lo necesario para dar clase sin internet, en build/
  make nbgrader    hace con los ejercicios un curso de nbgrader, en build/nbgrader/ (lo instala en .venv; con red)
  make clean       borra el entorno y las cachés; nada tuyo, ni el zip de build/

Para mantenerlo (CONTRIBUTING.md)
  make check       lo que se mira mientras se trabaja: estilo, páginas al día y pruebas rápidas (3 minutos)
  make test        lo que pasa la integración continua: check, integración y los cuadernos resueltos (22 minutos)
  make nightly     todo: las dos variantes de cada cuaderno, navegador, entrenamiento, zip y Colab (unas cuatro horas)
  make notebooks   reconstruye los cuadernos y las páginas a partir de notebooks/fuente/
  make env         solo prepara el entorno, en .venv
  make bench       mide la velocidad del código de generación (unos minutos)
  make enlaces     prueba, con red, que los enlaces externos responden
  make fork        pasa el curso a tu repositorio           make fork REPO=dueño/nombre
  make colab       pasa las pruebas y los cuadernos con las versiones de Colab, en .venv-colab (con red; media hora)
  make audit       busca fallos de seguridad conocidos en las versiones fijadas (con red)

Variables
  PYTHON           qué Python usar, 3.11 o posterior       make lab PYTHON=python3.12
  JUPYTER_ARGS     opciones para JupyterLab                make lab JUPYTER_ARGS="--no-browser --port 9999"
  PIP_ARGS         opciones para pip al instalar           (mira «Solo CPU» en README.md)
  CURSO_PERFIL     mini (por defecto), mediano o completo  CURSO_PERFIL=mediano make lab
  LLM              con 1, el paquete del aula lleva el LLM make bundle LLM=1

endef

.PHONY: help env lab check test nightly notebooks slides site bench enlaces fork colab audit bundle nbgrader llm doctor clean

help:
	$(info $(HELP))
	@:

env:
	@$(PYTHON) $(SETUP)

lab: env
	$(VENV_PYTHON) -m jupyterlab --ServerApp.root_dir=notebooks $(JUPYTER_ARGS)

# Las pruebas no usan la red (un modelo que falte tiene que verse aquí) ni los ajustes de tu terminal.
CHECKS := check test nightly notebooks slides site bench colab
$(CHECKS): export HF_HUB_OFFLINE := 1
$(CHECKS): export PYTHONHASHSEED := 0
$(CHECKS): export CURSO_PERFIL := mini
check test nightly notebooks slides site colab: export MPLBACKEND :=

PYTEST := $(VENV_PYTHON) -m pytest -q
# Un proceso por núcleo y un hilo en cada uno. Las celdas de un cuaderno van juntas y en orden.
check test nightly colab: export OMP_NUM_THREADS := 1
PARALLEL := -n auto --dist worksteal
NBVAL := -n auto --dist loadfile --nbval --nbval-current-env --nbval-kernel-startup-timeout=180

check: env
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -c "from importlinter.cli import lint_imports_command as lint; lint()" --no-logo
	$(PYTEST) $(PARALLEL) -m "not slow" tests/static tests/unit

# Los cuadernos resueltos se ejecutan y se comparan donde no hay red: tools.offline falla si algo intenta salir.
test: check
	$(PYTEST) $(PARALLEL) -m slow tests/static tests/unit
	$(PYTEST) $(PARALLEL) tests/integration
	$(VENV_PYTHON) -m tools.offline $(PYTEST) $(NBVAL) notebooks/soluciones

# El zip del aula y Colab necesitan red: sin ella se dice, y en integración continua es un fallo. Con «make» y no con
# la variable MAKE, para que «make -n nightly» solo lo cuente.
nightly: test
	$(PYTEST) tests/nightly
	$(VENV_PYTHON) -m tools.offline $(PYTEST) $(NBVAL) --ignore=notebooks/soluciones notebooks
	@if $(VENV_PYTHON) -m pip index versions setuptools >/dev/null 2>&1; then \
	    CURSO_PAQUETE=1 $(PYTEST) -k real_bundle tests/integration/test_bundle.py && make colab; \
	else echo "Sin red: no se prueban el zip del aula ni las versiones de Colab."; [ "$$CI" != true ]; fi

notebooks: env
	$(VENV_PYTHON) -m tools.notebooks
	$(VENV_PYTHON) -m tools.pages

slides: env
	$(VENV_PYTHON) -m tools.figures
	$(VENV_PYTHON) -m tools.slides

site: env
	$(VENV_PYTHON) -m tools.site

# Aquí los hilos sí esperan girando, que es lo que hacen si nadie dice nada: se mide lo que tiene quien usa el curso.
bench: export OMP_WAIT_POLICY := ACTIVE
bench: env
	$(VENV_PYTHON) -m pytest tests/benchmarks -q -s

enlaces: env
	$(VENV_PYTHON) -m tools.site --linkcheck

fork: env
	@$(VENV_PYTHON) -m tools.fork "$(REPO)"

# La salida de los cuadernos se compara también aquí, con otras versiones de matplotlib, pandas e IPython.
COLAB_PYTHON := $(subst .venv,.venv-colab,$(VENV_PYTHON))

colab: env
	@$(VENV_PYTHON) -m tools.colab
	$(COLAB_PYTHON) -m pytest -q $(PARALLEL) tests/static tests/unit tests/integration
	$(COLAB_PYTHON) -m pytest -q $(NBVAL) notebooks/soluciones

# --strict: un paquete del que la base de datos no sabe nada no cuenta como sano.
audit: env
	$(VENV_PYTHON) -m pip_audit --strict --no-deps --disable-pip -r constraints.txt

bundle: env
	$(VENV_PYTHON) -m tools.bundle

# nbgrader y lo que pide, que no cambia ninguna versión del entorno.
nbgrader: env
	$(VENV_PYTHON) -m pip install -q $(PIP_ARGS) -c constraints.txt -r tools/nbgrader_versions.txt
	$(VENV_PYTHON) -m tools.nbgrader

llm: export LLM := 1
llm: env
	$(VENV_PYTHON) -c "from course_utils.models import checkpoint; print(checkpoint('decoder', 'mediano'))"

doctor: env
	$(VENV_PYTHON) -m course_utils doctor

clean:
	@$(PYTHON) $(SETUP) --clean
