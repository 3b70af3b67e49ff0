"""Fine-tuning: examples, training, export; serving needs none of it."""

import os

# Before torch loads: threads that wait for each other sleep instead of spinning. On two cores with
# other work beside it, the same forward passes took 11 instead of 26 to 46 s of processor time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
