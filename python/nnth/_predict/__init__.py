"""Regression with infinitely wide networks, over training time."""

from nnth._predict.predict import predict
from nnth._predict.prediction import Prediction

__all__ = ["Prediction", "predict"]
