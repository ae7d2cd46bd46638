// Log records of OpenTelemetry's library for JavaScript, in both encodings; the argument is the fake's address.
import { OTLPLogExporter as InJson } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as InProtobuf } from '@opentelemetry/exporter-logs-otlp-proto'
import { LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'

for (const [name, Exporter] of [['protobuf', InProtobuf], ['json', InJson]]) {
  const exporter = new Exporter({ url: `${process.argv[2]}/v1/logs` })
  const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] })
  provider.getLogger('shop').emit({
    eventName: `bought.${name}`,
    timestamp: 1769860800000,
    body: { sku: 'A-17', sizes: [1, 2] },
    attributes: { 'session.id': 's-1', price: 3.5, raw: new Uint8Array([0, 1]), tags: ['a', 'b'], nested: { a: { b: 1 } } },
  })
  await provider.shutdown()
}
