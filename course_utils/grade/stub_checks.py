"""Lo que una entrega ve en lugar de ``course_utils.checks`` mientras se corrige: ni reglas ni lo que esperan."""


def check(*_, **__) -> None:
    """No hace nada: quien juzga está en otro proceso."""
