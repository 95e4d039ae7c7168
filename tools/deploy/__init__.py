"""El curso en un JupyterHub: la imagen, las recetas y lo que gasta cada estudiante. Se cuenta en README.md, al lado."""
