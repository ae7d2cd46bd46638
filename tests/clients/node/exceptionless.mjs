// A session as @exceptionless/node reports it; the argument is the fake's address.
import { Exceptionless } from '@exceptionless/node'

await Exceptionless.startup((config) => {
  config.apiKey = 'FAKEKEYFAKEKEY'
  config.serverUrl = config.configServerUrl = config.heartbeatServerUrl = process.argv[2]
  config.includePrivateInformation = false
  config.setUserIdentity('anna', 'Anna')
  config.useSessions(false)
})
await Exceptionless.submitSessionStart()
await Exceptionless.submitFeatureUsage('bought')
await Exceptionless.submitException(new Error('no such seed'))
await Exceptionless.submitLog('shop', 'stock is low', 'warn')
await Exceptionless.submitNotFound('/missing')
await Exceptionless.submitSessionEnd('anna')
await Exceptionless.processQueue()
await Exceptionless.suspend()
process.exit(0) // its timers keep the process alive
