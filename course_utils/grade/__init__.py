"""Corregir las entregas de una clase: ``python -m course_utils grade CARPETA``.

**Por qué así.** otter-grader y nbgrader ejecutan el cuaderno entregado y, en el mismo proceso, las pruebas: quien
escribe el cuaderno puede cambiar quien lo juzga, y hubo quien lo hizo (en nbgrader bastaba con que un error no se
viera). otter lo mete en un contenedor de Docker, que protege la máquina y no la nota. Los dos piden además otro formato
de enunciado, celdas que no se tocan y, nbgrader, una base de datos. Aquí las reglas ya existen, son las de ``check``,
y un ejercicio es una función: se deja la función en un proceso aislado con bubblewrap, se juzga en otro, y entre los
dos solo viajan datos. Así la nota no depende de nada de lo que el código entregado pueda tocar, un ejercicio cuesta
décimas de segundo y no hay que instalar un servicio. Por lo mismo no se usa nbclient: ejecutar el cuaderno de arriba
abajo castiga una respuesta buena por una celda lenta o rota que no tiene que ver con ella (``slicing``).

**Qué se puede conseguir todavía.** Quien entrega puede contestar bien sin haberlo pensado: copiar, pedirlo, o llamar a
la función del curso que hace lo mismo, que se ve también en el cuaderno. Donde una regla cuenta las llamadas al modelo
o prohíbe una función, quien la esquiva dentro de su proceso tiene que dar igualmente el resultado bueno. El resto del
proceso que juzga recibe datos con tope. Y un fallo del núcleo de Linux se saltaría cualquier caja.

``gather`` reparte los archivos por persona y ``unzip`` abre los comprimidos; ``reading`` y ``slicing`` buscan cada
respuesta y lo que necesita; ``sandbox``, ``seccomp`` e ``inside`` la ejecutan; ``wire`` lleva los datos y ``judging``
aplica las reglas; ``results`` guarda lo hecho, y ``alike``, ``tables``, ``pages`` y ``command`` lo cuentan.
"""
