// A Bluesky network on this machine: PLC directory, PDS and AppView of @atproto/dev-env.
// usage: node network.cjs FOLDER-WITH-node_modules
// DB_POSTGRES_URL and REDIS_HOST say where its databases are. Prints one line of JSON when it is
// up; ends on SIGTERM, or when standard input ends, so that it never outlives who started it.
const net = require('node:net')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

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

async function main() {
  const home = path.join(path.resolve(process.argv[2]), 'node_modules/@atproto/dev-env/dist/index.js')
  process.env.DB_POSTGRES_SCHEMA ??= 'bluesky_' + letters(Date.now())
  const { TestNetwork } = await import(pathToFileURL(home).href)
  const network = await TestNetwork.create({
    dbPostgresSchema: process.env.DB_POSTGRES_SCHEMA,
    pds: {
      hostname: 'localhost',
      enableDidDocWithSession: true,
      ...(process.env.RATE_LIMITS ? { rateLimitsEnabled: true } : {}),
    },
  })
  const stop = async () => {
    await network.close().catch(() => {})
    process.exit(0)
  }
  process.on('SIGTERM', stop)
  process.stdin.on('end', stop).resume()
  console.log(JSON.stringify({
    plc: network.plc.url, pds: network.pds.url, appview: network.bsky.url,
  }))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
