"""Las herramientas de quien mantiene el curso: construir, comprobar, empaquetar y entrenar.

Se llaman desde la raíz del repositorio con ``python -m tools.NOMBRE``, o con ``make``. Quien solo usa el curso no las
necesita: lo suyo está en ``python -m course_utils``.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
