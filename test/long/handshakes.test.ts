/**
 * Strangers at a node's port. Some begin handshakes as fast as they are answered, with what they have recorded of a
 * genuine one: none gets in, the node says so before any cryptography when there are too many, and no call
 * of anybody fails. What callers feel of it is printed, beside what they feel without: flood, node and
 * callers share the processors of this machine, so a bound on time would be one on that.
 *
 * Others come by the clock and wait for nothing, at a lower priority than what they flood: what callers feel and the
 * processor time that each costs the node are bounded.
 */
import http from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { PeerKey } from "../../src/model/Names.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { overheard } from "../fixtures/Eavesdropper.ts"
import { decodeFlooded, encodeFlood, type Flood, type Flooded } from "../fixtures/FloodProgram.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { start, stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host
/** All that a member has said. */
let words: Buffer

/** Of each part, ms. */
const lasts = 20_000
const callers = 4
/** Handshakes that are under way at a time. */
const atOnce = 96

beforeAll(async () => {
  app = await httpApp("web")
  a = await mesh.first("host-a", {
    threads: 1,
    services: [{ name: "web", address: app.address }]
  })
  b = await mesh.join("host-b", { threads: 1 })
  await until("host-b sees web", async () =>
    JSON.stringify(await b.api("services")).includes('"healthy":1') ? true : undefined
  )
  const { peer } = (await a.api("status")) as { readonly peer: string }
  words = await overheard(a, PeerKey.make(peer))
}, 120_000)

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

/** The times of all calls that are made until then, sorted, in ms; a failed one fails the test. */
const callUntil = async (over: () => boolean): Promise<ReadonlyArray<number>> => {
  const [host, port] = b.proxy.split(":")
  const agent = new http.Agent({ keepAlive: true, maxSockets: callers })
  const call = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      http
        .get({ host, port, agent, path: "/", headers: { host: "web.mesh" } }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode))
        })
        .on("error", reject)
    })
  const times: Array<number> = []
  const worker = async (): Promise<void> => {
    while (!over()) {
      const begun = performance.now()
      expect(await call()).toBe(200)
      times.push(performance.now() - begun)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  await Promise.all(Array.from({ length: callers }, worker))
  agent.destroy()
  return times.sort((x, y) => x - y)
}

const inMs = (ms: number): (() => boolean) => {
  const end = Date.now() + ms
  return () => Date.now() >= end
}

const quantile = (times: ReadonlyArray<number>, share: number): number =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN

/** Says it again and again on new connections; how often, and to how many more was said than is to anybody. */
const flood = async (end: number) => {
  let begun = 0
  let longest = 0
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      let heard = 0
      const socket = connect(a.meshPort, "127.0.0.1", () => socket.write(words))
      const timer = setTimeout(() => socket.destroy(), 10_000)
      socket.on("data", (chunk) => {
        heard += chunk.length
      })
      socket.on("error", () => undefined)
      socket.on("close", () => {
        clearTimeout(timer)
        longest = Math.max(longest, heard)
        resolve()
      })
    })
  const worker = async (): Promise<void> => {
    while (Date.now() < end) {
      begun++
      await one()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { begun, longest }
}

const refused = async (): Promise<number> => {
  const text = await (await fetch(`http://${a.admin}/metrics`)).text()
  const counts = text.matchAll(/^skein_handshakes_refused_total\{.*\} (\d+)$/gm)
  return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0)
}

const turnedAtDoor = async (): Promise<number> => {
  const text = await (await fetch(`http://${a.admin}/metrics`)).text()
  const counts = /^skein_mesh_port_closed_total\{reason="turned_away"\} (\d+)$/m.exec(text)
  return Number(counts?.[1] ?? 0)
}

it("a flood of handshakes lets nobody in, and fails no call", { timeout: 180_000 }, async () => {
  await callUntil(inMs(3_000))
  const before = await callUntil(inMs(lasts))
  const refusedBefore = await refused()
  const end = Date.now() + lasts
  const [during, { begun, longest }] = await Promise.all([
    callUntil(() => Date.now() >= end),
    flood(end)
  ])
  const turnedAway = (await refused()) - refusedBefore
  const told = (name: string, times: ReadonlyArray<number>) =>
    `${name}: ${times.length} calls, p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`
  console.log(
    [
      told("without a flood", before),
      told(`with ${begun} handshakes in ${lasts / 1_000} s, ${turnedAway} refused`, during),
      `p99 is ${(quantile(during, 0.99) / quantile(before, 0.99)).toFixed(2)} times what it was`
    ].join("\n")
  )
  expect(begun).toBeGreaterThan(atOnce)
  expect(turnedAway).toBeGreaterThan(0)
  // All but a few of them at the door, before anything was computed.
  expect(await turnedAtDoor()).toBeGreaterThan(begun / 2)
  // The node's own first words at most: no certificate, and nothing that a member is told.
  expect(longest).toBeLessThan(500)
  const members = (await b.api("members")) as ReadonlyArray<{ node: string; state: string }>
  expect(members.map(({ node, state }) => `${node} ${state}`).sort()).toEqual([
    "host-a alive",
    "host-b alive"
  ])
  // And whoever may come comes.
  await mesh.join("host-c", { threads: 1 })
})

const metric = async (pattern: RegExp): Promise<number> => {
  const text = await (await fetch(`http://${a.admin}/metrics`)).text()
  return Number(pattern.exec(text)?.[1])
}
/** Of the node that is flooded, ms of processor time since its start. */
const spent = async () => (await metric(/^process_cpu_seconds_total ([\d.]+)$/m)) * 1_000

const ratios = (pairs: ReadonlyArray<{ readonly ratio: number }>): ReadonlyArray<number> =>
  pairs.map(({ ratio }) => ratio).sort((x, y) => x - y)

/** Each with a pause before it, in which callers are alone. */
const rounds = 5
const round = 4_000

interface Kind extends Pick<Flood, "from"> {
  readonly what: string
  readonly says: () => string
  readonly atOnce?: number
  readonly reads?: boolean
  readonly stays?: number
}

const whole = (): string => words.toString("latin1")
const greeting = "\x13/multistream/1.0.0\n"
const asking = `${greeting}\x0f/skein/noise/3\n`
/** Where a member is; strangers are elsewhere on the loopback network. */
const here = "127.0.0.1"
const kinds: ReadonlyArray<Kind> = [
  { what: "say a whole handshake", from: "127.0.0.2", says: whole },
  { what: "say one where a member is", from: here, says: whole },
  {
    what: "say one and read nothing",
    from: "127.0.0.3",
    says: whole,
    reads: false
  },
  {
    what: "say one and hang up",
    from: "127.0.0.4",
    says: whole,
    reads: false,
    stays: 0
  },
  {
    what: "come 1,500 at once",
    from: "127.0.0.5",
    says: whole,
    atOnce: 1_500
  },
  { what: "connect and hang up", from: "127.0.0.6", says: () => "", stays: 0 },
  { what: "say nothing", from: "127.0.0.7", says: () => "" },
  { what: "greet, and say no more", from: "127.0.0.8", says: () => greeting },
  { what: "greet, and hang up", from: "127.0.0.9", says: () => greeting, stays: 0 },
  { what: "ask for a handshake, and say no more", from: "127.0.0.10", says: () => asking },
  { what: "ask for one where a member is", from: here, says: () => asking },
  { what: "ask for one where a member is, and hang up", from: here, says: () => asking, stays: 0 }
]

describe("750 connections a second, whatever is answered,", () => {
  it.each(kinds)(
    "that $what cost little, and calls feel little of them",
    {
      timeout: 180_000
    },
    async ({ atOnce = 1, from, reads = true, says, stays = 10_000 }) => {
      const how = { port: a.meshPort, from, words: says(), atOnce, reads, stays }
      const input = encodeFlood({ ...how, perSecond: 750, lasts: round })
      const program = join(import.meta.dirname, "..", "fixtures", "FloodProgram.ts")
      const all: Array<Flooded & { readonly ratio: number; readonly each: number }> = []
      await callUntil(inMs(1_000))
      for (let n = 0; n < rounds; n++) {
        const began = await spent()
        const alone = await callUntil(inMs(round))
        const between = await spent()
        const flood = start(process.execPath, [program], { told: true, what: "the flood" })
        flood.child.stdin?.end(input)
        const lines = () => flood.output().split("\n")
        await until("it floods", () => (lines().length > 1 ? true : undefined), 30, [flood])
        const [begun, beside] = [await spent(), await callUntil(() => flood.ended() !== undefined)]
        expect(await flood.exited).toBe(0)
        const { connected, ...rest } = decodeFlooded(lines()[1])
        const calls = ((between - began) * beside.length) / alone.length
        const each = ((await spent()) - begun - calls) / connected
        all.push({
          ...{ ...rest, connected, each },
          ratio: quantile(beside, 0.99) / quantile(alone, 0.99)
        })
      }
      const connected = all.reduce((sum, one) => sum + one.connected, 0)
      const each = all.reduce((sum, one) => sum + one.each, 0) / rounds
      const [middle = Number.NaN] = ratios(all).slice(Math.floor(rounds / 2))
      console.log(
        `${connected} connections, ${Math.max(...all.map(({ most }) => most))} at a time: ${each.toFixed(2)} ms of processor time each; ` +
          `p99 of calls ${ratios(all)
            .map((ratio) => ratio.toFixed(2))
            .join(", ")} times what it was`
      )
      expect(connected).toBeGreaterThan(atOnce === 1 ? rounds * 2_000 : rounds * 500)
      for (const { longest } of all) expect(longest).toBeLessThan(500)
      expect(each).toBeLessThan(0.5)
      expect(middle).toBeLessThan(2)
    }
  )

  it("have let nobody in, and kept nobody out", async () => {
    const members = (await b.api("members")) as ReadonlyArray<{ node: string; state: string }>
    expect(members.map(({ node, state }) => `${node} ${state}`).sort()).toEqual(
      mesh.hosts.map(({ name }) => `${name} alive`)
    )
    await mesh.join("host-d", { threads: 1 })
  })
})
