// A Bluesky network on this machine: PLC directory, PDS and AppView of @atproto/dev-env.
// usage: node network.cjs FOLDER-WITH-node_modules
// DB_POSTGRES_URL and REDIS_HOST say where its databases are. Prints one line of JSON when it is
// up, then takes orders, one JSON object a line, and answers each with one; ends on SIGTERM, or when
// standard input ends, so that it never outlives who started it.
//   {"hold": METHOD, "of": DID, "after": true}
//                                     their next request of it is never answered; after: it is done
//   {"held": true}                    how many requests are held so far
//   {"answered": METHOD}              how often it was answered, by status
//   {"stop": true}, {"start": true}   the PDS, with what it has on its disk
// HANDLE_DOMAINS, as in [".test"], are what handles may end with. RATE_LIMITS, as in
// {"repo-write-hour": [points, seconds]}, switches the PDS's limits on, and makes those that it
// names so small; {} leaves all as they are.
const crypto = require('node:crypto')
const { createRequire } = require('node:module')
const net = require('node:net')
const path = require('node:path')
const readline = require('node:readline')

// dev-env listens on all interfaces: what names none gets loopback.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...args) {
  const [first] = args
  if (first && typeof first === 'object' && 'port' in first && !first.host) {
    args[0] = { ...first, host: '127.0.0.1' }
  } else if (/^\d+$/.test(String(first)) && typeof args[1] !== 'string') {
    args.splice(1, 0, '127.0.0.1')
  }
  return listen.apply(this, args)
}
require('node:dns').setDefaultResultOrder('ipv4first')

const letters = (number) =>
  [...number.toString(26)].map((digit) => String.fromCharCode(97 + parseInt(digit, 26))).join('')

// What happens to the requests of the PDS.
const holds = []
const answered = {}
let held = 0

function sender(request) {
  const claims = (request.headers.authorization ?? '').split('.')[1] ?? ''
  try {
    return JSON.parse(Buffer.from(claims, 'base64url')).sub
  } catch {
    return ''
  }
}

function gate(server) {
  const handlers = server.listeners('request')
  server.removeAllListeners('request')
  server.on('request', (request, response) => {
    const method = request.url.split('?')[0].replace('/xrpc/', '')
    response.on('finish', () => {
      const counts = (answered[method] ??= {})
      counts[response.statusCode] = (counts[response.statusCode] ?? 0) + 1
    })
    const found = holds.findIndex((one) => one.hold === method && one.of === sender(request))
    const [order] = found < 0 ? [] : holds.splice(found, 1)
    if (order && !order.after) {
      held += 1
      return
    }
    if (order) {
      response.write = () => true
      response.end = () => {
        held += 1
        return response
      }
    }
    for (const handle of handlers) handle.call(server, request, response)
  })
}

function shrink(limiters, limits) {
  const { RateLimiterMemory } = limiters
  limiters.RateLimiterMemory = class extends RateLimiterMemory {
    constructor(said) {
      const [points, duration] = limits[said.keyPrefix.replace(/^rl-/, '')] ?? []
      super(points ? { ...said, points, duration } : said)
    }
  }
}

async function main() {
  const home = path.join(path.resolve(process.argv[2]), 'node_modules/@atproto/dev-env/dist/index.js')
  const from = createRequire(home)
  process.env.DB_POSTGRES_SCHEMA ??= 'bluesky_' + letters(Date.now())
  const limits = process.env.RATE_LIMITS
  if (limits) {
    const fromServer = createRequire(from.resolve('@atproto/xrpc-server'))
    shrink(fromServer('rate-limiter-flexible'), JSON.parse(limits))
  }
  const { TestNetwork, mockNetworkUtilities, JWT_SECRET, ADMIN_PASSWORD } = from(home)
  const { PDS, envToSecrets } = from('@atproto/pds')
  const rotation = crypto.randomBytes(32).toString('hex')
  const network = await TestNetwork.create({
    dbPostgresSchema: process.env.DB_POSTGRES_SCHEMA,
    pds: {
      hostname: 'localhost',
      enableDidDocWithSession: true,
      serviceHandleDomains: JSON.parse(process.env.HANDLE_DOMAINS ?? '[".test"]'),
      plcRotationKeyK256PrivateKeyHex: rotation,
      ...(limits ? { rateLimitsEnabled: true } : {}),
    },
  })
  const { pds } = network
  const { cfg } = pds.ctx
  gate(pds.server.server)

  const orders = {
    hold: (said) => {
      holds.push(said)
      return {}
    },
    held: () => ({ held }),
    answered: (said) => answered[said.answered] ?? {},
    stop: async () => {
      await pds.server.destroy()
      return {}
    },
    start: async () => {
      const secrets = envToSecrets({
        jwtSecret: JWT_SECRET,
        adminPassword: ADMIN_PASSWORD,
        plcRotationKeyK256PrivateKeyHex: rotation,
      })
      pds.server = await PDS.create(cfg, secrets)
      gate(await pds.server.start())
      mockNetworkUtilities(pds, network.bsky)
      return {}
    },
  }
  const end = async () => {
    await network.close().catch(() => {})
    process.exit(0)
  }
  process.on('SIGTERM', end)
  console.log(JSON.stringify({ plc: network.plc.url, pds: pds.url, appview: network.bsky.url }))
  const lines = readline.createInterface({ input: process.stdin })
  lines.on('close', end)
  for await (const line of lines) {
    const said = JSON.parse(line)
    let answer
    try {
      answer = await orders[Object.keys(said)[0]](said)
    } catch (error) {
      answer = { error: String(error.stack) }
    }
    console.log(JSON.stringify(answer))
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
