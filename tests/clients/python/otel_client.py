"""Log records of OpenTelemetry's library for Python, in both encodings; the argument is the fake's address."""

import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as InJson
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as InProtobuf
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

for name, exporter in (("protobuf", InProtobuf), ("json", InJson)):
    provider = LoggerProvider(resource=Resource({"client": name}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter(endpoint=f"{sys.argv[1]}/v1/logs")))
    provider.get_logger("shop").emit(
        LogRecord(
            timestamp=1769860800000000000,
            event_name=f"bought.{name}",
            severity_number=SeverityNumber.INFO,
            body={"sku": "A-17", "sizes": [1, 2]},
            attributes={
                "session.id": "s-1",
                "raw": b"\x00\x01",
                "price": 3.5,
                "tags": ["a", "b"],
                "nested": {"a": {"b": 1}},
            },
        )
    )
    provider.shutdown()
