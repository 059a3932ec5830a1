/**
 * Whoever is no member, no member any more, or wants to be taken for somebody else, at a real node: by
 * certificates that do not hold, by what was recorded of others, and by words that are to pass for a
 * node's own in its logs. What else there is, and where it is tested: docs/security.md.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { expect } from "vitest"
import { loadIdentity } from "../../src/mesh/keys/DataDir.ts"
import { makeStatementDoor } from "../../src/mesh/membership/Statement.ts"
import { enrol, foundMesh } from "../../src/mesh/trust/FoundMesh.ts"
import { everything, rootHolding } from "../../src/mesh/trust/Grant.ts"
import { certificateLifetime, issueCertificate } from "../../src/mesh/trust/Issue.ts"
import type { NodeIdentity } from "../../src/mesh/trust/NodeIdentity.ts"
import { renewalGrace } from "../../src/mesh/trust/Renewal.ts"
import { generateSigningKey } from "../../src/mesh/trust/SigningKey.ts"
import { NodeName, PeerKey } from "../../src/model/Names.ts"
import { prefaceFirstByte } from "../../src/request/wire/LinkPreface.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { hostileMember, speakAs } from "../fixtures/HostileMember.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, root, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host
let first: NodeIdentity
let load: Load
let between: Server
const sockets = new Set<Socket>()
/** What came to host-b by its announced address, connection by connection. */
const recorded: Array<Array<Buffer>> = []

/** Between host-b and all others stands somebody who writes down what they say. */
const listenBetween = async (port: number, to: number): Promise<Server> => {
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1")
    const said: Array<Buffer> = []
    recorded.push(said)
    near.on("data", (chunk) => {
      said.push(chunk)
      far.write(chunk)
    })
    far.on("data", (chunk) => near.write(chunk))
    for (const [one, other] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(one)
      one.on("error", () => undefined)
      one.on("close", () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  return server
}

beforeAll(async () => {
  app = await httpApp("web")
  a = await mesh.first("host-a", {
    threads: 1,
    telemetry: { accessLog: join(mesh.directory, "access.log") }
  })
  const [meshPort, announced] = [await freePort(), await freePort()]
  between = await listenBetween(announced, meshPort)
  b = await mesh.prepare(
    "host-b",
    {
      threads: 1,
      services: [{ name: "web", address: app.address }],
      announce: () => [`/ip4/127.0.0.1/tcp/${announced}`]
    },
    { mesh: meshPort }
  )
  await b.up("--join", await a.invite())
  first = await Effect.runPromise(loadIdentity(a.dataDir))
  await until("host-a sees web", async () =>
    JSON.stringify(await a.api("services")).includes('"healthy":1') ? true : undefined
  )
  load = new Load(a.proxy, "http://web.mesh/", 2, 20)
})

afterAll(async () => {
  await mesh.stop()
  for (const socket of sockets) socket.destroy()
  between.close()
  await app.close()
  await stopAll()
})

const audited = (host: Host): ReadonlyArray<Record<string, unknown>> =>
  readFileSync(join(host.dataDir, "audit.log"), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))

const members = async (): Promise<ReadonlyArray<{ node: string; state: string }>> =>
  (await a.api("members")) as ReadonlyArray<{ node: string; state: string }>

const key = generateSigningKey
const now = Date.now()
const day = 86_400_000

const enrolled = (by: NodeIdentity, name: string, grant = everything, at = now) =>
  Either.getOrThrow(enrol(by, { privateKey: key(), name: NodeName.make(name), grant, now: at }))

const founded = () =>
  Either.getOrThrow(
    foundMesh({
      ...{ rootKey: key(), privateKey: key(), meshName: first.meshName, now },
      nodeName: NodeName.make("stranger")
    })
  )

/** Signed by a member that may let others in, and hands on more than it holds. */
const widened = (): NodeIdentity => {
  const signer = enrolled(first, "widening", { services: ["shop-*"], capabilities: ["admit"] })
  if (signer.authority === undefined) throw new Error("it may let nobody in")
  const honest = enrolled(signer, "widened", { services: ["shop-a"], capabilities: [] })
  const { name, peer } = honest
  const lawless = { ...signer.authority, grant: rootHolding }
  const chain = Either.getOrThrow(issueCertificate(lawless, { peer, name, grant: everything }, now))
  return { ...honest, chain }
}

describe("a certificate", () => {
  it.each<[string, string, () => NodeIdentity]>([
    ["self-signed", "foreign_mesh", () => ({ ...founded(), mesh: first.mesh })],
    [
      "expired",
      "expired",
      () => enrolled(first, "old", everything, now - certificateLifetime - renewalGrace - day)
    ],
    ["not yet valid", "not_yet_valid", () => enrolled(first, "early", everything, now + day)],
    ["of another peer", "wrong_peer", () => ({ ...enrolled(first, "thief"), privateKey: key() })],
    ["widened", "exceeds_grant", widened]
  ])("%s lets nobody in", { timeout: 60_000 }, async (_, code, make) => {
    const before = audited(a).filter(({ event }) => event === "door.refused").length
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const target = { peer: PeerKey.make(first.peer), port: a.meshPort }
          const stranger = yield* speakAs(make(), target)
          expect(Either.isLeft(yield* Effect.either(stranger.dial))).toBe(true)
          expect(stranger.host.connectionCount()).toBe(0)
        })
      )
    )
    const codes = await until("the audit log has it", () => {
      const refused = audited(a).filter(({ event }) => event === "door.refused")
      return refused.length > before ? refused.map((line) => line["code"]) : undefined
    })
    expect(codes).toContain(code)
    expect((await members()).map(({ node }) => node).sort()).toEqual(["host-a", "host-b"])
  })
})

it("a node of another mesh fails before anybody has shown anything", { timeout: 60_000 }, () =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const target = { peer: PeerKey.make(first.peer), port: a.meshPort }
        const stranger = yield* speakAs(founded(), target)
        expect(Either.isLeft(yield* Effect.either(stranger.dial))).toBe(true)
        expect(stranger.refusals).toMatchObject([{ code: "foreign_mesh", by: "us" }])
      })
    )
  )
)

it("a token that has run out lets nobody in", { timeout: 60_000 }, async () => {
  const token = await a.invite("--ttl", "1s")
  const late = await mesh.prepare("late", {})
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  const words = [join(root, "dist", "skein.js"), "join", token, "--config", late.configPath]
  const { code, stderr } = await run(process.execPath, words)
  expect([code, stderr]).toEqual([1, expect.stringMatching(/expired|ran out|has ended/)])
})

/** What comes until the other side has closed. */
const say = (port: number, bytes: Uint8Array): Promise<Buffer> =>
  new Promise((resolve) => {
    const heard: Array<Buffer> = []
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    const timer = setTimeout(() => socket.destroy(), 5_000)
    socket.on("data", (chunk) => heard.push(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(Buffer.concat(heard))
    })
  })

it("a link that was recorded, with all its calls, is no link when it is said again", async () => {
  const links = await until("calls have gone by a link", () => {
    const found = recorded
      .map((parts) => Buffer.concat(parts))
      .filter((bytes) => bytes[0] === prefaceFirstByte && bytes.length > 2_000)
    return found.length > 0 ? found : undefined
  })
  await load.stop()
  const before = app.requests
  for (const bytes of links) {
    const heard = await say(b.meshPort, bytes)
    expect(heard.length).toBeLessThan(200)
  }
  expect(app.requests).toBe(before)
  load = new Load(a.proxy, "http://web.mesh/", 2, 20)
})

it("a member that accuses another without end changes nothing", { timeout: 120_000 }, async () => {
  const victim = PeerKey.make(((await b.api("status")) as { readonly peer: string }).peer)
  const seen = new Set<string>()
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const target = { peer: PeerKey.make(first.peer), port: a.meshPort }
        const slanderer = yield* hostileMember("slanderer", a.dataDir, target)
        yield* slanderer.dial
        yield* Effect.promise(() =>
          until("gossip has found the node", () => {
            const { pubsub } = slanderer.host.libp2p.services
            return pubsub.getTopics().every((topic) => pubsub.getSubscribers(topic).length > 0)
              ? true
              : undefined
          })
        )
        const { seal } = makeStatementDoor({ current: slanderer.identity })
        for (let repeat = 0; repeat < 600; repeat++) {
          // At what it may have said last, and ever further ahead of it.
          const incarnation = Date.now() + repeat * 500
          for (const subject of [victim, target.peer]) {
            yield* slanderer.gossip.publish(
              "membership",
              seal({ kind: "suspect", subject, incarnation, repeat })
            )
          }
          if (repeat % 100 > 0) continue
          for (const { node, state } of yield* Effect.promise(members)) {
            if (node === "host-b") seen.add(state)
          }
          yield* Effect.sleep(500)
        }
      })
    )
  )
  expect([...seen]).toEqual(["alive"])
  // What changes nothing is not told on; who is accused to its face counts it.
  const heard = await until("host-a has counted them", async () => {
    const text = await (await fetch(`http://${a.admin}/metrics`)).text()
    return /^skein_membership_accusations_total\{.*\} (\d+)$/m.exec(text)?.[1]
  })
  expect(Number(heard)).toBeGreaterThan(20)
  expect((await members()).find(({ node }) => node === "host-b")?.state).toBe("alive")
})

describe("what others write into logs", () => {
  const marked = "INJECTED"
  const breaks = [
    "\n",
    "\r\n",
    "\r",
    "\u0085",
    "\u2028",
    "\u000b",
    "\u001b[2K\r",
    "%0a",
    "\\n",
    "\t"
  ]
  const line = `{"time":"2026-01-01T00:00:00.000Z","event":"key.invite","node":"${marked}"}`

  const request = (text: string): Promise<Buffer> => {
    const [, port = ""] = a.proxy.split(":")
    return say(Number(port), Buffer.from(text, "utf8"))
  }

  it("stays in its own line, in all of them", { timeout: 120_000 }, async () => {
    const sent: Array<Promise<Buffer>> = []
    for (const end of breaks) {
      const evil = `x${end}${line}`
      const close = "connection: close\r\n\r\n"
      sent.push(request(`GET http://web.mesh/${evil} HTTP/1.1\r\nhost: web.mesh\r\n${close}`))
      sent.push(request(`GET / HTTP/1.1\r\nhost: ${evil}.mesh\r\n${close}`))
      sent.push(request(`GET / HTTP/1.1\r\nhost: web.mesh\r\ntraceparent: ${evil}\r\n${close}`))
      sent.push(request(`GET / HTTP/1.1\r\nhost: web.mesh\r\nuser-agent: ${evil}\r\n${close}`))
      sent.push(request(`${evil} / HTTP/1.1\r\nhost: web.mesh\r\n${close}`))
    }
    await Promise.all(sent)
    const file = join(mesh.directory, "why.yaml")
    const setting = `kind: policy\nname: web\ntimeout: { request: 9s }\n`
    writeFileSync(file, setting)
    for (const end of ["\n", "\u2028", "\u001b[2K\r"]) {
      const why = `x${end}${line}`
      const set = await skein("apply", "-f", file, "--why", why, "--admin", a.admin)
      expect(set.code).toBe(0)
      await skein("delete", "policy", "web", "--why", why, "--admin", a.admin)
    }
    const history = await skein("history", "policy", "web", "--admin", a.admin)
    const shown = await skein("audit", "--data-dir", a.dataDir)
    const texts = {
      access: readFileSync(join(mesh.directory, "access.log"), "utf8"),
      audit: readFileSync(join(a.dataDir, "audit.log"), "utf8"),
      own: a.process?.output() ?? "",
      history: history.stdout,
      shown: shown.stdout
    }
    expect(texts.access).toContain(marked)
    expect(texts.audit).toContain(marked)
    expect(texts.history).toContain(marked)
    for (const [name, text] of Object.entries(texts)) {
      // Neither a line of their own, nor what a terminal would act upon.
      const forged = text.split(/[\n\u2028]/).find((one) => one.startsWith('{"time":"2026-01-01'))
      expect([name, forged]).toEqual([name, undefined])
      expect([name, /[\r\u000b\u001b\u0085]/.test(text)]).toEqual([name, false])
    }
    for (const text of [texts.access, texts.audit]) {
      for (const one of text.split("\n").filter(Boolean)) {
        expect(JSON.parse(one)["node"]).toBe("host-a")
      }
    }
  })
})

it("calls of others have not failed", async () => {
  const { failures, ok, sent } = await load.stop()
  expect([...failures]).toEqual([])
  expect(ok).toBe(sent)
  expect(ok).toBeGreaterThan(50)
})
