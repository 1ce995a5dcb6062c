"""Placeholder."""
from dataclasses import dataclass

import torch

from cls_common.settings import setting, Settings


@dataclass(frozen=True, kw_only=True)
class ChangeDetectorSettings(Settings):
    threshold: float = setting(50.0, 'Sum of standardised errors above the usual at which the world has changed.', low=0.0)
    calibration: int = setting(100, 'Steps by which the usual error is known.', low=2)


class ChangeDetector:
    def __init__(self, settings):
        self.s = settings; self.v = torch.zeros(5, dtype=torch.float64)  # n, mean, var, sum, alarms

    def add(self, e):
        n, m, var, c, a = self.v.tolist()
        if n < self.s.calibration:
            n += 1; d = e - m; m += d / n; var += (d * (e - m) - var) / n
            self.v = torch.tensor([n, m, var, c, a], dtype=torch.float64); return False
        z = min((e - m) / max(var, 1e-12) ** .5, 5.0)
        c = max(0.0, c + z - 1.0)
        alarm = c > self.s.threshold
        self.v = torch.tensor([n, m, var, 0.0 if alarm else c, a + alarm], dtype=torch.float64)
        return alarm

    def refreeze(self):
        self.v[:4] = 0

    def metrics(self):
        return {'changes': float(self.v[4])}

    def state(self):
        return {'v': self.v.clone()}

    def load(self, s):
        self.v = s['v'].clone()
