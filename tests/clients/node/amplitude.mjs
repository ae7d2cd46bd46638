// Every type of event of @amplitude/analytics-node; the argument is the fake's address.
import { createInstance, Identify, Revenue } from '@amplitude/analytics-node'

const client = createInstance()
await client.init('FAKEKEY', { serverUrl: `${process.argv[2]}/2/httpapi`, minIdLength: 1 }).promise
const who = { user_id: 'anna', device_id: 'visitor-1' }
const identify = new Identify().set('plan', 'team')
const results = await Promise.all([
  client.track('seen', {}, { device_id: 'visitor-1' }).promise,
  client.track('bought', { sku: 'A-17' }, { ...who, session_id: 1769860800000 }).promise,
  client.identify(identify, who).promise,
  client.revenue(new Revenue().setPrice(3.5).setQuantity(2).setProductId('A-17'), who).promise,
  client.groupIdentify('company', 'acme', identify, who).promise,
  client.flush().promise,
])
const refused = results.filter((result) => result && result.code !== 200)
if (refused.length) throw new Error(`refused: ${JSON.stringify(refused)}`)
