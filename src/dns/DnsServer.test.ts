import { createSocket } from "node:dgram"
import { Resolver } from "node:dns/promises"
import { connect } from "node:net"
import { decode, encode, type Packet } from "@dnsquery/dns-packet"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { parseAddressRange } from "../model/AddressRange.ts"
import { MetricRegistry } from "../request/cells/Metrics.ts"
import { DnsForward } from "./DnsForward.ts"
import { DnsFrames, framed } from "./DnsFrames.ts"
import { serveDns } from "./DnsServer.ts"

const range = parseAddressRange("127.80.0.0/12")
const open = (forward?: DnsForward) =>
  Effect.gen(function* () {
    if (typeof range === "string") return yield* Effect.dieMessage(range)
    const asked: Array<string> = []
    const { port } = yield* serveDns({
      listen: { host: "127.0.0.1", port: 0 },
      zone: { suffix: "mesh", range, ttl: 5 },
      book: {
        find: (name) =>
          name === "nobody"
            ? undefined
            : { name, protocol: "http", port: 80, endpoints: 1, healthy: 1 },
        nameAt: () => undefined
      },
      reach: async ({ name }) => {
        asked.push(name)
        if (name === "closed") throw new Error("it cannot be listened for")
        return "127.80.0.1"
      },
      forward,
      metrics: new MetricRegistry(),
      warn: () => {}
    })
    const resolver = new Resolver({ timeout: 2_000, tries: 1 })
    resolver.setServers([`127.0.0.1:${port}`])
    return { port, asked, resolver }
  })

const question = (name: string): Uint8Array =>
  encode({ type: "query", id: 7, questions: [{ type: "A", name }] })

/** What comes back for several messages on one connection. */
const overTcp = (
  port: number,
  ...chunks: ReadonlyArray<Uint8Array>
): Promise<ReadonlyArray<Packet>> =>
  new Promise((resolve, reject) => {
    const frames = new DnsFrames(0xffff)
    const packets: Array<Packet> = []
    const socket = connect(port, "127.0.0.1", () => {
      for (const chunk of chunks) socket.write(chunk)
      socket.end()
    })
    socket.on("error", reject)
    socket.on("data", (chunk) => {
      for (const message of frames.push(chunk) ?? []) packets.push(decode(message))
    })
    socket.on("close", () => resolve(packets))
  })

describe("the name server", () => {
  it.scoped("answers the system's resolver, and listens for what is asked for", () =>
    Effect.gen(function* () {
      const { asked, resolver } = yield* open()
      const resolve = (name: string) =>
        Effect.promise(() => resolver.resolve4(name).catch(({ code }) => code))
      expect(yield* resolve("payments.mesh")).toEqual(["127.80.0.1"])
      expect(yield* resolve("nobody.mesh")).toBe("ENOTFOUND")
      expect(yield* resolve("closed.mesh")).toBe("ESERVFAIL")
      expect(yield* resolve("example.com")).toBe("EREFUSED")
      const srv = yield* Effect.promise(() => resolver.resolveSrv("_http._tcp.payments.mesh"))
      expect(srv).toMatchObject([{ name: "payments.mesh", port: 80, priority: 0, weight: 0 }])
      expect(asked).toEqual(["payments", "closed", "payments"])
    })
  )

  it.scoped("answers several questions of a connection, however they are cut", () =>
    Effect.gen(function* () {
      const { port } = yield* open()
      const bytes = Buffer.concat([framed(question("a.mesh")), framed(question("nobody.mesh"))])
      const packets = yield* Effect.promise(() =>
        overTcp(port, bytes.subarray(0, 1), bytes.subarray(1, 30), bytes.subarray(30))
      )
      expect(packets.map(({ rcode }) => rcode)).toEqual(["NOERROR", "NXDOMAIN"])
    })
  )

  it.scoped("ends a connection that says what is no question", () =>
    Effect.gen(function* () {
      const { port, resolver } = yield* open()
      const long = Buffer.from([0xff, 0xff, 0])
      const answer = question("a.mesh")
      answer[2] = 0x80
      const ends = [overTcp(port, long), overTcp(port, framed(answer))]
      expect(yield* Effect.promise(() => Promise.all(ends))).toEqual([[], []])
      expect(yield* Effect.promise(() => resolver.resolve4("a.mesh"))).toEqual(["127.80.0.1"])
    })
  )

  it.scoped("asks other servers what is none of its own, the next when one is silent", () =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const serve = (answers: boolean) =>
        Effect.acquireRelease(
          Effect.promise(
            () =>
              new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
                const socket = createSocket("udp4", (bytes, { address, port }) => {
                  const { id, questions = [] } = decode(bytes)
                  names.push(questions[0]?.name ?? "")
                  const data = "192.0.2.7"
                  const answer = { type: "A" as const, name: questions[0]?.name ?? "", data }
                  // A forged one first: its number is wrong.
                  const reply = (id: number, answers: ReadonlyArray<typeof answer>) =>
                    socket.send(
                      encode({ type: "response", id, questions, answers: [...answers] }),
                      port,
                      address
                    )
                  if (!answers) return
                  reply(((id ?? 0) + 1) & 0xffff, [{ ...answer, data: "192.0.2.66" }])
                  reply(id ?? 0, [answer])
                })
                socket.bind(0, "127.0.0.1", () =>
                  resolve({ port: socket.address().port, close: () => socket.close() })
                )
              })
          ),
          ({ close }) => Effect.sync(close)
        )
      const [silent, other] = [yield* serve(false), yield* serve(true)]
      const time = { now: 0 }
      const forward = new DnsForward(
        [silent, other].map(({ port }) => ({ host: "127.0.0.1", port })),
        () => time.now
      )
      const { port } = yield* open(forward)
      const resolver = new Resolver({ timeout: 6_000, tries: 1 })
      resolver.setServers([`127.0.0.1:${port}`])
      expect(yield* Effect.promise(() => resolver.resolve4("example.com"))).toEqual(["192.0.2.7"])
      expect(names).toEqual(["example.com", "example.com"])
      // The silent one is known now: whoever asks next does not wait for it again.
      yield* Effect.promise(() => resolver.resolve4("next.example.com"))
      expect(names.slice(2)).toEqual(["next.example.com"])
      time.now = 31_000
      yield* Effect.promise(() => resolver.resolve4("later.example.com"))
      expect(names.slice(3)).toEqual(["later.example.com", "later.example.com"])
    })
  )
})
