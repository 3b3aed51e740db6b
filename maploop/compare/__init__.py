"""Is the tuned model worth it? Models side by side on the same tiles, in quality, in money, and which one is in charge.

    with database.read() as connection:
        comparison = compare_models(connection, project, ["base", "tuned", "theirs"])
        corrected = corrected_shares(connection, project)
        assumptions = Assumptions(measured_speeds(connection, project), volume=10_000, wage=20, corrected=corrected)
    comparison.contender("tuned").evaluation.overall.figures["f1"]      # a Metric, as everywhere
    comparison.difference("base", "tuned", "f1").text()             # "+0.12 F1, 0.07 to 0.17, 240 tiles in 24 blocks"
    marks_on(comparison, tile)                      # true, false and missed features of a tile, for maps
    only_found_by(comparison, "tuned", "base")      # truth that one found and the other did not
    worst_tiles(comparison, "tuned")                # for a gallery; `TileMarks.tile` opens in /review
    economy = weigh(comparison, replace(assumptions, volume=50_000))    # rows, break-even, frontier, verdict

`compare_models` is the heavy part. A `Comparison` is immutable and pure: keep it, and weigh it anew, which takes no
time, whenever a price, the volume or the wage changes. The first model named is the one that others are compared with,
unless told otherwise.

sidebyside      `Comparison`, `Contender`, `Difference`; models of a project held against the same truth
marks           features on the map: found, missed, false; what only one found; the worst tiles
money           `Assumptions` -> `Economy`: cost, review hours, break-even, frontier, verdict
pace            seconds of review a tile
break_even      `BreakEven` of any two models; which models nothing beats
judgement       better, worse, as good within a margin, or not shown: one source for sentence, tables and promotion box
truth_origin    whose predictions the truth was made from, and how many tiles are blind
score_cuts      the score from which predictions count, the best one chosen on validation tiles
wording         numbers in words, without a zero that has a sign
verdict         the sentence, and the assumptions in sentences
spending        what runs, training and reviewing took, as measured
reliability     is a score worth its number? curve, calibration error, the score above which nobody need look
reach           such a score as a rule: what it would accept, and what it must leave alone
thresholds      all about rules: proposals, applying them, taking them back, noticing drift
gate            may a candidate take over? the project's rule, pure
promotion       the project's current model: who took over when, on what evidence, and going back
evaluations     every evaluation on the test split is kept, and how often it was used to choose is told
rounds          quality, review time and corrections, round by round
report          all of it as JSON and as text
"""
