"""Entrenar y medir los modelos incluidos: el corpus, el preentrenamiento y la evaluación."""
