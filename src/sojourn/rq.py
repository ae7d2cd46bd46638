"""RQ: jobs add to the session of the request that enqueued them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .errors import MissingExtraError
from .propagation import MAX_AGE, extract, inject
from .tracking.visit import active_visit

try:
    from rq.job import Job
except ImportError as error:
    msg = "sojourn.rq needs RQ: pip install rq"
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["job_class"]


def job_class(engine: Engine, *, max_age: timedelta = MAX_AGE) -> type[Job]:
    """Return the class of jobs that take the session along, in `job.meta`.

    Give it to the queue, `Queue(job_class=...)`, and to the worker, `rq worker --job-class shop.jobs.SessionJob`.
    """

    class SessionJob(Job):
        @classmethod
        def create(cls, *args: Any, **options: Any) -> Job:
            options["meta"] = meta = dict(options.get("meta") or {})
            inject(meta)
            return super().create(*args, **options)

        def perform(self) -> Any:
            if active_visit.get() is not None:  # run in place by a request: `is_async=False`
                return super().perform()
            with extract(self.meta, engine, max_age=max_age):
                return super().perform()

    return SessionJob
