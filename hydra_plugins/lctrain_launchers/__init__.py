"""Hydra's launchers for SLURM and Ray and its Optuna sweeper, wrapped so that a job that dies is no more than that.

Hydra looks for plugins in the namespace package `hydra_plugins` alone, and imports every module in it whose name has no
underscore in front whenever it starts: so this one loads neither submitit, Ray nor Optuna.
"""
