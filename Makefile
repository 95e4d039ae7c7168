# Órdenes del curso. `make` a secas las explica. Los caminos son relativos: el clon puede estar en
# cualquier carpeta, con espacios y tildes. Lo que ocupa más de una línea vive en scripts/setup_env.py.

PYTHON ?= python3
JUPYTER_ARGS ?=
PIP_ARGS ?=
REPO ?=

VENV_PYTHON := $(if $(filter Windows_NT,$(OS)),.venv/Scripts/python.exe,.venv/bin/python)
# Si alguien elige PYTHON, se usa ese y ninguno más; si no, vale otro del PATH cuando python3 es viejo.
SETUP := scripts/setup_env.py $(if $(filter file default,$(origin PYTHON)),,--only-this-python)

export PIP_ARGS
export PYTHONUTF8 := 1
export TOKENIZERS_PARALLELISM := false
# El núcleo «python3» es el de .venv aunque haya otro instalado en la cuenta de usuario.
export JUPYTER_PREFER_ENV_PATH := 1

define HELP
Generar texto en español con Transformers: órdenes

  make lab         prepara el entorno la primera vez y abre JupyterLab, en español, en notebooks/
  make test        prepara el entorno la primera vez y pasa todas las pruebas y todos los cuadernos
  make notebooks   reconstruye los cuadernos y las páginas a partir de notebooks/fuente/
  make slides      hace las figuras y convierte las diapositivas en HTML y PDF, en slides/dist/
  make bench       mide la velocidad del código de generación (unos minutos)
  make enlaces     prueba, con red, que los enlaces externos responden
  make fork        pasa el curso a tu repositorio           make fork REPO=dueño/nombre
  make colab       pasa las pruebas y los cuadernos con las versiones de Colab, en .venv-colab (con red; media hora)
  make audit       busca fallos de seguridad conocidos en las versiones fijadas (con red)
  make bundle      hace un zip con todo lo necesario para dar clase sin internet, en build/
  make doctor      dice si esta máquina está lista para la clase, y qué hacer si no
  make env         solo prepara el entorno, en .venv
  make clean       borra el entorno y las cachés; nada tuyo

Variables
  PYTHON           qué Python usar, 3.11 o posterior       make lab PYTHON=python3.12
  JUPYTER_ARGS     opciones para JupyterLab                make lab JUPYTER_ARGS="--no-browser --port 9999"
  PIP_ARGS         opciones para pip al instalar           (mira «Solo CPU» en README.md)
  CURSO_PERFIL     mini (sin red, por defecto) o completo  CURSO_PERFIL=completo make lab

endef

.PHONY: help env lab test notebooks slides bench enlaces fork colab audit bundle doctor clean

help:
	$(info $(HELP))
	@:

env:
	@$(PYTHON) $(SETUP)

lab: env
	$(VENV_PYTHON) -m jupyterlab --ServerApp.root_dir=notebooks $(JUPYTER_ARGS)

# Las pruebas no usan la red (un modelo que falte tiene que verse aquí) ni los ajustes de tu terminal.
test notebooks slides bench colab: export HF_HUB_OFFLINE := 1
test notebooks slides bench colab: export PYTHONHASHSEED := 0
test notebooks slides bench colab: export CURSO_PERFIL := mini
test notebooks slides colab: export MPLBACKEND :=

# Los cuadernos se ejecutan donde no hay red: scripts/offline.py falla si algo intenta salir.
test: env
	$(VENV_PYTHON) scripts/build_notebooks.py --check
	$(VENV_PYTHON) scripts/build_pages.py --check
	$(VENV_PYTHON) -m pytest tests
	$(VENV_PYTHON) scripts/offline.py $(VENV_PYTHON) -m pytest \
		--nbval --nbval-current-env --nbval-kernel-startup-timeout=180 \
		notebooks/*.ipynb notebooks/soluciones/*.ipynb

notebooks: env
	$(VENV_PYTHON) scripts/build_notebooks.py
	$(VENV_PYTHON) scripts/build_pages.py

slides: env
	$(VENV_PYTHON) slides/figures.py
	$(VENV_PYTHON) scripts/build_slides.py

bench: env
	$(VENV_PYTHON) -m pytest tests/benchmarks -q -s

enlaces: env
	$(VENV_PYTHON) scripts/check_links.py

fork:
	@$(PYTHON) scripts/fork_course.py "$(REPO)"

# La salida de los cuadernos se compara también aquí, con otras versiones de matplotlib, pandas e IPython.
COLAB_PYTHON := $(subst .venv,.venv-colab,$(VENV_PYTHON))

colab:
	@$(PYTHON) scripts/colab_env.py
	$(COLAB_PYTHON) -m pytest tests
	$(COLAB_PYTHON) -m pytest --nbval --nbval-current-env --nbval-kernel-startup-timeout=180 \
		notebooks/*.ipynb notebooks/soluciones/*.ipynb

audit:
	@$(PYTHON) scripts/audit.py

bundle: env
	$(VENV_PYTHON) scripts/bundle.py

doctor: env
	$(VENV_PYTHON) -m course_utils doctor

clean:
	@$(PYTHON) $(SETUP) --clean
