"""El sitio del curso: junta sus fuentes, que están donde siempre, y las convierte en HTML con Sphinx.

    python -m tools.site                # o bien: make site; lo deja en build/site/
    python -m tools.site --linkcheck    # o bien: make enlaces

- ``facts``: las cifras del curso que se dicen en el sitio, contadas al construirlo.
- ``tables``: las tablas de cuadernos y de modelos, hechas con sus fuentes.
- ``paths``: a qué página del sitio, o de GitHub, lleva cada ruta del repositorio.
- ``lessons``: de un cuaderno, la página de su sesión.
- ``quizzes``: de un cuestionario, un formulario que se contesta en la página.
- ``pages``: el mapa, el glosario, la bibliografía y la guía docente.
- ``sources``: escribe todo lo anterior en una carpeta que Sphinx entiende.
- ``extension``: lo que a Sphinx le falta (fórmulas, términos enlazados, buscar sin tildes); la carga ``docs/conf.py``.
- ``finish``: el último repaso al HTML: textos que el tema deja en inglés y lo que carga sin usarlo.
- ``linkcheck``: prueba los enlaces externos y lo cuenta.
"""
