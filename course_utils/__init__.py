"""Utilidades del curso «Generar texto en español con Transformers».

Importar el paquete no importa torch: cada módulo se carga cuando lo pides, por ejemplo
``from course_utils import decoding``.
"""

__version__ = "0.1.0"
