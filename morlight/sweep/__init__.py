"""Sweeps: many fits of one base configuration, their hyper-parameters chosen by Optuna.

from morlight.sweep.plan import Plan
from morlight.sweep.run import run

plan = Plan.read("configs/sweeps/brownian.yaml", workers=2)     # the format: morlight.sweep.plan
study = run(plan)                                   # begins, joins or continues the study of this name
study.best_params, study.best_value                 # Optuna's own study
study.best_trial.user_attrs["run_id"]               # MLflow run of the best trial
"""
