/**
 * One side of the plain Node pair, a program of its own: node:http in and out, node:https between,
 * what anybody would write in an afternoon. It loads nothing else, so that its memory is its own.
 */
import { readFileSync } from "node:fs"
import http, { type IncomingMessage, type ServerResponse } from "node:http"
import https from "node:https"

const setting = (name: string): string => {
  const value = process.env[`PROXY_${name}`]
  if (value === undefined) throw new Error(`PROXY_${name} is not set; NodePair.ts sets it`)
  return value
}

const tls = {
  cert: readFileSync(setting("CERTIFICATE")),
  key: readFileSync(setting("KEY")),
  ca: readFileSync(setting("CA"))
}
const isClient = setting("SIDE") === "client"
const keep = { keepAlive: true, maxFreeSockets: 16_384 }
const agent = isClient
  ? new https.Agent({ ...tls, ...keep, servername: setting("SERVER_NAME") })
  : new http.Agent(keep)
const next = { host: "127.0.0.1", port: setting("NEXT_PORT"), agent }

const relay = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
  const { method, url, headers } = incoming
  const call = (isClient ? https : http).request({ ...next, method, path: url, headers })
  call.on("response", (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  call.on("error", () => {
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(502).end()
  })
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) call.destroy()
  })
  incoming.pipe(call)
}

const server = isClient
  ? http.createServer(relay)
  : https.createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, relay)
server.keepAliveTimeout = 3_600_000
server.headersTimeout = 0
server.requestTimeout = 0
server.listen(Number(setting("PORT")), "127.0.0.1", 16_384)
