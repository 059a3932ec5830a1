/**
 * The corpus of ambiguous requests through two real nodes, by every way into the mesh: each is
 * refused the same way, and nothing of it is carried out by the program. And what a program may
 * send back: the client gets a whole response, or 502, or one that is visibly cut short.
 */
import { connect, createServer, type Server } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { faultKinds } from "../../src/model/Fault.ts"
import { type Http1Rule, http1Rules } from "../../src/request/http1/Http1Error.ts"
import { isBodyCase, requestCorpus, responseCorpus } from "../conformance/Corpus.ts"
import { readResponses } from "../conformance/Http1Recorder.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let host: Host
let fixedPort: number
let echoFixedPort: number
/** All that reached the program behind `a.mesh` since it was last looked at, but for probes. */
let received = ""

/** Answers whatever looks like the end of a head; the second program what the case says. */
const victim = createServer((socket) => {
  socket.on("error", () => socket.destroy())
  socket.on("data", (bytes) => {
    const text = bytes.toString("latin1")
    if (!text.startsWith("GET /probe ")) received += text
    else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
  })
})
const sender = createServer((socket) => {
  socket.on("error", () => socket.destroy())
  socket.on("data", (bytes) => {
    const found = /^POST \/(\d+) /.exec(bytes.toString("latin1"))
    const [, answer] = responseCorpus[Number(found?.[1])] ?? []
    socket.end(answer ?? "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "latin1")
  })
})

const listen = async (server: Server): Promise<number> => {
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  return port
}

/** All that comes back until the other side closes. */
const ask = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1")
    let text = ""
    socket.setTimeout(10_000, () => socket.destroy(new Error(`no end of ${JSON.stringify(text)}`)))
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
    })
    socket.on("error", reject)
    socket.on("close", () => resolve(text))
    socket.write(bytes, "latin1")
  })

const probe = "GET /probe HTTP/1.1\r\nHost: a.mesh\r\nConnection: close\r\n\r\n"

/** What was sent before has reached the program when this has: one link carries both, in order. */
const reaches = async (port: number): Promise<void> => {
  expect(await ask(port, probe)).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*ok$/)
}

const proxyPort = () => Number(host.proxy.split(":")[1])

beforeAll(async () => {
  fixedPort = await freePort()
  echoFixedPort = await freePort()
  const upstreams = [
    { service: "a", listen: `127.0.0.1:${fixedPort}`, protocol: "http" },
    { service: "sender", listen: `127.0.0.1:${echoFixedPort}`, protocol: "http" }
  ]
  const policies = { sender: { retry: "off", breaker: "off", ejection: "off" } }
  host = await mesh.first("host-a", { upstreams, policies })
  await mesh.join("host-b", {
    services: [
      { name: "a", address: `127.0.0.1:${await listen(victim)}` },
      { name: "sender", address: `127.0.0.1:${await listen(sender)}` }
    ]
  })
  for (const [port, name] of [
    [fixedPort, "a"],
    [echoFixedPort, "sender"]
  ] as const) {
    await until("the program is reachable", async () =>
      (await ask(port, probe.replace("a.mesh", `${name}.mesh`))).startsWith("HTTP/1.1 200")
        ? true
        : undefined
    )
  }
})

afterAll(async () => {
  await mesh.stop()
  victim.close()
  sender.close()
  await stopAll()
})

/** The same request in absolute-form; those whose request line is the attack are sent as they are. */
const absolute = (bytes: string): string =>
  bytes.replace(/^([A-Z]+) (\/[!-~]*) HTTP\/1\.([01])\r\n/, "$1 http://a.mesh$2 HTTP/1.$3\r\n")

const ways: ReadonlyArray<readonly [string, () => number, (bytes: string) => string]> = [
  ["by Host", proxyPort, (bytes) => bytes],
  ["in absolute-form", proxyPort, absolute],
  ["at a fixed port", () => fixedPort, (bytes) => bytes]
]

/** What answers a request that breaks the rule. */
const answerTo = (rule: string) => {
  const code = http1Rules[rule as Http1Rule] // the corpus names no other
  return { code, status: faultKinds[code].status }
}

describe.each(ways)("ambiguous requests %s", (_way, port, form) => {
  it.each(Object.entries(requestCorpus))("are refused: %s", async (group, cases) => {
    const wrong: Array<string> = []
    for (const [name, bytes, rule] of cases) {
      received = ""
      const answer = await ask(port(), form(bytes))
      await reaches(port())
      const { code, status } = answerTo(rule)
      const said = answer.split("\r\n")[0]
      if (!said?.startsWith(`HTTP/1.1 ${status} `)) wrong.push(`${name}: answered ${said}`)
      if (answer.match(/HTTP\/1\.1 \d{3} /g)?.length !== 1) wrong.push(`${name}: not one answer`)
      if (!answer.includes(`\r\nskein-error: ${code}\r\n`)) wrong.push(`${name}: not ${code}`)
      if (received.includes("/admin")) wrong.push(`${name}: the smuggled request came through`)
      // A head goes on before its body is here. What must not come through is the body's end.
      if (isBodyCase(group, rule)) {
        if (/\r\n0\r\n/.test(received)) wrong.push(`${name}: the program was told the end`)
      } else if (received !== "") wrong.push(`${name}: the program received something`)
    }
    expect(wrong).toEqual([])
  })
})

describe("ambiguous responses", () => {
  it.each(responseCorpus.map(([name, bytes], index) => [name, bytes, index] as const))(
    "%s",
    async (_name, bytes, index) => {
      const request = `POST /${index} HTTP/1.1\r\nHost: sender.mesh\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`
      const answer = await ask(echoFixedPort, request)
      const got = readResponses(["POST"], [answer], { eof: true })
      const [alone] = readResponses(["POST"], [bytes]).responses
      expect(got.responses).toHaveLength(1)
      const [response] = got.responses
      if (alone === undefined) {
        expect(response?.response.head.status).toBe(502)
        expect(answer).toMatch(/\r\nskein-error: upstream_reset\r\n/)
      } else if (alone.trailers !== undefined) {
        // Whole before the surplus, which nobody gets.
        expect(response?.response.head.status).toBe(alone.response.head.status)
        expect(response?.body).toBe(alone.body)
        expect(got.error).toBeUndefined()
      } else {
        const cut = response?.response.head.status === 502 || got.error === "incomplete"
        expect(cut, answer).toBe(true)
      }
    }
  )
})
