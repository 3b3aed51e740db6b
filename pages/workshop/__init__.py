"""The parts of the Models page, one a file: the models, predicting, runs, tuning, the ledger."""
