// Every type of event of @rudderstack/rudder-sdk-node; the argument is the fake's address.
import { createRequire } from 'node:module'
const Analytics = createRequire(import.meta.url)('@rudderstack/rudder-sdk-node')

const client = new Analytics('FAKEKEY', { dataPlaneUrl: process.argv[2], flushAt: 100, gzip: true })
const context = { sessionId: 1769860800000 }
client.identify({ userId: 'anna', traits: { plan: 'team' } })
client.track({ userId: 'anna', event: 'bought', properties: { sku: 'A-17' }, context })
client.page({ userId: 'anna', name: 'basket', properties: { path: '/basket' } })
client.screen({ userId: 'anna', name: 'basket' })
client.group({ userId: 'anna', groupId: 'acme', traits: { seats: 7 } })
client.alias({ userId: 'anna', previousId: 'visitor-1' })
client.track({ anonymousId: 'visitor-1', event: 'seen' })
await client.flush()
process.exit(0) // its timers keep the process alive
