// A session as mparticle's library for Node uploads it; the argument is the fake's address.
import { createRequire } from 'node:module'
const mParticle = createRequire(import.meta.url)('mparticle')

const api = new mParticle.EventsApi(new mParticle.Configuration('FAKEKEY', 'FAKESECRET'))
api.apiClient.basePath = `${process.argv[2]}/v2`
const batch = new mParticle.Batch(mParticle.Batch.Environment.development)
batch.user_identities = new mParticle.UserIdentities()
batch.user_identities.customerid = 'anna'
batch.user_attributes = { plan: 'team' }
const bought = new mParticle.AppEvent(mParticle.AppEvent.CustomEventType.transaction, 'bought')
bought.custom_attributes = { sku: 'A-17' }
bought.timestamp_unixtime_ms = 1769860801000
batch.addEvent(bought)
api.bulkUploadEvents([batch], (error) => {
  if (error) { console.error(error); process.exitCode = 1 }
})
