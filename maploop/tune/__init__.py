"""From a frozen dataset to a new model: trainers, and the models they leave behind."""
