/**
 * Attacks on a real node from raw sockets, and from members that do not mean well: none gets anything, whoever
 * goes on is cut off and named, and calls of others go on all the while. What else there is, and where it is
 * tested: docs/security.md.
 */

import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { expect } from "vitest"
import { recordKind } from "../../src/mesh/catalogue/RecordDoor.ts"
import { nodeKey } from "../../src/mesh/catalogue/RecordEntry.ts"
import { encodeCbor } from "../../src/mesh/trust/Cbor.ts"
import { sealEnvelope } from "../../src/mesh/trust/Envelope.ts"
import { PeerKey } from "../../src/model/Names.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { overheard } from "../fixtures/Eavesdropper.ts"
import { type HostileMember, hostileMember } from "../fixtures/HostileMember.ts"
import { Load } from "../fixtures/Load.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let load: Load
let peer: PeerKey

beforeAll(async () => {
  app = await httpApp("web")
  a = await mesh.first("host-a", { threads: 1 })
  const services = [{ name: "web", address: app.address }]
  await mesh.join("host-b", { threads: 1, services })
  const status = (await a.api("status")) as { readonly peer: string }
  peer = PeerKey.make(status.peer)
  await until("host-a sees web", async () =>
    JSON.stringify(await a.api("services")).includes('"healthy":1') ? true : undefined
  )
  load = new Load(a.proxy, "http://web.mesh/", 2, 20)
})

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

/** What comes until the other side has closed, or for so long. */
const say = (bytes: Uint8Array, patience = 10_000): Promise<Buffer> =>
  new Promise((resolve) => {
    const heard: Array<Buffer> = []
    const socket = connect(a.meshPort, "127.0.0.1", () => socket.write(bytes))
    const timer = setTimeout(() => socket.destroy(), patience)
    socket.on("data", (chunk) => heard.push(chunk))
    socket.on("error", () => undefined)
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(Buffer.concat(heard))
    })
  })

const line = (text: string) =>
  Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(`${text}\n`)])

const alive = async (): Promise<number> => {
  const text = await (await fetch(`http://${a.admin}/metrics`)).text()
  return Number(/^skein_members\{state="alive"\} (\d+)$/m.exec(text)?.[1])
}

describe("from outside", () => {
  it("random bytes get nothing, and are closed", { timeout: 60_000 }, async () => {
    for (let n = 0; n < 32; n++) {
      const heard = await say(randomBytes(1 + n * 50), 3_000)
      // Whatever a stray first byte led to: no more than the protocol's name.
      expect(heard.length).toBeLessThan(64)
    }
    expect(await alive()).toBe(2)
  })

  it("an older encrypter is not spoken", async () => {
    const heard = await say(
      Buffer.concat([line("/multistream/1.0.0"), line("/skein/noise/2"), line("/noise")]),
      3_000
    )
    expect(heard.toString()).toContain("na\n")
    expect(heard.toString()).not.toContain("/skein/noise/2")
    expect(heard.toString()).not.toContain("/noise\n")
  })

  it("greetings without end are not answered, and a greeting alone is not waited for", async () => {
    const greeting = line("/multistream/1.0.0")
    const endless = Buffer.concat(new Array<Buffer>(50_000).fill(greeting))
    const heard = await Promise.all([say(endless, 8_000), say(greeting, 8_000)])
    // One of them is answered to whoever proposes something after it.
    expect(heard.map(({ length }) => length)).toEqual([0, 0])
    expect(await alive()).toBe(2)
  })

  it("a captured handshake comes to nothing when it is sent again", {
    timeout: 60_000
  }, async () => {
    const said = await overheard(a, peer)
    expect(said.length).toBeGreaterThan(500)
    const heard = await say(said, 8_000)
    // Its own greeting and one answer of Noise, with fresh keys; nothing that the member was told.
    expect(heard.length).toBeLessThan(500)
  })
})

/** Runs as a member, which is connected when it begins. */
const as = (
  name: string,
  run: (member: HostileMember) => Effect.Effect<void, unknown>
): Promise<void> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const member = yield* hostileMember(name, a.dataDir, { peer, port: a.meshPort })
        yield* member.dial
        yield* run(member)
        yield* Effect.promise(() => cutOff(member))
      })
    )
  )

/** Its connection is closed, it is refused from then on, and people are told. */
const cutOff = async ({ dial, host, identity, refusals }: HostileMember): Promise<void> => {
  await until("its connections are closed", () => (host.connectionCount() === 0 ? true : undefined))
  const again = await Effect.runPromise(Effect.either(dial))
  expect(Either.isLeft(again)).toBe(true)
  expect(refusals.at(-1)).toMatchObject({ code: "cut_off", by: "peer" })
  const { findings } = (await a.api("status")) as {
    readonly findings: ReadonlyArray<{ readonly message: string }>
  }
  expect(findings.map(({ message }) => message).join("\n")).toMatch(
    new RegExp(`${identity.peer}.* is cut off from this node for ten minutes`)
  )
}

const grafted = ({ host }: HostileMember): Promise<true> =>
  until("gossip has found the node", () => {
    const { pubsub } = host.libp2p.services
    return pubsub.getTopics().every((topic) => pubsub.getSubscribers(topic).length > 0)
      ? true
      : undefined
  })

const recordOf = ({ identity }: HostileMember, change: object = {}) => ({
  ...{ peer: identity.peer, name: identity.name, addresses: [], epoch: Date.now(), version: 0 },
  ...{ signedAt: Date.now(), state: "serving", services: [], software: "evil", ...change }
})

describe("from a member", () => {
  it("what it forges is not believed, and ends with being cut off", { timeout: 60_000 }, () =>
    as("forger", (member) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => grafted(member))
        for (let n = 0; n < 12; n++) {
          const record = encodeCbor(recordOf(member, { name: "host-b", version: n }))
          const bytes = sealEnvelope(member.identity, recordKind, record)
          // Somebody else's signature would have to be there.
          bytes[bytes.length - 1]! ^= 1
          yield* member.gossip.publish("catalogue", bytes)
        }
      })
    )
  )

  it("two things signed as one version: one is kept, and it is cut off", { timeout: 60_000 }, () =>
    as("two-faced", (member) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => grafted(member))
        const epoch = Date.now()
        for (let version = 0; version < 24; version++) {
          for (const software of ["one", "other"]) {
            const record = encodeCbor(recordOf(member, { epoch, version, software }))
            yield* member.gossip.publish(
              "catalogue",
              sealEnvelope(member.identity, recordKind, record)
            )
          }
        }
      })
    )
  )

  it(
    "an old record said again is not believed, nor held against anybody",
    {
      timeout: 60_000
    },
    () =>
      Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const member = yield* hostileMember("replayer", a.dataDir, { peer, port: a.meshPort })
            yield* member.dial
            yield* Effect.promise(() => grafted(member))
            const client = yield* member.client
            const epoch = Date.now()
            const signed = (version: number) =>
              sealEnvelope(
                member.identity,
                recordKind,
                encodeCbor(recordOf(member, { epoch, version }))
              )
            const held = client
              .CatalogueExchange({ wanted: [nodeKey(member.identity.peer)], offered: [] })
              .pipe(Effect.map(([bytes]) => Buffer.from(bytes ?? [])))
            const holds = (bytes: Uint8Array, what: string) =>
              Effect.promise(() =>
                until(what, async () =>
                  (await Effect.runPromise(held)).equals(bytes) ? true : undefined
                )
              )
            const [old, recent, last] = [signed(1), signed(2), signed(3)]
            yield* member.gossip.publish("catalogue", old)
            yield* holds(old, "the first is held")
            yield* member.gossip.publish("catalogue", recent)
            yield* holds(recent, "the second is held")
            // As gossip, and in a comparison of catalogues.
            yield* member.gossip.publish("catalogue", Uint8Array.from(old))
            yield* client.CatalogueExchange({ wanted: [], offered: [old] })
            expect((yield* held).equals(recent)).toBe(true)
            yield* member.gossip.publish("catalogue", last)
            yield* holds(last, "whoever said it is heard on")
            expect(member.host.connectionCount()).toBe(1)
          })
        )
      )
  )

  it(
    "that floods gossip is heard its share, and ends with being cut off",
    {
      timeout: 120_000
    },
    () =>
      as("loud", (member) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => grafted(member))
          const epoch = Date.now()
          for (let version = 0; version < 4_000; version++) {
            if (member.host.connectionCount() === 0) break
            const record = encodeCbor(recordOf(member, { epoch, version }))
            yield* member.gossip.publish(
              "catalogue",
              sealEnvelope(member.identity, recordKind, record)
            )
            if (version % 50 === 0) yield* Effect.sleep(1)
          }
        })
      )
  )

  it(
    "that greets without end where it is to say what a stream is for is cut off",
    {
      timeout: 60_000
    },
    () =>
      as("talker", ({ host }) =>
        Effect.promise(async () => {
          const greetings = Buffer.concat(new Array<Buffer>(3_000).fill(line("/multistream/1.0.0")))
          for (let n = 0; n < 12; n++) {
            const [connection] = host.libp2p.getConnections()
            if (connection === undefined) return
            const stream: unknown = await Reflect.get(connection, "muxer").createStream()
            Reflect.apply(Reflect.get(Object(stream), "send"), stream, [greetings])
          }
        })
      )
  )

  it("that opens streams without end is cut off", { timeout: 60_000 }, () =>
    as("opener", ({ host }) =>
      Effect.promise(async () => {
        for (let n = 0; n < 6_000; n++) {
          const [connection] = host.libp2p.getConnections()
          if (connection === undefined) return
          const stream: unknown = await Reflect.get(connection, "muxer").createStream()
          Reflect.apply(Reflect.get(Object(stream), "abort"), stream, [new Error("the next")])
        }
      })
    )
  )

  it("a million services are too many", { timeout: 60_000 }, () =>
    as("braggart", (member) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => grafted(member))
        const services = Array.from({ length: 9_000 }, (_, n) => ({
          ...{ name: `s-${n}`, protocol: "http", endpoints: [] }
        }))
        for (let version = 0; version < 12; version++) {
          const record = encodeCbor(recordOf(member, { services, version }))
          yield* member.gossip.publish(
            "catalogue",
            sealEnvelope(member.identity, recordKind, record)
          )
        }
        const seen = yield* Effect.promise(() => a.api("services"))
        expect(JSON.stringify(seen)).not.toContain("s-0")
      })
    )
  )

  it("absurd lengths end the stream, and in the end the connection", { timeout: 60_000 }, () =>
    as("mouthful", (member) =>
      Effect.gen(function* () {
        for (let n = 0; n < 12; n++) {
          yield* Effect.ignore(
            Effect.tryPromise(async () => {
              const signal = AbortSignal.timeout(5_000)
              const channel = await member.transport.open(peer, "/skein/rpc/1", [], signal)
              const closed = new Promise<void>((resolve) => {
                channel.events = {
                  onData: () => undefined,
                  onDrain: () => undefined,
                  onClose: () => resolve()
                }
              })
              channel.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]))
              await closed
            })
          )
        }
      })
    )
  )

  it("that opens 10,000 sessions gets sixteen, and then nothing", { timeout: 120_000 }, () =>
    as("greedy", (member) =>
      Effect.gen(function* () {
        const client = yield* member.client
        let made = 0
        yield* Effect.forEach(
          Array.from({ length: 10_000 }),
          () =>
            client.NewSession({ secret: Uint8Array.from(randomBytes(32)) }).pipe(
              Effect.tap(() => Effect.sync(() => made++)),
              Effect.ignore
            ),
          { concurrency: 32, discard: true }
        )
        // And one for each second that it took.
        expect(made).toBeGreaterThanOrEqual(16)
        expect(made).toBeLessThan(60)
      })
    )
  )

  it(
    "that floods with questions is answered its share, and then nothing",
    { timeout: 120_000 },
    () =>
      as("curious", (member) =>
        Effect.gen(function* () {
          const client = yield* member.client
          let answered = 0
          yield* Effect.forEach(
            Array.from({ length: 12_000 }),
            () =>
              client.PeerStatus({}).pipe(
                Effect.tap(() => Effect.sync(() => answered++)),
                Effect.ignore
              ),
            { concurrency: 32, discard: true }
          )
          expect(answered).toBeLessThan(6_000)
        })
      )
  )
})

it("calls of others have not failed", async () => {
  const { failures, ok, sent } = await load.stop()
  expect([...failures]).toEqual([])
  expect(ok).toBe(sent)
  expect(ok).toBeGreaterThan(100)
})
