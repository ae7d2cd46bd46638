// A visit as posthog-node reports it; the argument is the fake's address.
import { PostHog } from 'posthog-node'

const session = '019c13ec-9e00-7000-8000-000000000000'
const client = new PostHog('phc_FAKEKEY', { host: process.argv[2], flushAt: 100 })
client.on('error', (error) => { console.error(error); process.exitCode = 1 })
client.capture({ distinctId: 'visitor-1', event: 'seen', properties: { $process_person_profile: false } })
client.alias({ distinctId: 'anna', alias: 'visitor-1' })
client.identify({ distinctId: 'anna', properties: { plan: 'team' } })
client.capture({ distinctId: 'anna', event: 'bought', properties: { sku: 'A-17', $session_id: session } })
client.captureException(new Error('no such seed'), 'anna')
await client.shutdown()
