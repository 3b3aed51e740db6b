"""A strict OpenAI on the loopback address, for tests: it takes what the vendor takes, refuses the rest, and counts.

    from tests.vendor.fixtures import vendor        # in a conftest; then a test asks for `vendor`

    def test_...(vendor: Vendor) -> None:
        client = vendor.client()                    # an openai.OpenAI without retries; options as OpenAI has them
        vendor.brain = lambda question: ANSWERS[question.picture]
        vendor.faults.on_request(3, rate_limit("0"))

It speaks `/v1/models`, `/v1/chat/completions`, `/v1/files`, `/v1/batches` and `/v1/fine_tuning/jobs` (also below
`/openai/v1`, as Azure does) at `vendor.url` with the key `KEY`. The tests beside it hold its replies to the types of
the SDK.

Answers. `vendor.brain(question) -> text or Reply` answers for every model, `vendor.brains[model]` for one. A `Question`
has the texts, the pictures, and the hash of the one asked about: `picture_hash(bytes)`. A model that came out of a
tuning job knows its training examples by heart and asks the brain of its base about the rest, unless `vendor.school`
makes another brain of the lines of the training file.

Trouble, by plan and always the same: `vendor.faults`
    .on_request(n, fault[, route])      the n-th request to a route, from 1; chat unless told
    .on_route(route, fault, times=1)    the next ones to a route: "POST /v1/batches", "GET /v1/files/{id}/content",
                                        or a pattern: "* /v1/files*"
    .on_picture(hash, fault, times=1)   a question about a picture, asked alone or in a batch
    .on_custom_id(pattern, fault)       a request of a batch
    .at_rate(0.1, [fault, ...], seed)   a share of all questions; drawn from picture and attempt, whatever the order
Faults: rate_limit(retry_after), server_error(status), HANG (until the client gives up), RESET (cut before anything is
done), HANG_AFTER and RESET_AFTER (when all is done and billed), HALF (cut in the middle of the body); of answers
TRUNCATED, REFUSAL, CONTENT_FILTER, NONSENSE, EMPTY, OUT_OF_RANGE, SELF_INTERSECTING, says(text). In a batch, a fault of
the line is an entry of the error file. `vendor.stop()` goes away with everything it knows, `vendor.start()` comes back
at the same address.
`vendor.limits.at_once` answers 429 to more chat requests at a time; `vendor.training_available = False` answers 403 to
jobs; `vendor.keys`, `vendor.models[...]["shutdown_date"]`, `vendor.tunable`, `vendor.limits` and `vendor.manner` (to be
like vLLM or Ollama) are there to be changed.

Time. Nothing goes by the clock. A batch or a job takes a step after each time it is retrieved, or, with
`vendor.moves_by_itself = False`, at `vendor.advance(steps)` alone. Batches: validating, in_progress (all requests, or
`BatchPlan(pace=n)` a step), finalizing, completed. Jobs: validating_files, queued, running, a step an epoch, succeeded.
`vendor.batch_plans` and `vendor.job_plans` say what the next ones will meet: expiry, failure. `vendor.latency` makes
chat answers take so many seconds, for benches; with `vendor.held = threading.Event()` they wait until it is set.

Counting. `vendor.bill` has a charge for each answer and each training: `.twice()` names what was paid for more than
once, `.cost(load_prices().price_of)` is what it came to. `vendor.seen` has every request with its route, status and
fault, `vendor.requests_to(route)` those of one; `vendor.faults.used` is what went wrong, `vendor.most_in_flight` how
many chat requests there were at once.
"""

from tests.vendor.bill import Charge
from tests.vendor.faults import (
    CONTENT_FILTER,
    EMPTY,
    HALF,
    HANG,
    HANG_AFTER,
    NONSENSE,
    OUT_OF_RANGE,
    REFUSAL,
    RESET,
    RESET_AFTER,
    SELF_INTERSECTING,
    TRUNCATED,
    Fault,
    Reply,
    rate_limit,
    says,
    server_error,
)
from tests.vendor.pictures import picture_hash
from tests.vendor.server import Vendor
from tests.vendor.state import BASES, KEY, BatchPlan, JobPlan, Limits, Manner, Question

__all__ = [
    "BASES",
    "CONTENT_FILTER",
    "EMPTY",
    "HALF",
    "HANG",
    "HANG_AFTER",
    "KEY",
    "NONSENSE",
    "OUT_OF_RANGE",
    "REFUSAL",
    "RESET",
    "RESET_AFTER",
    "SELF_INTERSECTING",
    "TRUNCATED",
    "BatchPlan",
    "Charge",
    "Fault",
    "JobPlan",
    "Limits",
    "Manner",
    "Question",
    "Reply",
    "Vendor",
    "picture_hash",
    "rate_limit",
    "says",
    "server_error",
]
