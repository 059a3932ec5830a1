"""Keeps the stock, and asks shipping when things can be there: names are all it knows of the others."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

sys.path.append(str(Path(__file__).resolve().parent.parent))
shop, services = grpc.protos_and_services("shop.proto")

# host:port of a DNS server, where the system does not know names of services: gRPC asks it then.
resolver = os.environ.get("SHOP_RESOLVER")
port = os.environ.get("SHOP_PORT", "50051")


def target(name):
    return (f"dns://{resolver}/" if resolver else "") + f"{name}.mesh:{port}"


def handed_on(context):
    """Whose trace it is: every service should hand that on from call to call."""
    keys = ("traceparent", "tracestate")
    return [(key, value) for key, value in context.invocation_metadata() if key in keys]


class Inventory(services.InventoryServicer):
    def __init__(self):
        self.shipping = services.ShippingStub(grpc.insecure_channel(target("shipping")))

    def Reserve(self, item, context):
        metadata = handed_on(context)
        estimate = self.shipping.Estimate(item, timeout=5, metadata=metadata)
        return shop.Reservation(by="Python", ready_in_days=estimate.days)

    def Price(self, item, context):
        return shop.Money(cents=100 * len(item.name))


server = grpc.server(ThreadPoolExecutor(max_workers=8))
services.add_InventoryServicer_to_server(Inventory(), server)
listens = server.add_insecure_port(f"127.0.0.1:{os.environ.get('PORT', '0')}")
server.start()
print(f"Inventory listens on 127.0.0.1:{listens}", flush=True)
signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=2))
server.wait_for_termination()
