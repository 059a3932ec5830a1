/**
 * The same bytes given to our reader and to llhttp in its strict mode (through node:http on an
 * in-memory stream). What llhttp refuses we refuse; what both take we understand alike; where only
 * we refuse, the messages before agree. SKEIN_FUZZ_SEED repeats a run, SKEIN_FUZZ_RUNS lengthens it.
 */
import { once } from "node:events"
import { createServer, type IncomingMessage, METHODS } from "node:http"
import { Duplex } from "node:stream"
import { describe, expect, it } from "vitest"
import { type ParsedRequest, RequestReader } from "../../src/http1/RequestReader.ts"
import { latin1 } from "./Http1Recorder.ts"

interface Message {
  readonly method: string
  readonly target: string
  /** End-to-end fields as `name: value`, names in lower case. */
  readonly fields: ReadonlyArray<string>
  readonly body: string
}

interface Reading {
  /** Complete messages, up to the first that ends the use of the connection as HTTP. */
  readonly messages: ReadonlyArray<Message>
  /** Why the bytes were refused; undefined when they were not. */
  readonly refused: string | undefined
  /**
   * Here the two differ by design and only what came before compares: with a body, llhttp gives
   * it to the tunnel, while we read it and do not switch (RFC 9110 §7.8); nor do we for a version
   * of 1.0 or a malformed protocol name; and llhttp refuses methods that are not registered.
   */
  readonly differs?: boolean
}

const seed = Number(process.env["SKEIN_FUZZ_SEED"] ?? 20_241_123)
const runs = Number(process.env["SKEIN_FUZZ_RUNS"] ?? 2_000)

/** Mulberry32: small, and the same everywhere. */
const randomFrom = (start: number): (() => number) => {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomFrom(seed)
const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
const chance = (share: number): boolean => random() < share

const startLines = [
  "GET / HTTP/1.1",
  "GET /a/b?c=d&e=%20 HTTP/1.1",
  "POST /form HTTP/1.1",
  "PUT /x HTTP/1.0",
  "OPTIONS * HTTP/1.1",
  "GET http://b.mesh/abs?x HTTP/1.1",
  "DELETE /y HTTP/1.1",
  "HEAD / HTTP/1.1",
  "CONNECT b.mesh:443 HTTP/1.1",
  "PATCH /%7Euser/{id}|[1] HTTP/1.1"
]

const fieldLines = [
  "Accept: */*",
  "User-Agent: curl/8.5.0",
  "X-Empty:",
  "X-Blanks:  \t a b \t ",
  "X-Bytes: caf\xe9",
  "Cookie: a=b; c=d",
  "Connection: keep-alive",
  "Connection: close",
  "Connection: keep-alive, X-Hop",
  "X-Hop: 1",
  "Keep-Alive: timeout=5",
  "TE: trailers",
  "Expect: 100-continue",
  "Trailer: X-Sum",
  "Connection: Upgrade\r\nUpgrade: websocket",
  "Proxy-Connection: keep-alive"
]

const request = (): string => {
  const lines = [pick(startLines), `Host: ${pick(["a.mesh", "a.mesh:8080", "[::1]:80"])}`]
  while (chance(0.6)) lines.push(pick(fieldLines))
  let body = ""
  const kind = random()
  if (kind < 0.3) {
    body = pick(["", "a", "abc\r\n", "GET / HTTP/1.1\r\n\r\n", "0\r\n\r\n"])
    lines.push(`Content-Length: ${body.length}`)
  } else if (kind < 0.6) {
    lines.push("Transfer-Encoding: chunked")
    while (chance(0.6)) {
      const data = pick(["a", "hello", "0\r\n\r\n", "x".repeat(17)])
      const size = data.length.toString(16)
      body += `${pick([size, `0${size}`, size.toUpperCase()])}${pick(["", "", ";a", ';b="c"', ";d=e"])}\r\n${data}\r\n`
    }
    body += `0\r\n${pick(["", "", "X-Sum: 1\r\n"])}\r\n`
  }
  return `${pick(["", "", "", "\r\n"])}${lines.join("\r\n")}\r\n\r\n${body}`
}

const insertions = [
  ...'\r\n\t \0:;,"x0+-=/\\#%?\x7f\x80\xff\x01\x0b\x0c',
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "\r\n ",
  "\r\n\t",
  " :",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "\r\nContent-Length: 5",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "\r\nTransfer-Encoding : chunked",
  "Host: c.mesh\r\n",
  "HTTP/1.0",
  "0x",
  "0\r\n\r\n",
  ";ext=1",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
]

const mutate = (text: string): string => {
  const at = Math.floor(random() * (text.length + 1))
  switch (Math.floor(random() * 5)) {
    case 0:
      return text.slice(0, at) + pick(insertions) + text.slice(at)
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + Math.floor(random() * 3))
    case 2:
      return text.slice(0, at) + pick(insertions) + text.slice(at + 1)
    case 3: {
      const lines = text.split("\r\n")
      lines.splice(Math.floor(random() * lines.length), 0, pick(lines))
      return lines.join("\r\n")
    }
    default:
      return (
        text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1)
      )
  }
}

const input = (): string => {
  let text = request()
  if (chance(0.3)) text += request()
  for (let left = pick([0, 1, 1, 1, 2, 3]); left > 0; left--) text = mutate(text)
  return text
}

const readByUs = (bytes: Buffer): Reading => {
  const messages: Array<Message> = []
  let refused: string | undefined
  let differs = false
  let current: ParsedRequest | undefined
  let body = ""
  const finish = () => {
    const { head, version, keepAlive } = current!
    messages.push({
      method: head.method,
      target: head.target,
      fields: pairs(head.fields).map(([name, value]) => `${name.toLowerCase()}: ${value}`),
      body
    })
    body = ""
    if (keepAlive && version === 1) reader.next()
    else reader.stop()
  }
  const reader: RequestReader = new RequestReader({
    onHead: (parsed) => {
      current = parsed
      if (!METHODS.includes(parsed.head.method)) differs = true
      if (reader.state !== "complete") return
      finish()
      reader.stop()
    },
    onBody: (chunk) => {
      body += chunk.toString("latin1")
    },
    onEnd: finish,
    onError: (error) => {
      refused = error.rule
    }
  })
  reader.feed(bytes)
  reader.eof()
  return { messages, refused, differs }
}

const readByLlhttp = async (bytes: Buffer): Promise<Reading> => {
  /** In order of their heads; a tunnel has no body to wait for. */
  const seen: Array<{ request: IncomingMessage; body: string; whole: boolean }> = []
  let refused: string | undefined
  let differs = false
  const server = createServer({
    requireHostHeader: false,
    insecureHTTPParser: false
  })
  const serve = (request: IncomingMessage, response: { end(): unknown }): void => {
    const message = { request, body: "", whole: false }
    seen.push(message)
    request.setEncoding("latin1")
    request.on("data", (text: string) => {
      message.body += text
    })
    request.on("end", () => {
      message.whole = true
      response.end()
    })
    request.on("error", () => {}) // told by clientError
  }
  server.on("request", serve)
  server.on("checkContinue", serve)
  server.on("checkExpectation", serve)
  // Bodies parsed before are still on their way to their listeners: destroy later.
  const destroy = (socket: Duplex) => setImmediate(() => socket.destroy())
  const handOver = (request: IncomingMessage, socket: Duplex): void => {
    seen.push({ request, body: "", whole: true })
    destroy(socket)
  }
  server.on("upgrade", (request, socket) => {
    const { headers, httpVersion, method } = request
    differs =
      method !== "CONNECT" &&
      (httpVersion !== "1.1" ||
        headers["transfer-encoding"] !== undefined ||
        Number(headers["content-length"] ?? 0) > 0 ||
        !/^[a-z, ]+$/i.test(headers.upgrade ?? ""))
    if (differs) destroy(socket)
    else handOver(request, socket)
  })
  server.on("connect", handOver)
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    const code = error.code ?? "unknown"
    // The end of the bytes within a message, and bytes after the last message: not for us.
    if (code !== "HPE_INVALID_EOF_STATE" && code !== "HPE_CLOSED_CONNECTION") refused = code
    destroy(socket)
  })
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const closed = once(socket, "close")
  server.emit("connection", socket)
  socket.push(bytes)
  socket.push(null)
  await closed
  const messages: Array<Message> = []
  for (const { request, body, whole } of seen) {
    if (!whole) break
    messages.push(messageOf(request, body))
    // As our side does: what follows is not read as HTTP any more.
    if (request.httpVersion === "1.0" || hasClose(request)) return { messages, refused: undefined }
  }
  return { messages, refused, differs }
}

const hopByHop =
  /^(connection|content-length|expect|host|keep-alive|proxy-connection|te|transfer-encoding|upgrade)$/

const messageOf = (request: IncomingMessage, body: string): Message => {
  const raw = pairs(request.rawHeaders).map(([name, value]) => [name.toLowerCase(), value] as const)
  const listed = raw
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.toLowerCase().split(","))
    .map((option) => option.trim())
  const method = request.method ?? ""
  return {
    method,
    target: (request.url ?? "").replace(/^http:\/\/[^/?]*\/?/i, "/"),
    fields: raw.flatMap(([name, value]) => {
      if (name === "te")
        return /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value) ? ["te: trailers"] : []
      if (name === "expect" && value.toLowerCase() !== "100-continue") return [`${name}: ${value}`]
      return hopByHop.test(name) || listed.includes(name) ? [] : [`${name}: ${value}`]
    }),
    body
  }
}

const hasClose = (request: IncomingMessage): boolean =>
  pairs(request.rawHeaders).some(
    ([name, value]) =>
      name.toLowerCase() === "connection" &&
      value
        .toLowerCase()
        .split(",")
        .some((option) => option.trim() === "close")
  )

const pairs = (flat: ReadonlyArray<string>): ReadonlyArray<readonly [string, string]> =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!])

describe(`against llhttp (SKEIN_FUZZ_SEED=${seed})`, () => {
  it("refuses what it refuses and reads alike what both take", async () => {
    const tally = { bothTake: 0, bothRefuse: 0, onlyWeRefuse: 0, differByDesign: 0 }
    const stricter = new Map<string, number>()
    for (let run = 0; run < runs; run++) {
      const text = input()
      const bytes = latin1(text)
      const theirs = await readByLlhttp(bytes)
      const ours = readByUs(bytes)
      const shown = `seed ${seed}, run ${run}: ${JSON.stringify(text)}`
      const otherMethod = ours.differs === true && theirs.refused === "HPE_INVALID_METHOD"
      if (theirs.refused !== undefined && !otherMethod) {
        expect(ours.refused, `llhttp refuses (${theirs.refused}): ${shown}`).toBeDefined()
        tally.bothRefuse++
      } else if (theirs.differs === true || otherMethod) {
        tally.differByDesign++
      } else if (ours.refused === undefined || ours.refused === "incomplete") {
        expect(ours.messages, shown).toEqual(theirs.messages)
        tally.bothTake++
        continue
      } else {
        tally.onlyWeRefuse++
        stricter.set(ours.refused, (stricter.get(ours.refused) ?? 0) + 1)
      }
      const common = Math.min(ours.messages.length, theirs.messages.length)
      expect(ours.messages.slice(0, common), shown).toEqual(theirs.messages.slice(0, common))
    }
    console.log(`seed ${seed}:`, tally, "stricter by", Object.fromEntries(stricter))
    // The generator must reach every outcome, or the comparison says nothing.
    expect(tally.bothTake).toBeGreaterThan(runs / 5)
    expect(tally.bothRefuse).toBeGreaterThan(runs / 5)
    expect(tally.onlyWeRefuse).toBeLessThan(runs / 5)
  }, 60_000)
})
