"""Chat models asked in batches: many requests in a file, answered within a day at half the price.

records     batches as rows: written down before the server hears of them, so that none is submitted twice
files       the requests of tiles as files under the server's limits
remote      a server's files and batches; the vendor's errors stop there
results     lines of a server's result files -> outcomes of tiles
submitting  from tiles to batches at work; what was begun is gone on with
predictor   submits, looks in from time to time, collects
opening     from a chat model and what a run asks for to a predictor
"""
