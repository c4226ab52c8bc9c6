"""Sends a hundred tasks to the worker and prints what they answered."""

import json
import sys

from tests.kit.waiting import HANG_GUARD
from tests.processes.celery_app import remember

if __name__ == "__main__":
    sent = [remember.delay(number) for number in range(100)]
    json.dump([task.get(timeout=HANG_GUARD, interval=0.05) for task in sent], sys.stdout)
