// Every type of event of @segment/analytics-node; the argument is the fake's address.
import { createRequire } from 'node:module'
const { Analytics } = createRequire(import.meta.url)('@segment/analytics-node')

const client = new Analytics({ writeKey: 'FakeKeyOfSegmentOf32Characters00', host: process.argv[2] })
client.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
const integrations = { 'Actions Amplitude': { session_id: 1769860800000 } }
client.identify({ userId: 'anna', traits: { plan: 'team' } })
client.track({ userId: 'anna', event: 'bought', properties: { sku: 'A-17' }, integrations })
client.page({ userId: 'anna', name: 'basket', properties: { path: '/basket' } })
client.screen({ userId: 'anna', name: 'basket' })
client.group({ userId: 'anna', groupId: 'acme', traits: { seats: 7 } })
client.alias({ userId: 'anna', previousId: 'visitor-1' })
client.track({ anonymousId: 'visitor-1', event: 'seen' })
await client.closeAndFlush()
