"""Lo que el curso le dice a un JupyterHub: qué arranca cada estudiante, con qué límites, y quién ve qué.

En The Littlest JupyterHub se copia en /opt/tljh/config/jupyterhub_config.d/; en otro hub se lee con
``load_subconfig("…/tools/deploy/jupyterhub_config.py")``. Quién entra y cómo se crean las cuentas lo dice cada hub.
Aquí no hay ningún secreto.
"""

import os
import sys

c = get_config()  # noqa: F821 (lo pone JupyterHub)

SHARED = os.environ.get("CURSO_PUBLICADO", "/srv/curso")  # lo que deja tools/deploy/publish.py
IDLE = int(os.environ.get("CURSO_INACTIVIDAD", "3600"))  # segundos sin usarse tras los que se apaga un servidor
TEACHERS = os.environ.get("CURSO_DOCENTES", "").split()  # sus nombres de usuario

# Cada estudiante arranca el JupyterLab del curso, con sus permisos. Su carpeta personal no cambia cómo se arranca: si
# dejara allí una configuración con trampa, correría antes de comprobar quién llama.
c.Spawner.cmd = [f"{SHARED}/.venv/bin/python", f"{SHARED}/tools/deploy/start.py"]
c.Spawner.default_url = "/lab"
c.Spawner.disable_user_config = True
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # treinta a la vez tardan más que uno

# Los límites, salvo que el hub ya los tenga (tljh-config set limits.memory 2G). De dónde salen: README.md.
if c.Spawner.get("mem_limit") is None:
    c.Spawner.mem_limit = "2G"
if c.Spawner.get("cpu_limit") is None:
    c.Spawner.cpu_limit = 1
# A la hora en punto llegan todos, y a quien pasa de este número no se le pone en cola: recibe un error (429).
c.JupyterHub.concurrent_spawn_limit = 64
c.JupyterHub.active_server_limit = 300

# Reiniciar el hub no apaga a nadie: los servidores siguen, y el proxy, que es otro servicio, les lleva el tráfico.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False
c.ConfigurableHTTPProxy.should_start = False

# Quien enseña ve quién está y apaga y enciende servidores; no entra en el de nadie ni lee sus archivos. Administrar el
# hub es otra cosa, y la tiene quien lo instaló.
c.JupyterHub.load_groups = {"docentes": {"users": TEACHERS}}
c.JupyterHub.load_roles = [
    {
        "name": "docente",
        "description": "Ve quién está conectado y apaga o enciende su servidor; no entra en él.",
        "scopes": ["admin-ui", "list:users", "read:users:activity", "servers"],
        "groups": ["docentes"],
    },
    {
        "name": "apagar-lo-que-no-se-usa",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["cull-idle"],
    },
]
services = list(c.JupyterHub.get("services") or [])
if not any(service["name"] == "cull-idle" for service in services):  # The Littlest JupyterHub trae el suyo
    order = [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"]
    c.JupyterHub.services = [*services, {"name": "cull-idle", "command": order}]
