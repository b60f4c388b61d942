"""Regression with infinitely wide networks, over training time."""

from nnth.predict.predict import predict
from nnth.predict.prediction import Prediction

__all__ = ["Prediction", "predict"]
