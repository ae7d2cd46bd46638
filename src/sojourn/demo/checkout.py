"""What the demo adds to the example shop: a slow search, a cart and a checkout, which a new release makes worse.

Run by `shop.py` as a file of the shop, so its exceptions belong to the shop's code.
"""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from itertools import count
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sojourn import track

VAT: Final = Decimal("0.19")


def add_pages(app: Starlette, *, is_broken: bool) -> None:
    """Add them to the app. With `is_broken` every second checkout fails, from the first on."""
    orders = count()

    async def check_out(_request: Request) -> Response:
        vat = vat_of("3,20" if is_broken and next(orders) % 2 == 0 else "3.20")
        track("purchase", {"seed": "tomato", "price": 3.20, "vat": float(vat)})
        return HTMLResponse("<h1>Thank you!</h1>")

    app.router.routes += [
        Route("/search/{query}", search),
        Route("/cart", cart),
        Route("/checkout", check_out, methods=["POST"]),
    ]


async def search(_request: Request) -> Response:
    await asyncio.sleep(random.uniform(0.9, 1.5))  # noqa: S311 - no secret
    return HTMLResponse('<h1>Found</h1><a href="/seeds/tomato">Tomato</a>')


async def cart(_request: Request) -> Response:
    track("add_to_cart", {"seed": "tomato"})
    return HTMLResponse('<h1>Your cart</h1><form method="post" action="/checkout"><button>Buy</button></form>')


def vat_of(price: str) -> Decimal:
    return (Decimal(price) * VAT).quantize(Decimal("0.01"))
