/**
 * Strangers who begin handshakes at a node's port as fast as they can, with what they have recorded of a
 * genuine one. None gets in, the node says so before any cryptography when there are too many, and no call
 * of anybody fails. What callers feel of it is printed, beside what they feel without: flood, node and
 * callers share the processors of this machine, so a bound on time would be one on that.
 */
import http from "node:http"
import { connect } from "node:net"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { PeerKey } from "../../src/model/Names.ts"
import { type App, httpApp } from "../fixtures/Apps.ts"
import { overheard } from "../fixtures/Eavesdropper.ts"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { stopAll, until } from "../fixtures/Processes.ts"

const mesh = new TestMesh()
let app: App
let a: Host
let b: Host

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
}, 120_000)

afterAll(async () => {
  await mesh.stop()
  await app.close()
  await stopAll()
})

/** The times of all calls that are made meanwhile, sorted, in ms; a failed one fails the test. */
const callUntil = async (end: number): Promise<ReadonlyArray<number>> => {
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
    while (Date.now() < end) {
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

const quantile = (times: ReadonlyArray<number>, share: number): number =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN

/** Says it again and again on new connections; how often, and to how many more was said than is to anybody. */
const flood = async (words: Buffer, end: number) => {
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
  const { peer } = (await a.api("status")) as { readonly peer: string }
  const words = await overheard(a, PeerKey.make(peer))
  await callUntil(Date.now() + 3_000)
  const before = await callUntil(Date.now() + lasts)
  const refusedBefore = await refused()
  const end = Date.now() + lasts
  const [during, { begun, longest }] = await Promise.all([callUntil(end), flood(words, end)])
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
